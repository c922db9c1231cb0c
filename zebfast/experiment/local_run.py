"""A worker and a learner as two processes that meet in a directory."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
    _children: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> LocalRun:
        config, examples = self.config, self.config.directory / "examples"
        examples.mkdir(parents=True, exist_ok=True)
        places = ("--repo-id", str(config.directory))
        own = ("--input-dir", str(examples), "--checkpoint", str(config.checkpoint))
        try:
            self._start("learner", (*places, *own, *config.learner_flags))
            self._events = EventPipe(self._take)
            own = ("--output-dir", str(examples), "--events-fd", str(self._events.fd))
            try:
                self._start("worker", (*places, *own, *config.worker_flags), self._events.fd)
            finally:
                self._events.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, role: str, flags: Sequence[str], *inherited: int) -> None:
        started = child(
            [f"zebfast.{role}", *flags, "--stop-at-eof"], self.log_path(role), *inherited
        )
        self._processes[role] = self._children.enter_context(started)

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._children.close()

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


@contextmanager
def child(command: Sequence[str], log: Path, *inherited: int) -> Iterator[subprocess.Popen[bytes]]:
    """A module of Python with its arguments, which adds all that it prints to ``log``.

    It inherits these file descriptors. Killed at the end if nobody has stopped it before.
    """
    with open(log, "ab") as file:
        process = start_child(command, file, *inherited)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


def start_child(command: Sequence[str], log: IO[bytes], *inherited: int) -> subprocess.Popen[bytes]:
    """Start such a module.

    It has a session of its own, so that Ctrl-C reaches this process first, which ends it in order;
    and an input that ends with this process, so that it does, too, however that ends.
    """
    return subprocess.Popen(
        [sys.executable, "-u", "-m", *command],
        stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        pass_fds=inherited,
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
    _closing: threading.Event = field(default_factory=threading.Event)
    _children: ExitStack = field(default_factory=ExitStack)

    @property
    def log_path(self) -> Path:
        """All that it prints, over all runs."""
        return self.experiment.directory / LOG_FILE

    def __enter__(self) -> LocalWorker:
        flags = worker_flags(self.experiment, RECIPE.role, WORKER_ID)
        flags += ["--seed", str(games_seed(int(self.experiment.learner.get("seed", 0))))]
        command = ["zebfast", "host", "run", "--stop-at-eof", "--", *flags]
        process = self._process = self._children.enter_context(child(command, self.log_path))
        self._children.callback(stop_child, process)
        watcher = threading.Thread(
            target=self._watch, args=(process,), name="local worker", daemon=True
        )
        watcher.start()
        self._children.callback(watcher.join)
        self._children.callback(self._closing.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._children.close()
        if self._failed is not None:
            raise self._failed

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while not self._closing.wait(_LOOK_SECONDS):
            if process.poll() is not None:
                sentence = ended_sentence("worker", process, self.log_path)
                self._failed = RunFailed(f"{sentence}; the same command continues")
                os.kill(os.getpid(), signal.SIGTERM)
                return
