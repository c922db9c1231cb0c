"""What a watcher is told by W&B through the real client, and what it says where that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.wandb import Fault, StoredRun, WandbServer, environment
from zebfast.experiment.watch.wandb_status import WandbUnread, ask

NOW = 1_800_000_000.0


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with WandbServer() as running:
        summary = {"_timestamp": NOW - 9.5, "cycle": 40, "stats/total_games": 1234}
        run = StoredRun("r1", "zeb-mcts", "first", summary=summary, heartbeat=NOW)
        running.runs["r1"] = run
        for name, value in environment(running.url, tmp_path).items():
            monkeypatch.setenv(name, value)
        yield running


def test_a_run_that_goes_on_and_one_that_failed(service: WandbServer) -> None:
    found = ask("me/zeb-mcts/r1")
    assert (found.state, found.heartbeat, found.logged) == ("running", NOW, NOW - 9.5)
    assert (found.cycle, found.games) == (40, 1234)
    service.runs["r1"].exit_code = 1
    assert ask("zeb-mcts/r1").state == "failed"


def test_what_cannot_be_read_is_a_sentence(service: WandbServer) -> None:
    with pytest.raises(WandbUnread, match="W&B run me/zeb-mcts/r9 cannot be read: "):
        ask("me/zeb-mcts/r9")
    service.fault = Fault("status", status=401)
    with pytest.raises(WandbUnread, match="401"):
        ask("me/zeb-mcts/r1")
    service.fault = Fault("delay", seconds=30)
    with pytest.raises(WandbUnread, match="did not answer within 2 s"):
        ask("me/zeb-mcts/r1", seconds=2)
