"""Worker and learner as processes that are killed with SIGKILL and started again."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Flags = tuple[str, ...]

# Starting takes a fork half a second: so some kills hit that, and most hit the work.
KILL_AFTER_SECONDS = (0.1, 1.6)


class Pair:
    """The two processes of one run, started again and again with the same flags.

    Args:
        logs: directory of their logs.
        flags: by role, ``worker`` and ``learner``.
        named: the example files there are now, under their final names.
        env: environment of both; None is this process's.
    """

    def __init__(
        self,
        logs: Path,
        flags: Mapping[str, Flags],
        named: Callable[[], set[str]],
        *,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.logs, self.flags, self.named = logs, flags, named
        self.env = dict(os.environ if env is None else env)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.seen: set[str] = set()

    def start(self, role: str) -> None:
        with open(self.log(role), "ab") as log:
            self.processes[role] = subprocess.Popen(
                [sys.executable, "-u", "-m", f"zebfast.{role}", *self.flags[role]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self.env,
            )  # fmt: skip

    def kill(self, role: str) -> None:
        assert self.processes[role].poll() is None, self.log(role).read_text()[-2000:]
        self.processes[role].kill()
        self.processes[role].wait()
        self.seen |= self.named()

    def end(self, role: str) -> None:
        """SIGTERM; the process saves and ends by itself."""
        self.processes[role].terminate()
        assert self.processes[role].wait(60) == 143, self.log(role).read_text()[-2000:]
        self.seen |= self.named()

    def log(self, role: str) -> Path:
        return self.logs / f"{role}.log"

    def wait_for(self, role: str, words: str, *, since: int) -> None:
        """Until the role's log has the words behind its first ``since`` characters."""
        deadline = time.monotonic() + 60
        while words not in self.log(role).read_text()[since:]:
            assert self.processes[role].poll() is None, self.log(role).read_text()[-2000:]
            assert time.monotonic() < deadline, f"the {role} never said {words!r}"
            time.sleep(0.05)

    def wait_for_files(self, n: int) -> None:
        """Until so many example files have got their final names."""
        deadline = time.monotonic() + 240
        while len(self.seen) < n:
            assert time.monotonic() < deadline, f"only {len(self.seen)} files after four minutes"
            time.sleep(0.05)
            self.seen |= self.named()

    def ordeal(self, n_kills: int, *, seed: int, files: int) -> None:
        """All kills, the worker and the learner in turn, then a clean end, the worker first.

        The end comes when there are at least ``files`` example files: on a busy machine most kills
        hit the start.
        """
        rng = random.Random(seed)
        for role in ("learner", "worker"):
            self.start(role)
        for kill in range(n_kills):
            time.sleep(rng.uniform(*KILL_AFTER_SECONDS))
            role = ("worker", "learner")[kill % 2]
            self.kill(role)
            self.start(role)
        since = len(self.log("learner").read_text())
        self.wait_for("learner", "Cycle", since=since)
        self.wait_for_files(files)
        self.end("worker")
        self.end("learner")

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
