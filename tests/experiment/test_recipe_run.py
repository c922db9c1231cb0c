"""A recipe from first weights to its end, with a kill -9 between: create, learn, learn again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from experiments import experiment, zebfast

from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.experiment.runlog import read_runs
from zebfast.learner.metrics import read_metrics
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.producer_kinds import EXACT, ROLLOUT

TINY = """
name = "tiny"
about = "Hardly anything, twice"
[network]
size = "small"
[training]
ema = 0.5
min_buffer_size = 64
training_steps_per_cycle = 2
warmup_steps = 0
[arena]
every_minutes = 60.0
n_games = 4
opponents = ["random"]
"""
STAGE = """
[[stages]]
name = "{mode}"
until_games = {until}
producer.mode = "{mode}"
producer.games_per_batch = 8
producer.n_parallel_games = 8
producer.n_groups = 1
producer.threads = 1
lr = 1e-3
lr_end = 1e-4
reuse = 1.0
batch_size = 64
"""
NAMESPACE = Namespace.parse("hour")
STAGES = (("exact", 48), ("rollout", 640))  # more than is made before the learner goes on


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Experiments below a run that was killed in its first stage, its worker with it."""
    root = tmp_path_factory.mktemp("recipe")
    recipe = root / "tiny.toml"
    stages = (STAGE.format(mode=mode, until=until) for mode, until in STAGES)
    recipe.write_text(TINY + "".join(stages))
    where = ("--experiments-dir", str(root / "experiments"))
    learner = ("--threads", "1", "--device", "cpu", "--local-replay-cache-dir", root / "cache",
               "--keep-example-files", "0")  # fmt: skip
    done = zebfast("experiment", "create", "hour", "--recipe", recipe, *where, "--", *learner)
    assert done.exit_code == 0, done.output
    command = [sys.executable, "-u", "-m", "zebfast", "experiment", "learn", "hour", *where]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            while "Cycle    2" not in (line := process.stdout.readline()):
                assert line, (root / "experiments/hour/worker.log").read_text()
        finally:
            process.kill()
    return root


def state(root: Path) -> dict[str, Any]:
    found = LocalWeightStore(root / "experiments/hour/run", NAMESPACE).read_state()
    assert found is not None
    return found


def worker_pids(root: Path) -> set[int]:
    """Processes that were told to work for this run."""
    asked, found = str(root / "experiments/hour/run/examples").encode(), set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if asked in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


def test_a_killed_run_goes_on_to_its_end(killed: Path) -> None:
    deadline = time.monotonic() + 60
    while worker_pids(killed):
        assert time.monotonic() < deadline, "the worker outlived the learner"
        time.sleep(0.1)
    before, threads = state(killed), torch.get_num_threads()
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        done = experiment("learn", "hour", root=killed)
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)
        torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output + (killed / "experiments/hour/worker.log").read_text()
    assert "Recipe tiny is done" in done.stdout
    assert "The recipe is done. What now:" in done.stdout
    assert not worker_pids(killed)
    after, directory = state(killed), killed / "experiments" / "hour"
    assert after["recipe"]["finished"] is True
    assert after["lineage"] == before["lineage"], "the same run, not another one"
    examples = directory / "run" / "examples" / "hour"
    counted = [read_examples(examples / name) for name in after["ingested"]]
    assert {file.source for file in counted} == {EXACT.source, ROLLOUT.source}
    games = [game.tobytes() for file in counted for game in file.records["obs"]]
    assert len(games) == len(set(games)), "no decision was handed over twice"
    assert after["total_games"] == sum(file.n_games for file in counted) >= STAGES[-1][1]
    rows = read_metrics(directory / "run" / NAMESPACE.metrics_file)
    cycles = [row["step"] for row in rows if "train/play_loss" in row]
    assert cycles == list(range(1, len(cycles) + 1))
    assert [row["stats/stage"] for row in rows] == sorted(row["stats/stage"] for row in rows)
    runs = read_runs(directory / "runs.jsonl")
    assert [run.stage for run in runs] == ["recipe", "recipe"]
    assert [run.reason for run in runs] == [None, "finished"]


def test_status_knows_that_the_recipe_is_done(killed: Path) -> None:
    done = experiment("status", "hour", "--check", root=killed)
    assert done.exit_code == 0, done.output
    assert "all 2 stages are played" in done.stdout
    again = experiment("learn", "hour", "--no-local-worker", root=killed)
    assert again.exit_code == 0
    assert "Recipe tiny is done" in again.stdout
