"""A worker and a learner as two processes that meet in a directory."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from zebfast.exchange import ExchangeError, Namespace
from zebfast.experiment.commands import worker_flags
from zebfast.experiment.experiment import Experiment
from zebfast.learner.metrics import read_metrics
from zebfast.selfplay.producer_kinds import RECIPE
from zebfast.system.events import BatchDone, Event, EventPipe

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
    _batches: list[BatchDone] = field(default_factory=list)
    _events: EventPipe | None = None
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
        command = [f"zebfast.{role}", *flags, "--stop-at-eof"]
        if role == "learner":
            self._processes[role] = start_child(command, log)
            return
        self._events = EventPipe(self._take)
        try:
            self._processes[role] = start_child(command, log, events=self._events.fd)
        finally:
            self._events.start()

    def _take(self, event: Event) -> None:
        if isinstance(event, BatchDone):
            self._batches.append(event)

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
        """What the worker has told, and the learner's metrics say."""
        batches = list(self._batches)
        rows = read_metrics(self.config.metrics_path)
        trained = _last_with(rows, "train/policy_loss")
        rated = _last_with(rows, "eval/vs_random_win_rate")
        return RunStatus(
            games=sum(batch.games for batch in batches),
            examples=sum(batch.examples for batch in batches),
            games_per_second=batches[-1].games_per_s if batches else 0.0,
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
        if self._events is not None:
            self._events.join(_STOP_SECONDS)


def start_child(
    command: Sequence[str], log: IO[bytes], *, events: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a module of Python with its arguments; all it prints goes to ``log``.

    It tells its events to the file descriptor ``events``, where one is given.

    It has a session of its own, so that Ctrl-C reaches this process first, which ends it in order;
    and an input that ends with this process, so that it does, too, however that ends.
    """
    told = [] if events is None else ["--events-fd", str(events)]
    return subprocess.Popen(
        [sys.executable, "-u", "-m", *command, *told],
        stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        pass_fds=() if events is None else (events,),
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


# --- A worker beside the learner of an experiment, on the same machine, for as long as it learns.

WORKER_ID = "local-0"
LOG_FILE = "worker.log"
_LOOK_SECONDS = 1.0


def games_seed(seed: int) -> int:
    """Seed of the games of a run whose other draws have ``seed``; 0 to 2**63 - 1.

    Far from the small numbers that people give, so that nobody's matches are on training deals.
    """
    digest = hashlib.sha256(f"games of a recipe {seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass
class LocalWorker:
    """The worker as a child that is started again when it crashes; use as a context.

    A worker that cannot be kept going sends this process SIGTERM, so that the learner saves what it
    has: a run that waits for nobody is worse than one that ends and says why. The end of the
    context then raises RunFailed.
    """

    experiment: Experiment
    _failed: RunFailed | None = None
    _process: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = None
    _closing: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    @property
    def log_path(self) -> Path:
        """All that it prints, over all runs."""
        return self.experiment.directory / LOG_FILE

    def __enter__(self) -> LocalWorker:
        flags = worker_flags(self.experiment, RECIPE.role, WORKER_ID)
        flags += ["--seed", str(games_seed(int(self.experiment.learner.get("seed", 0))))]
        self._log = open(self.log_path, "ab")
        self._process = start_child(
            ["zebfast", "host", "run", "--stop-at-eof", "--", *flags], self._log
        )
        self._watcher = threading.Thread(target=self._watch, name="local worker", daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        assert self._process is not None
        assert self._watcher is not None
        assert self._log is not None
        self._watcher.join()
        try:
            stop_child(self._process)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._log.close()
        if self._failed is not None:
            raise self._failed

    def _watch(self) -> None:
        assert self._process is not None
        while not self._closing.wait(_LOOK_SECONDS):
            if self._process.poll() is not None:
                sentence = ended_sentence("worker", self._process, self.log_path)
                self._failed = RunFailed(f"{sentence}; the same command continues")
                os.kill(os.getpid(), signal.SIGTERM)
                return
