"""What tests of worker processes share: waiting for them, and what they wrote."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from runs import publish

from zebfast.core.options import SearchOptions
from zebfast.exchange import Namespace, Place, StoreOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import Examples
from zebfast.worker.config import WorkerConfig


def examples_in(run_dir: Path, worker_id: str = "worker-0") -> list[Examples]:
    """The example files of one worker, in order of their names."""
    folder = run_dir / "examples"
    return [read_examples(p) for p in sorted(folder.glob(f"{worker_id}_*")) if p.is_file()]


def finish(process: subprocess.Popen[str], timeout: float = 60) -> tuple[int, str, str]:
    """Exit code, output and errors of a process that ends by itself."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def wait_for_files(
    run_dir: Path, n: int, process: subprocess.Popen[str], worker_id: str = "worker-0"
) -> None:
    """Wait until a worker has written n files; AssertionError where it ends before."""
    deadline = time.monotonic() + 60
    while len(list((run_dir / "examples").glob(f"{worker_id}_*"))) < n:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_line(words: str, process: subprocess.Popen[str]) -> str:
    """The next line of a process's output that holds these words.

    A process that has not said them after two minutes is killed, so that no test waits for ever.
    """
    assert process.stdout is not None
    silence = threading.Timer(120, process.kill)
    silence.start()
    try:
        while words not in (line := process.stdout.readline()):
            if not line:
                process.wait()
                raise AssertionError(f"the worker ended without saying {words!r}")
        return line
    finally:
        silence.cancel()


def child_of(process: subprocess.Popen[str]) -> int:
    """The process id of the worker that a supervisor has started: its newest child."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[-1])


def games_of(files: list[Examples]) -> list[bytes]:
    """Every game as bytes: its first observation and all its plays."""
    games = []
    for file in files:
        obs = file.records["obs"].reshape(-1, 28)
        games += [row[0].tobytes() + row[27].tobytes() for row in obs]
    return games


def one_batch(tmp_path: Path, **changes: Any) -> WorkerConfig:
    """One batch of four quick games with a network that is published here."""
    publish(tmp_path / "run", step=0)
    base: dict[str, Any] = {
        "weights": Place.directory(tmp_path / "run"),
        "examples": Place.directory(tmp_path / "examples"),
        "stores": StoreOptions(state_dir=tmp_path / "run"),
        "namespace": Namespace.parse(None),
        "producer": SelfPlayConfig(n_parallel_games=4, search=SearchOptions(n_simulations=2)),
        "games_per_batch": 4,
        "max_batches": 1,
        "seed": 1,
        "disk_retry_seconds": 0.01,
    }
    return WorkerConfig(**(base | changes))
