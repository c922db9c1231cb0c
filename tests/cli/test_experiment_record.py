"""The record of an experiment by its commands: how runs end, what they come to, going back."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from experiments import checks, experiment, learn, learning, state, status

from zebfast.cli.experiment import learn as experiment_learn
from zebfast.experiment.runlog import RunLog, read_runs
from zebfast.system.signals import exit_on_signals


def test_a_run_that_fails_is_recorded_with_its_reason(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device", "first.ckpt")

    monkeypatch.setattr(experiment_learn.learner, "run_learner", full)
    assert learn(root).exit_code == 1
    [run] = read_runs(root / "experiments/first/runs.jsonl")
    assert run.exit_code == 1
    assert run.reason is not None
    assert run.reason.startswith("failed: No space left on device")


def test_stopped_by_a_signal(root: Path) -> None:
    with learning(root) as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 143
    [run] = read_runs(root / "experiments/first/runs.jsonl")
    assert (run.reason, run.exit_code) == ("stopped by SIGTERM", 143)
    assert state(root)["step"] >= (run.cycles or 0) >= 2


@pytest.mark.parametrize(
    ("line", "reason", "code"), [("start", "stopped by SIGTERM", 143), ("end", "finished", 0)]
)
def test_a_signal_right_after_a_line_of_the_record(
    line: str, reason: str, code: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_on_signals()
    append = RunLog.event

    def then_told(log: RunLog, event: str, **facts: Any) -> None:
        append(log, event, **facts)
        if event == line:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)  # for a handler that raises

    monkeypatch.setattr(RunLog, "event", then_told)
    assert learn(root).exit_code == 143
    [run] = read_runs(root / "experiments/first/runs.jsonl")
    assert (run.reason, run.exit_code) == (reason, code)


def test_a_stop_that_a_context_turned_into_a_failure(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torch's contexts do, which fail when they are left in the middle of being entered."""

    def interrupted(*_: Any, **__: Any) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        finally:
            raise RuntimeError("trying to leave what was not entered")

    exit_on_signals()
    monkeypatch.setattr(experiment_learn.learner, "run_learner", interrupted)
    assert learn(root).exit_code == 1, "as the runner of tests has it; the program says 143"
    [run] = read_runs(root / "experiments/first/runs.jsonl")
    assert (run.reason, run.exit_code) == ("stopped by SIGTERM", 143)


def test_killed_and_continued(root: Path) -> None:
    """kill -9 leaves a start without an end, and the next run goes on."""
    with learning(root):
        assert checks(root)["learner"] == "ok"
        refused = learn(root)
        assert refused.exit_code == 1
        assert "has a learner on this machine already" in str(refused.exception)
    found = {check["name"]: check for check in status(root)["checks"]}
    assert found["learner"]["state"] == found["last run"]["state"] == "wrong"
    assert "did not end cleanly" in found["last run"]["found"]
    record = json.loads(experiment("runs", "first", "--json", root=root).stdout)
    assert record["runs"][0]["end"] == "did not end cleanly"
    assert record["runs"][0]["cycles"] >= 2
    assert record["incidents"] == 1
    assert learn(root).exit_code == 0
    found = {check["name"]: check for check in status(root)["checks"]}
    assert found["last run"]["state"] == "ok"
    assert state(root)["step"] >= 4


def test_runs_lists_lineage_dates_games_and_best_figures(root: Path) -> None:
    assert learn(root).exit_code == 0
    text = experiment("runs", root=root).stdout
    assert f"{time.strftime('%Y-%m-%d', time.gmtime())}" in text
    assert "tiny.pt, step 0" in text.replace("\n", "")
    record = json.loads(experiment("runs", "first", "--json", root=root).stdout)
    assert (record["step"], record["games"], record["lineage"]["kind"]) == (2, 4, "file")
    assert {best["opponent"] for best in record["best"]} == {"random", "heuristic"}
    one = experiment("runs", "first", root=root).stdout
    assert "selfplay" in one
    assert "finished" in one
    assert experiment("runs", root=root / "elsewhere").exit_code == 0


def test_plot_draws_or_says_that_there_is_nothing(root: Path) -> None:
    nothing = experiment("plot", "first", root=root)
    assert nothing.exit_code == 1
    assert "first-metrics.jsonl does not exist" in nothing.stderr
    pytest.importorskip("matplotlib")
    assert learn(root).exit_code == 0
    out = root / "curves.png"
    done = experiment("plot", "first", "-o", out, root=root)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}\n"
    assert out.read_bytes().startswith(b"\x89PNG")


def test_revert_publishes_the_bootstrap_again_and_the_learner_goes_on(root: Path) -> None:
    assert learn(root).exit_code == 0
    bootstrap = root / "experiments" / "first" / "bootstrap.pt"
    before = state(root)

    asked = experiment("revert", "first", "--to", bootstrap, root=root)
    assert asked.exit_code == 2, "there is nobody to ask"
    assert "--yes" in asked.stderr
    dry = experiment("revert", "first", "--to", bootstrap, "--dry-run", root=root)
    assert dry.exit_code == 0
    assert "become step 3, after step 2" in dry.stderr
    assert state(root) == before

    done = experiment("revert", "first", "--to", bootstrap, "--yes", "--json", root=root)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["step"] == 3
    found = {check["name"]: check for check in status(root)["checks"]}
    assert f"reverted to {bootstrap} (step 0)" in found["published weights"]["found"]
    record = json.loads(experiment("runs", "first", "--json", root=root).stdout)
    assert [(event["from_step"], event["step"]) for event in record["reverts"]] == [(2, 3)]

    went_on = learn(root, cycles=1)
    assert "with a fresh optimizer" in went_on.stdout
    after = state(root)
    assert (after["step"], after["total_games"]) == (4, before["total_games"])
    assert after["ingested"] == before["ingested"]


def test_revert_needs_one_target(root: Path) -> None:
    assert experiment("revert", "first", root=root).exit_code == 2
    assert experiment("revert", "first", "--list", "--to", "x", root=root).exit_code == 2
    assert learn(root).exit_code == 0
    listed = experiment("revert", "first", "--list", root=root)
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert "keeps no earlier versions" in listed.stderr
    unknown = experiment("revert", "first", "--to", "abcdef1", "--yes", root=root)
    assert unknown.exit_code == 1
    assert "keeps no earlier versions" in str(unknown.exception)
