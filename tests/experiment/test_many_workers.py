"""Twenty workers and a learner on one account, an hour in half a minute.

Uploads, pushes and the quota of commits all run 120 times faster than the clock.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hub import running_hub
from many_workers import __file__ as MANY_WORKERS
from quick import QUICK_LEARNER, tiny_checkpoint

from zebfast.exchange import parse_example_name
from zebfast.exchange.hub.uploader import upload_interval_for

FASTER = 120
WORKERS = 20
SECONDS = 30
COMMITS_AN_HOUR = 128
KEEP = 40
GROWTH_MB = 40.0
WARM = "Cycle    2:"  # every buffer and every part of torch has been used by then
NAME = "crowd"


@dataclass(frozen=True)
class Outcome:
    """What the crowd handed over and what the learner made of it."""

    handed: dict[str, int]
    state: dict[str, object]
    files_left: set[str]
    most_commits: int
    memory_mb: list[float]
    log: str


def memory_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def wait_for(log: Path, words: str) -> None:
    """Until the log has the words; what it ends with, if that takes minutes."""
    deadline = time.monotonic() + 240
    while words not in log.read_text():
        assert time.monotonic() < deadline, f"never said {words!r}: {log.read_text()[-2000:]}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    root = tmp_path_factory.mktemp("crowd")
    interval = upload_interval_for(WORKERS) / FASTER
    with running_hub(root / "hf") as hub:
        hub.control(commit_quota=COMMITS_AN_HOUR, quota_seconds=3600 / FASTER)
        with open(root / "learner.log", "wb") as log:
            learner = subprocess.Popen(
                [sys.executable, "-u", "-m", "zebfast.learner", "--repo-id", "me/weights",
                 "--examples-repo-id", "me/examples", "--weights-name", NAME,
                 "--checkpoint", str(tiny_checkpoint(root / "init.pt")), *QUICK_LEARNER,
                 "--keep-example-files", str(KEEP), "--replay-buffer-size", "3000",
                 "--training-steps-per-cycle", "100", "--push-every", "25", "--eval-every", "0",
                 "--checkpoint-every", "5", "--local-replay-cache-save-every", "20",
                 "--local-replay-cache-dir", str(root / "cache"), "--retry-seconds", "0.1",
                 "--state-dir", str(root / "learner"), "--poll-seconds", "0.5",
                 "--push-seconds", str(180 / FASTER)],
                stdout=log, stderr=subprocess.STDOUT, env=hub.env(),
            )  # fmt: skip
        try:
            crowd = subprocess.Popen(
                [sys.executable, MANY_WORKERS, "me/examples", NAME, str(root / "workers"),
                 str(WORKERS), str(SECONDS), str(interval)],
                stdout=subprocess.PIPE, env=hub.env(), text=True,
            )  # fmt: skip
            memory = []
            while crowd.poll() is None:
                time.sleep(1)
                if WARM in (root / "learner.log").read_text():
                    memory.append(memory_mb(learner.pid))
            assert crowd.stdout is not None
            handed = json.loads(crowd.stdout.read())
            wait_for(root / "learner.log", f"games: {sum(handed.values()):,}]")
            memory.append(memory_mb(learner.pid))
            learner.send_signal(signal.SIGTERM)
            assert learner.wait(90) == 143, (root / "learner.log").read_text()[-3000:]
        finally:
            learner.kill()
        state = subprocess.run(
            [sys.executable, "-c", READ_STATE, NAME, str(root / "reader")],
            capture_output=True, text=True, check=True, env=hub.env(),
        )  # fmt: skip
        counters = hub.control()
        left = {path.rpartition("/")[2] for path in hub.files("dataset:me/examples")}
        return Outcome(
            handed, json.loads(state.stdout), {n for n in left if parse_example_name(n)},
            counters["most_commits_in_window"], memory,
            (root / "learner.log").read_text(),
        )  # fmt: skip


READ_STATE = """
import json, sys
from pathlib import Path
from zebfast.exchange import Namespace, Place, StoreOptions, open_weights
store = open_weights(Place("model", "me/weights"), Namespace.parse(sys.argv[1]),
                     options=StoreOptions(state_dir=Path(sys.argv[2])))
print(json.dumps(store.read_state()))
"""


def test_every_game_of_every_worker_is_counted_once(outcome: Outcome) -> None:
    assert len({name.split("_")[0] for name in outcome.handed}) == WORKERS
    assert outcome.state["total_games"] == sum(outcome.handed.values()) > 100
    assert "Traceback" not in outcome.log


def test_commits_stay_within_the_quota_of_an_hour(outcome: Outcome) -> None:
    assert 0 < outcome.most_commits <= COMMITS_AN_HOUR
    assert "rate limit" not in outcome.log


def test_old_files_are_pruned(outcome: Outcome) -> None:
    assert len(outcome.files_left) < len(outcome.handed)


def test_the_learner_does_not_grow(outcome: Outcome) -> None:
    """Once warm: what the first half needed is enough for the second, too."""
    half = (len(outcome.memory_mb) + 1) // 2
    first = max(outcome.memory_mb[:half])
    assert max(outcome.memory_mb[half:], default=first) - first < GROWTH_MB, outcome.memory_mb
