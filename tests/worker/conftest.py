"""A published small network and a way to run workers as processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import Start, publish

QUICK = ("--n-parallel-games", "8", "--n-simulations", "4", "--games-per-batch", "8",
         "--device", "cpu", "--threads", "1")  # fmt: skip


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    publish(tmp_path / "run", step=0)
    return tmp_path / "run"


@pytest.fixture
def start(run_dir: Path) -> Iterator[Start]:
    """Start a real worker on run_dir; whatever still runs at the end is killed."""
    running = []

    def start_worker(*flags: str, repo: Path = run_dir) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "zebfast.worker", "--repo-id", str(repo),
             "--output-dir", str(run_dir / "examples"), *QUICK, *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        return process

    yield start_worker
    for process in running:
        process.kill()
        process.communicate()
