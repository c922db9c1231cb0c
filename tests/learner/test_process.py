"""The learner as a process: kill -9 again and again, SIGTERM, a second learner, wrong flags."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from zebfast.cli.learn import command
from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.learner.data.replay import ReplayBuffer, ReplayCache
from zebfast.learner.metrics import read_metrics
from zebfast.learner.state import load_checkpoint

AddFile = Callable[..., str]
NAME = Namespace.parse("exp")
N_KILLS = 4


class Runner:
    """Starts learners of one run directory."""

    def __init__(self, root: Path, run: Path, init_path: Path) -> None:
        self.root, self.run = root, run
        self.examples = run / "examples"
        self.flags = [
            *("--repo-id", str(run), "--input-dir", str(self.examples), "--weights-name", "exp"),
            *("--checkpoint", str(init_path), "--local-replay-cache-dir", str(run / "cache")),
            *("--batch-size", "8", "--training-steps-per-cycle", "3", "--min-buffer-size", "28"),
            *("--push-every", "1", "--eval-every", "0", "--keep-example-files", "3"),
            *("--local-replay-cache-save-every", "2", "--threads", "1", "--device", "cpu"),
        ]

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "zebfast.learner", *self.flags, *more],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def runner(repo_root: Path, tmp_path: Path, init_path: Path) -> Runner:
    return Runner(repo_root, tmp_path / "run", init_path)


def wait_for(process: subprocess.Popen[str], word: str) -> str:
    """Read lines until one has ``word``; all that was read."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if word in line:
            return text
    raise AssertionError(f"the learner ended without saying {word!r}:\n{text}")


def test_killed_at_any_moment_it_counts_every_file_once(runner: Runner, add_file: AddFile) -> None:
    added = 0
    for kill in range(N_KILLS):
        process = runner.start()
        try:
            wait_for(process, "Model:")
            for _ in range(4):
                add_file(runner.examples / "exp", added)
                added += 1
                time.sleep(0.013 * kill)
            wait_for(process, "Cycle")
            time.sleep(0.037 * kill)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    last = runner.start("--max-cycles", "2")
    text, _ = last.communicate(timeout=60)
    assert last.returncode == 0, text

    state = LocalWeightStore(runner.run, NAME).read_state()
    assert state is not None
    assert state["total_games"] == 2 * added
    saved = load_checkpoint(runner.run / "exp.ckpt")
    assert saved is not None
    assert (saved.progress.step, saved.progress.total_games) == (state["step"], 2 * added)
    replay = ReplayBuffer(500_000)
    lineage = saved.progress.lineage
    assert ReplayCache(runner.run / "cache" / f"exp-{lineage}", lineage).load(replay) is not None
    assert len(replay) == 28 * 2 * added  # none lost, none twice, though files were pruned
    steps = [row["step"] for row in read_metrics(runner.run / "exp-metrics.jsonl")]
    assert steps == list(range(1, state["step"] + 1))
    assert LocalWeightStore(runner.run, NAME).pull() is not None
    assert not list(runner.run.rglob("*.tmp"))
    assert len(list((runner.examples / "exp").glob("*.safetensors"))) < added


def test_sigterm_saves_and_a_second_learner_is_refused(runner: Runner, add_file: AddFile) -> None:
    add_file(runner.examples / "exp", 1)
    first = runner.start("--training-steps-per-cycle", "1000000")
    wait_for(first, "Ingested")
    second = runner.start()
    text, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"already has a learner (process {first.pid})" in text
    assert "Traceback" not in text
    first.send_signal(signal.SIGTERM)
    text, _ = first.communicate(timeout=60)
    assert first.returncode == 143, text
    saved = load_checkpoint(runner.run / "exp.ckpt")
    assert saved is not None
    assert saved.progress.steps_into_cycle > 0
    assert saved.progress.total_games == 2


def usage(*flags: str) -> str:
    """What a wrong command line prints; it must end with exit code 2."""
    result = CliRunner().invoke(command, list(flags))
    assert result.exit_code == 2, result.output
    return result.output


def test_wrong_flags_exit_2(tmp_path: Path) -> None:
    place = ["--repo-id", str(tmp_path), "--input-dir", str(tmp_path)]
    assert "Missing option" in usage("--repo-id", str(tmp_path))
    assert "weights name" in usage(*place, "--weights-name", "../up")
    assert "never be reached" in usage(*place, "--replay-buffer-size", "10")
    assert "--device" in usage(*place, "--device", "abacus")
    assert "--lr" in usage(*place, "--lr", "0")
    assert "--amp-dtype" in usage(*place, "--amp-dtype", "fp8")
    (tmp_path / "file").touch()
    assert "expected a directory" in usage(
        "--weights-dir", str(tmp_path / "file"), "--examples-repo-id", str(tmp_path)
    )


def test_dry_run_prints_the_settings_and_touches_nothing(tmp_path: Path) -> None:
    def settings(*flags: str) -> dict[str, Any]:
        result = CliRunner().invoke(command, [*flags, "--dry-run"], standalone_mode=False)
        assert result.exception is None, result.output
        found: dict[str, Any] = json.loads(result.output)
        return found

    here = settings(
        *("--weights-dir", str(tmp_path / "w"), "--input-dir", str(tmp_path / "e")),
        *("--eval-aux-max-model-lag", "-1", "--no-eval-aux-enabled", "--max-reuse", "7"),
    )
    assert (here["push_seconds"], here["poll_seconds"], here["max_reuse"]) == (0, 1, 7)
    assert (here["eval_aux_enabled"], here["eval_aux_max_model_lag"]) == (False, -1)
    there = settings("--repo-id", "owner/name", "--examples-bucket", "owner/other")
    assert (there["weights"], there["examples"]) == ("model owner/name", "bucket owner/other")
    assert (there["push_seconds"], there["poll_seconds"]) == (180, 20)  # few enough commits
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--eval-aux-batch-fraction", "1.5"),
        ("--eval-aux-max-model-lag", "-2"),
        ("--eval-aux-lag-half-life", "0"),
        ("--eval-aux-policy-weight", "-1"),
        ("--eval-aux-belief-weight", "inf"),
        ("--eval-aux-replay-buffer-size", "0"),
        ("--max-reuse", "-1"),
        ("--squash-after", "-1"),
    ],
)
def test_settings_of_the_streams_are_checked(tmp_path: Path, flag: str, value: str) -> None:
    text = usage("--weights-dir", str(tmp_path), "--input-dir", str(tmp_path), flag, value)
    assert flag[2:].replace("-", "_") in text.replace("-", "_")


def test_documented_command_line_is_understood(tmp_path: Path, init_path: Path) -> None:
    """Every documented flag at once; nothing to train on, so it ends by its time limit."""
    result = CliRunner().invoke(
        command,
        [
            *("--weights-dir", str(tmp_path / "w"), "--examples-repo-id", str(tmp_path / "e")),
            *("--weights-name", "large", "--checkpoint", str(init_path), "--lr", "1e-4"),
            *("--batch-size", "64", "--replay-buffer-size", "50000", "--eval-games", "2000"),
            *("--training-steps-per-cycle", "1000", "--keep-example-files", "128"),
            *("--amp", "--amp-dtype", "fp16", "--local-replay-cache-enabled"),
            *("--local-replay-cache-dir", str(tmp_path / "c"), "--max-example-age", "300"),
            *("--local-replay-cache-save-every", "25", "--eval-aux-enabled"),
            *("--eval-aux-replay-buffer-size", "100000", "--eval-aux-batch-fraction", "0.05"),
            *("--eval-aux-policy-weight", "0.0", "--eval-aux-value-weight", "1.0"),
            *("--eval-aux-belief-weight", "0.5", "--eval-aux-max-model-lag", "-1"),
            *("--eval-aux-lag-half-life", "200", "--eval-aux-min-keep-weight", "0.10"),
            *("--no-wandb", "--wandb-project", "zeb-mcts", "--run-name", "x", "--device", "cpu"),
            *("--train-diagnostics-every", "10", "--max-minutes", "0.001"),
        ],
        standalone_mode=False,
    )
    assert result.exception is None, result.output
    assert result.return_value == 0
    assert "Buffer 0/5000 — waiting for workers..." in result.output
    assert (tmp_path / "w" / "large-state.json").exists()


def test_missing_wandb_is_one_sentence(
    tmp_path: Path, init_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    from zebfast.learner.wandb import WandbError

    result = CliRunner().invoke(
        command,
        [
            *("--repo-id", str(tmp_path / "w"), "--input-dir", str(tmp_path), "--wandb"),
            *("--checkpoint", str(init_path), "--no-local-replay-cache-enabled"),
        ],
    )
    assert isinstance(result.exception, WandbError)
    assert "pip install 'zebfast[wandb]'" in str(result.exception)
    assert os.listdir(tmp_path / "w")


def test_wandb_run_is_resumed_by_its_id(
    tmp_path: Path, init_path: Path, add_file: AddFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    axes: list[Any] = []
    summary: dict[str, Any] = {}

    def log(row: dict[str, Any]) -> None:
        rows.append(row)
        summary.update(row)

    def init(**arguments: Any) -> SimpleNamespace:
        opened.append(arguments)
        return SimpleNamespace(
            id=arguments["id"] or "run-1",
            url="somewhere",
            define_metric=lambda name, step_metric=None: axes.append((name, step_metric)),
            log=log,
            summary=summary,
            finish=lambda: None,
        )

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    add_file(tmp_path / "e", 1)
    flags = ["--repo-id", str(tmp_path / "w"), "--input-dir", str(tmp_path / "e"), "--wandb"]
    flags += ["--checkpoint", str(init_path), "--no-local-replay-cache-enabled", "--max-cycles"]
    flags += ["1", "--min-buffer-size", "1", "--training-steps-per-cycle", "1"]
    for _ in range(2):
        result = CliRunner().invoke(command, [*flags, "--eval-every", "0"], standalone_mode=False)
        assert result.exception is None, result.output
        state = LocalWeightStore(tmp_path / "w", Namespace()).read_state()
        assert state is not None
        assert state["wandb_run_id"] == "run-1"
    assert [arguments["id"] for arguments in opened] == [None, "run-1"]
    assert {arguments["resume"] for arguments in opened} == {"allow"}
    assert ("*", "cycle") in axes
    assert [row["cycle"] for row in rows] == [1, 2]
