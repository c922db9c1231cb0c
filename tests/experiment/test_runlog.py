"""The run log: whole whatever happens to its writer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from zebfast.experiment.experiment import Experiment
from zebfast.experiment.runlog import (
    KILLED,
    RUNNING,
    RunLog,
    incident_of,
    read_entries,
    read_runs,
    run_counts,
    summarize,
)
from zebfast.learner.metrics import JsonlMetrics
from zebfast.system.events import (
    CycleDone,
    Ended,
    Event,
    Incident,
    Ingested,
    Published,
    Retrying,
    Waiting,
)
from zebfast.system.locks import hold_lock, lock_owner

BAD_FILE = "example file w_1_aa.safetensors is refused: its weights_name is 'b' (moved to bad/)"


def start(log: RunLog, **changes: str) -> str:
    facts = {"stage": "selfplay", "host": os.uname().nodename, "version": "0.1.0"}
    return log.start(**(facts | changes), commit=None, config_file="configs/x.toml")


def test_a_run_from_start_to_end(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    run = start(log)
    log.take(run, CycleDone(cycle=1, metrics={"train/policy_loss": 1.9}))
    log.take(run, Incident(what="refused file", text=BAD_FILE))
    log.take(run, Retrying(call="hub", error="503", seconds=5.0, attempt=1, attempts=4))
    log.end(run, reason="stopped by SIGTERM", exit_code=143, cycles=7, games=90)
    [found] = read_runs(log.path)
    assert (found.stage, found.reason, found.exit_code) == ("selfplay", "stopped by SIGTERM", 143)
    assert (found.cycles, found.games) == (7, 90)
    assert [incident.kind for incident in found.incidents] == ["refused file", "exchange"]
    assert found.incidents[0].line == BAD_FILE
    assert found.started <= found.incidents[0].unix <= (found.ended or 0)


@pytest.mark.parametrize(
    ("event", "kind", "line"),
    [
        (Incident(what="refused file", text=BAD_FILE), "refused file", BAD_FILE),
        (Incident(what="memorising", text="Warning: x"), "memorising", "Warning: x"),
        (Retrying(call="hub", error="412", seconds=5.0, attempt=1, attempts=4), "exchange",
         "  HF transient error (attempt 1/4): 412"),
        (Retrying(call="start", error="away", seconds=5.0, attempt=1), "exchange",
         "  cannot start yet, trying again in 5 s: away"),
        (Waiting(reason="fresh examples", text="No new examples for over 300 s: training paused, "
                 "waiting for workers..."), "pause",
         "No new examples for over 300 s: training paused, waiting for workers..."),
    ],
)  # fmt: skip
def test_incidents(event: Event, kind: str, line: str) -> None:
    assert incident_of(event) == (kind, line)


@pytest.mark.parametrize(
    "event",
    [
        Waiting(reason="examples", text="Buffer 0/5000 — waiting for workers..."),
        Waiting(reason=""),
        Ingested(files=4, examples=28672, n_selfplay=28672),
        CycleDone(cycle=1, metrics={}),
        Published(step=1, games=2),
        Ended(program="learner", code=0),
    ],
)
def test_the_usual_events_are_no_incidents(event: Event) -> None:
    assert incident_of(event) is None


def test_a_fault_of_days_does_not_fill_the_disk(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    run = start(log)
    for attempt in range(500):
        text = f"  push error (will retry): number {attempt}"
        log.take(run, Incident(what="exchange", text=text))
    log.take(run, Incident(what="refused file", text=BAD_FILE))
    [found] = read_runs(log.path)
    kinds = [incident.kind for incident in found.incidents]
    assert kinds.count("exchange") == 50
    assert kinds.count("refused file") == 1


def test_a_line_cut_short_costs_no_other(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    first = start(log)
    with open(log.path, "ab") as handle:
        handle.write(b'{"event": "end", "run": "' + first.encode())  # killed while writing
    second = start(log)
    assert [run.id for run in read_runs(log.path)] == [first, second]
    assert len(read_entries(log.path)) == 2
    log.path.write_bytes(log.path.read_bytes() + b"\xff\xfe\n[1]\n{}\n")
    assert len(read_runs(log.path)) == 2


def test_a_killed_run_is_told_from_one_that_runs(
    tmp_path: Path, make_experiment: Callable[..., Experiment]
) -> None:
    experiment = make_experiment()
    experiment.directory.mkdir(parents=True)
    run = start(RunLog(experiment.run_log))
    metrics = JsonlMetrics(tmp_path / "metrics.jsonl", last_step=0)
    metrics.log(1, {"train/policy_loss": 1.0, "stats/total_games": 30})
    metrics.log(2, {"train/policy_loss": 0.9, "stats/total_games": 50})
    killed = summarize(experiment, metrics.path)
    assert killed.endings == (KILLED,)
    assert (killed.runs[0].cycles, killed.runs[0].games) == (2, 50)
    assert killed.n_incidents == 1

    def busy(_owner: str) -> Exception:
        return AssertionError("nobody holds it")

    with hold_lock(experiment.directory / ".learn.lock", busy=busy):
        assert summarize(experiment, metrics.path).endings == (RUNNING,)
    assert summarize(experiment, metrics.path).endings == (KILLED,)
    RunLog(experiment.run_log).end(run, reason="finished", exit_code=0, cycles=2, games=50)
    assert summarize(experiment, metrics.path).endings == ("finished",)


def test_best_figures_and_counts(
    tmp_path: Path, make_experiment: Callable[..., Experiment]
) -> None:
    metrics = JsonlMetrics(tmp_path / "metrics.jsonl", last_step=0)
    for step, rate in ((10, 0.6), (20, 0.8), (30, 0.7)):
        metrics.log(step, {"train/policy_loss": 1.0, "stats/total_games": 100 * step})
        metrics.log(step, {"eval/vs_random_win_rate": rate, "eval/vs_random_low": rate - 0.1,
                           "eval/vs_random_high": rate + 0.1})  # fmt: skip
    summary = summarize(make_experiment(), metrics.path)
    [best] = summary.best
    assert (best.opponent, best.win_rate, best.step) == ("random", 0.8, 20)
    assert best.low == pytest.approx(0.7)
    assert (summary.step, summary.games) == (30, 3000)


def test_counts_are_those_of_a_time() -> None:
    rows = [
        {"step": step, "time": 10.0 * step, "train/policy_loss": 1.0, "stats/total_games": 7 * step}
        for step in range(1, 6)
    ]
    assert run_counts(rows, 25.0, 45.0) == (2, 14)
    assert run_counts(rows, 0.0, 25.0) == (2, 14)
    assert run_counts(rows, 60.0, 99.0) == (0, 0)
    assert run_counts([], 0.0, 1.0) == (0, 0)


def test_lock_owner_is_only_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    assert lock_owner(path) is None
    with hold_lock(path, busy=lambda _: AssertionError()):
        assert lock_owner(path) == os.getpid()
    assert lock_owner(path) is None, "the process lives, but has let go"
    path.write_text("999999999")
    assert lock_owner(path) is None
    path.write_text("?")
    assert lock_owner(path) is None
