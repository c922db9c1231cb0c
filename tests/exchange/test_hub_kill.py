"""kill -9 of a producer at moments of all kinds, against a Hub that fails: every file once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hub import Hub, HubClient

ROUNDS = 12
ACTIONS = ("drop", "lose_reply", "cut", "delay")
PRODUCE = """
import time
store = examples("dataset", repo, "large", home)
for number in range(first, first + 10**6):
    put(store, f"w0_{1000 + number}_ab.safetensors")
    Path(home, "new").write_text(str(number + 1))
    Path(home, "new").replace(Path(home, "spooled"))
    time.sleep(0.005)
"""


@pytest.mark.slow
def test_every_file_that_was_spooled_arrives_once(
    hub: Hub, repo: str, tmp_path: Path, start_client: Callable[..., HubClient]
) -> None:
    draw = random.Random(4)
    marker = tmp_path / "spooled"
    marker.write_text("0")
    for _ in range(ROUNDS):
        faults = [{"action": draw.choice(ACTIONS), "skip": draw.randrange(4)} for _ in range(3)]
        common = {"path": f"{repo}/commit/", "seconds": 0.2}
        hub.control(faults=[{**common, **fault} for fault in faults])
        first = int(marker.read_text())
        producer = start_client(xet=False)
        producer.start(PRODUCE, repo=repo, home=str(tmp_path), first=first)
        while int(marker.read_text()) <= first:
            time.sleep(0.01)
        time.sleep(draw.random())  # any moment will do: of none may anything be lost
        producer.kill()
    hub.control(faults=[])
    last = start_client(xet=False)
    close = 'return examples("dataset", repo, "large", home).close(60)'
    assert last.do(close, repo=repo, home=str(tmp_path)) == 0
    numbers = sorted(int(path.split("_")[1]) - 1000 for path in hub.files(f"dataset:{repo}"))
    spooled = int(marker.read_text())
    assert spooled > ROUNDS
    assert numbers[:spooled] == list(range(spooled))
    assert len(numbers) - spooled <= 1  # killed after spooling, before saying so
    assert list(tmp_path.glob("*/spool/*")) == []
