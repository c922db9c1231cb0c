"""What `status` makes of the workers' heartbeats."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from experiments import add_examples, create, experiment, status
from listening import listening

from zebfast.exchange import ExchangeError, LocalExampleStore, Namespace, Place, StoreOptions
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.experiment.experiment import Experiment
from zebfast.experiment.status.checks import (
    check_heartbeats,
    check_selfplay_files,
    run_checks,
    silent_after,
)
from zebfast.experiment.status.report import status_of
from zebfast.experiment.status.snapshot import Facts, Producer, gather
from zebfast.experiment.watch.progress import marks_of, remember

NOW = 1_800_000_000.0


def beat(worker_id: str, age: float, **changes: Any) -> Heartbeat:
    base: dict[str, Any] = {"phase": "playing", "batch": 4, "source": "selfplay-mcts"}
    return Heartbeat(worker_id=worker_id, unix=NOW - age, **(base | changes))


@pytest.fixture
def look(make_experiment: Callable[..., Experiment]) -> Callable[..., Facts]:
    def make(*beats: Heartbeat, kind: str = "directory", **changes: Any) -> Facts:
        places = {} if kind == "directory" else {"examples": Place("dataset", "me/x")}
        return Facts(
            experiment=make_experiment(**places), now=NOW, here="here",
            heartbeats={each.worker_id: each for each in beats}, **changes,
        )  # fmt: skip

    return make


LIVING = beat("selfplay-1", 20.0)


@pytest.mark.parametrize(
    ("beats", "state", "found"),
    [
        ((), "off", "no worker has sent one lately"),
        ((beat("w", 8000.0),), "off", "no worker has sent one lately"),
        ((LIVING, beat("w", 30.0, phase="waiting")), "ok", "1 playing, 1 waiting"),
        ((LIVING, beat("w", -500.0)), "ok", "2 playing"),
        ((LIVING, beat("w", 1000.0, phase="stopped")), "ok", "1 playing"),
        ((beat("w", 1000.0, phase="stopped"),), "ok", "all 1 have stopped"),
        ((LIVING, beat("w", 1000.0)), "wrong", "1 live; w silent for 16 min, was playing"),
        ((LIVING, beat("w", 90.0, phase="failed", error="CUDA error")), "wrong",
         "1 live; w failed 1 min ago: CUDA error"),
        (tuple(beat(f"w{n}", 1000.0) for n in range(5)), "wrong", "and 2 more"),
    ],
)  # fmt: skip
def test_who_has_failed_or_fallen_silent_is_named(
    look: Callable[..., Facts], beats: tuple[Heartbeat, ...], state: str, found: str
) -> None:
    check = check_heartbeats(look(*beats))
    assert check.state == state
    assert check.found.endswith(found)
    assert bool(check.fix) == (state == "wrong")


def test_who_looks_again_counts_by_its_own_clock(look: Callable[..., Facts]) -> None:
    """One worker's clock is a day ahead, one's a day behind; the third has ended."""
    day = 86_400.0
    told = [beat("ahead", -day), beat("behind", day), beat("gone", 100.0)]
    first = look(*told)
    assert check_heartbeats(first).found == "2 playing", "nobody can know better at first"
    seen = remember({}, marks_of(first, None), looked=None, now=NOW)
    for later in (NOW + 500, NOW + 1000):
        told[1] = beat("behind", day - (later - NOW))
        facts = replace(look(*told), now=later)
        seen = remember(seen, marks_of(facts, None), looked=later - 500, now=later)
    check = check_heartbeats(replace(facts, seen=seen))
    assert check.state == "wrong"
    assert check.found.startswith("1 live; ")
    assert "gone silent for 18 min" in check.found
    assert "ahead silent for 16 min" in check.found


def test_a_file_from_the_future_is_as_old_as_the_learner_counted_it(
    look: Callable[..., Facts],
) -> None:
    ahead = Producer("w", 3, NOW + 86_400, "selfplay-mcts", 90)
    counted = {"workers": {"w": {"source": "selfplay-mcts", "last_unix": NOW - 4000, "games": 9,
                                 "model_step": 90}}}  # fmt: skip
    check = check_selfplay_files(look(producers=(ahead,), state=counted))
    assert (check.state, check.found) == ("wrong", "3, newest 1 h 6 min old, 1 workers")
    assert check_selfplay_files(look(producers=(ahead,))).state == "ok"


def test_a_clock_that_is_wrong_is_named(look: Callable[..., Facts]) -> None:
    def clocks(facts: Facts) -> list[str]:
        return [check.found for check in run_checks(facts) if check.name == "clocks"]

    day = 86_400.0
    assert clocks(look(LIVING)) == []
    ahead = look(LIVING, beat("w", -day))
    assert clocks(ahead) == ["w is 1 d 0 h ahead of this machine: its times are not believed"]
    seen = remember({}, marks_of(look(beat("w", day)), None), looked=None, now=NOW)
    facts = replace(look(beat("w", day - 60.0)), now=NOW + 60)
    seen = remember(seen, marks_of(facts, None), looked=NOW, now=NOW + 60)
    [found] = clocks(replace(facts, seen=seen))
    assert found.startswith("w is 23 h 59 min behind")


def test_the_fix_is_for_the_right_fleet(look: Callable[..., Facts]) -> None:
    evalaux = beat("evalaux-1", 1000.0, source="eval-eq-zeb")
    check = check_heartbeats(look(evalaux, beat("selfplay-1", 1000.0)))
    assert "zebfast fleet replenish first --role evalaux" in check.fix
    assert "zebfast fleet replenish first --role selfplay" in check.fix
    assert "--role selfplay" not in check_heartbeats(look(evalaux)).fix


def test_workers_that_share_a_quota_may_be_silent_for_longer(look: Callable[..., Facts]) -> None:
    beats = [beat(f"w{n}", 1000.0) for n in range(20)]
    assert silent_after(look(*beats)) == 900.0
    assert silent_after(look(*beats, kind="dataset")) == 2.5 * 720
    assert check_heartbeats(look(*beats, kind="dataset")).state == "ok"


def test_a_place_that_was_not_reached_says_nothing(look: Callable[..., Facts]) -> None:
    check = check_heartbeats(look(exchange_errors=("examples: no network",)))
    assert (check.state, check.found) == ("wait", "not reached")


def test_workers_are_shown_with_and_without_files(look: Callable[..., Facts]) -> None:
    old = Producer("selfplay-1", 3, NOW - 60, "selfplay-mcts", 90)
    new = beat("evalaux-2", 5.0, phase="waiting", batch=0, source="")
    gpu = beat("selfplay-1", 7.0, gpu="RTX 3060", gpu_memory=512.0, restarts=2, error="x")
    found = status_of(look(gpu, new, producers=(old,), state={"step": 100})).workers
    assert [worker.worker_id for worker in found] == ["selfplay-1", "evalaux-2"]
    first, second = found
    assert first.heartbeat is not None
    assert (first.n_files, first.behind, first.heartbeat.seconds_since) == (3, 10, 7.0)
    assert (first.heartbeat.gpu, first.heartbeat.restarts) == ("RTX 3060", 2)
    assert (second.source, second.n_files, second.seconds_since) == ("eval-eq-zeb", 0, None)
    assert (second.model_step, second.behind, second.games_per_s) == (None, None, None)


def test_a_store_that_fails_is_told_once(
    make_experiment: Callable[..., Experiment],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: LocalExampleStore) -> Any:
        raise ExchangeError("no network")

    options = StoreOptions(state_dir=tmp_path)
    monkeypatch.setattr(LocalExampleStore, "heartbeats", fail)
    for _ in range(2):
        with listening(pytest.fail):
            facts = gather(make_experiment(), options=options, now=NOW)
        assert facts.exchange_errors == ("examples: no network",)
        monkeypatch.setattr(LocalExampleStore, "list", fail)


def test_the_screen_and_the_json(tmp_path: Path) -> None:
    made = create(tmp_path, "--size", "small")
    assert made.exit_code == 0, made.output
    add_examples(tmp_path, worker="selfplay-1")
    store = LocalExampleStore(tmp_path / "run" / "examples", Namespace.parse("first"))
    base = {"unix": time.time(), "gpu": "RTX [bold]3060", "gpu_memory": 1536.0}
    store.beat(Heartbeat(worker_id="selfplay-1", phase="playing", restarts=2, **base))
    store.beat(Heartbeat(worker_id="selfplay-2", phase="failed", error="out of memory", **base))
    screen = experiment("status", "first", root=tmp_path).stdout
    assert "2 restarts, RTX [bold]3060 1,536 MB" in " ".join(screen.split())
    assert "selfplay-2 failed" in screen
    found = status(tmp_path)
    views = {worker["worker_id"]: worker["heartbeat"] for worker in found["workers"]}
    assert (views["selfplay-1"]["phase"], views["selfplay-1"]["restarts"]) == ("playing", 2)
    assert views["selfplay-2"]["error"] == "out of memory"
    assert "heartbeats" in found["problems"]
    assert json.dumps(found)
