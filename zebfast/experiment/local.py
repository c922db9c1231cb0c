"""A worker and a learner as two processes that meet in a directory."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from zebfast.exchange import ExchangeError, Namespace
from zebfast.learner.metrics import read_metrics

_BATCH = re.compile(r"batch (\d+): (\d+) examples, ([\d.]+) games/s, step=(\d+), total_games=(\d+)")
_STOP_SECONDS = 60.0


class RunFailed(ExchangeError):
    """One of the processes ended by itself; one sentence with the end of its log."""


@dataclass(frozen=True)
class LocalRunConfig:
    """Where a local run lives and what its two programs are told besides.

    Attributes:
        directory: weights, config, state, metrics and logs; examples in ``examples/`` below it.
        checkpoint: network to start from when the directory has none.
    """

    directory: Path
    checkpoint: Path
    worker_flags: Sequence[str] = ()
    learner_flags: Sequence[str] = ()

    @property
    def metrics_path(self) -> Path:
        return self.directory / Namespace.parse(None).metrics_file


@dataclass(frozen=True)
class RunStatus:
    """What a run has reached; losses are None until the first cycle."""

    games: int = 0
    examples: int = 0
    games_per_second: float = 0.0
    cycle: int = 0
    policy_loss: float | None = None
    value_loss: float | None = None
    win_rate: float | None = None


@dataclass
class LocalRun:
    """The two processes; use as a context, which ends them both on the way out."""

    config: LocalRunConfig
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _logs: list[IO[bytes]] = field(default_factory=list)

    def __enter__(self) -> LocalRun:
        try:
            self._start_both()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_both(self) -> None:
        directory = self.config.directory
        examples = directory / "examples"
        examples.mkdir(parents=True, exist_ok=True)
        places = ["--repo-id", str(directory)]
        self._start(
            "learner",
            [*places, "--input-dir", str(examples), "--checkpoint", str(self.config.checkpoint),
             *self.config.learner_flags],
        )  # fmt: skip
        self._start("worker", [*places, "--output-dir", str(examples), *self.config.worker_flags])

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            for process in self._processes.values():
                process.kill()
                process.wait()
                if process.stdin is not None:
                    process.stdin.close()
            for log in self._logs:
                log.close()

    def _start(self, role: str, flags: Sequence[str]) -> None:
        log = open(self.log_path(role), "ab")  # noqa: SIM115 - closed with the run
        self._logs.append(log)
        self._processes[role] = start_child([f"zebfast.{role}", *flags, "--stop-at-eof"], log)

    def log_path(self, role: str) -> Path:
        """Log of ``worker`` or ``learner``."""
        return self.config.directory / f"{role}.log"

    def watch(
        self, *, seconds: float, every: float, on_status: Callable[[RunStatus, float], None]
    ) -> None:
        """Report for so many seconds: ``on_status(status, elapsed seconds)`` at intervals.

        Raises:
            RunFailed: a process ended.
        """
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            self._check_alive()
            on_status(self.status(), elapsed)
            time.sleep(min(every, seconds - elapsed))

    def _check_alive(self) -> None:
        for role, process in self._processes.items():
            if process.poll() is not None:
                raise RunFailed(ended_sentence(role, process, self.log_path(role)))

    def status(self) -> RunStatus:
        """Read the worker's log and the learner's metrics."""
        worker = self.log_path("worker").read_text(errors="replace")
        batches = _BATCH.findall(worker)
        rows = read_metrics(self.config.metrics_path)
        trained = _last_with(rows, "train/policy_loss")
        rated = _last_with(rows, "eval/vs_random_win_rate")
        return RunStatus(
            games=sum(int(n) for _, n, *_ in batches) // 28,
            examples=sum(int(n) for _, n, *_ in batches),
            games_per_second=float(batches[-1][2]) if batches else 0.0,
            cycle=int(trained.get("step", 0)),
            policy_loss=trained.get("train/policy_loss"),
            value_loss=trained.get("train/value_loss"),
            win_rate=rated.get("eval/vs_random_win_rate"),
        )

    def stop(self) -> None:
        """Worker first, so that the learner counts its last games; each saves what it has."""
        for role in ("worker", "learner"):
            if role in self._processes:
                stop_child(self._processes[role])


def start_child(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a module of Python with its arguments; all it prints goes to ``log``.

    It has a session of its own, so that Ctrl-C reaches this process first, which ends it in order;
    and an input that ends with this process, so that it does, too, however that ends.
    """
    return subprocess.Popen(
        [sys.executable, "-u", "-m", *command],
        stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def stop_child(process: subprocess.Popen[bytes]) -> None:
    """Let a child that still runs save what it has and end; kill it if it takes too long."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ended_sentence(role: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """That a child ended by itself, with the end of its log."""
    end = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
    return f"the {role} ended with exit code {process.returncode}: {end} (whole log: {log})"


def _last_with(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((row for row in reversed(rows) if name in row), {})
