"""One machine with an account on the loopback Hub: its folder, its programs and their logs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub import Hub


class Site:
    """The programs of one experiment as a user starts them.

    Args:
        name: of the experiment.
        more_env: further variables of all programs.
    """

    def __init__(
        self, root: Path, hub: Hub, name: str, more_env: Mapping[str, str] | None = None
    ) -> None:
        self.root, self.hub, self.name = root, hub, name
        self.env = hub.env(XDG_CACHE_HOME=str(root / "cache"), HOME=str(root), **(more_env or {}))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def zebfast(self, *arguments: str, polite: bool = False) -> str:
        """Standard output of a command that must succeed."""
        done = subprocess.run(
            [*_nice(polite), sys.executable, "-m", "zebfast", *arguments],
            cwd=self.root, env=self.env, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, *arguments: str, polite: bool = False) -> None:
        """Start a program; a polite one, and what it starts, leaves the cores to the others."""
        with open(self.log(name), "ab") as log:
            self.processes[name] = subprocess.Popen(
                [*_nice(polite), sys.executable, "-u", "-m", "zebfast", *arguments],
                cwd=self.root, env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def learn(self, stage: str) -> int:
        """Start the learner; where its log begins."""
        before = len(self.log("learner").read_text()) if self.log("learner").exists() else 0
        self.start("learner", "experiment", "learn", self.name, "--stage", stage)
        return before

    def end(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGTERM)
        assert self.processes[name].wait(90) == 143, self.log(name).read_text()[-3000:]

    def log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def wait_for(self, name: str, pattern: str, *, since: int = 0) -> re.Match[str]:
        """The first match in a log behind ``since``; what the log ends with after some minutes."""
        deadline = time.monotonic() + 400
        while True:
            text = self.log(name).read_text()
            if found := re.search(pattern, text[since:], re.M):
                return found
            assert self.processes[name].poll() is None, text[-3000:]
            assert time.monotonic() < deadline, f"no {pattern!r} in {text[-3000:]}"
            time.sleep(0.2)

    def status(self) -> dict[str, Any]:
        printed = self.zebfast("experiment", "status", self.name, "--json")
        answer: dict[str, Any] = json.loads(printed)
        return answer

    def checks(self) -> dict[str, str]:
        """State of each verification step by its name."""
        return {check["name"]: check["state"] for check in self.status()["checks"]}

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def _nice(polite: bool) -> list[str]:
    return ["nice", "-n", "3"] if polite else []
