"""A v2 network from its first weights to a match: init, worker and learner, export, arena."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from quick import QUICK_LEARNER, QUICK_WORKER

from zebfast.cli import init
from zebfast.cli.evaluate import evaluate
from zebfast.cli.init import export
from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.experiment.local_run import LocalRun, LocalRunConfig, RunStatus
from zebfast.net import checkpoint
from zebfast.net.networks import sized
from zebfast.selfplay.example_files import read_examples

PACE = ("--training-steps-per-cycle", "4", "--eval-every", "0", "--push-every", "1")


class Enough(Exception):
    """The run has got as far as the test needs it."""


@pytest.fixture
def config(tmp_path: Path) -> LocalRunConfig:
    first = tmp_path / "first.pt"
    flags = ["--tokenizer", "v2", "--size", "small", "--belief-head", "-o", str(first)]
    done = CliRunner().invoke(init.command, flags)
    assert done.exit_code == 0, done.output
    cache = ("--local-replay-cache-dir", str(tmp_path / "cache"))
    return LocalRunConfig(
        directory=tmp_path / "run",
        checkpoint=first,
        worker_flags=QUICK_WORKER,
        learner_flags=(*QUICK_LEARNER, *PACE, *cache),
    )


def until_both_have_learned(run: LocalRun) -> None:
    """Watch until the worker has played with trained weights and they were trained further."""

    def on_status(status: RunStatus, _elapsed: float) -> None:
        worker = run.log_path("worker").read_text()
        if status.cycle > 1 and re.search(r"batch \d+: .* step=[1-9]", worker):
            raise Enough

    with pytest.raises(Enough):
        run.watch(seconds=60, every=0.1, on_status=on_status)


def win_rate(player: str) -> float:
    """Of the network against the random player."""
    arguments = [player, "vs", "random", "--n-games", "20", "--device", "cpu", "--json"]
    done = CliRunner().invoke(evaluate, arguments)
    assert done.exit_code == 0, done.output
    return float(json.loads(done.stdout)["win_rate"])


def test_a_v2_network_from_first_weights_to_a_match(config: LocalRunConfig, tmp_path: Path) -> None:
    with LocalRun(config) as run:
        until_both_have_learned(run)
        run.stop()
        assert "points_loss=" in run.log_path("learner").read_text()
    played = [read_examples(p) for p in (config.directory / "examples").glob("worker-0_*")]
    assert {file.metadata["tokenizer"] for file in played} == {"v2"}
    published = LocalWeightStore(config.directory, Namespace.parse(None)).pull()
    assert published is not None
    assert published.config == sized("v2", "small", belief_head=True).to_dict()
    assert published.total_games == sum(file.n_games for file in played)
    assert max(file.metadata["model_step"] for file in played) > 0

    out = tmp_path / "export.safetensors"
    arguments = [str(config.directory / "model.ckpt"), str(out)]
    assert CliRunner().invoke(export, arguments).exit_code == 0
    assert checkpoint.load(out).config == sized("v2", "small", belief_head=True)
    assert win_rate(f"zeb:source={config.directory}") == win_rate(f"zeb:source={out}")
