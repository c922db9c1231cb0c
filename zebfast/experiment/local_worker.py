"""A worker beside the learner of an experiment, on the same machine, for as long as it learns."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from zebfast.experiment.commands import worker_flags
from zebfast.experiment.local import RunFailed, ended_sentence, start_child, stop_child
from zebfast.experiment.record import Experiment

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
        flags = worker_flags(self.experiment, "recipe", WORKER_ID)
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
