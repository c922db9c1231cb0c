"""A published small network and a way to run workers as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from runs import Start, publish

PLAIN = ("--device", "cpu", "--threads", "1", "--games-per-batch", "8")
SELFPLAY = ("--n-parallel-games", "8", "--n-simulations", "4")
EVAL_AUX = ("--n-samples", "2")


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    publish(tmp_path / "run", step=0)
    return tmp_path / "run"


@pytest.fixture
def launch(run_dir: Path) -> Iterator[Start]:
    """Start a real worker on run_dir; whatever still runs at the end is killed."""
    running = []

    def launch_worker(
        module: str, *flags: str, repo: Path = run_dir, env: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--repo-id", str(repo),
             "--output-dir", str(run_dir / "examples"), *PLAIN, *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        running.append(process)
        return process

    yield launch_worker
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def start(launch: Start) -> Start:
    """Start a quick self-play worker."""
    return partial(launch, "zebfast.worker", *SELFPLAY)


@pytest.fixture
def start_eval_aux(launch: Start) -> Start:
    """Start a quick eval-aux worker."""
    return partial(launch, "zebfast.worker.eval_aux", *EVAL_AUX)
