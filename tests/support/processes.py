"""Long-running programs under test."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from pathlib import Path


class Process:
    """A process whose lines are collected while it runs."""

    def __init__(self, command: list[str], env: dict[str, str], root: Path) -> None:
        self.process = subprocess.Popen(
            command, env=env, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()

    def wait_for(self, pattern: str, *, after: int = 0, seconds: float = 60) -> int:
        """Until a line matches; the number of lines up to and with it."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                for number, line in enumerate(self.lines):
                    if number >= after and re.search(pattern, line):
                        return number + 1
                assert time.monotonic() < deadline, f"no {pattern!r} in:\n" + "\n".join(self.lines)
                self._news.wait(0.1)

    def end(self, *, signal_number: int = signal.SIGTERM) -> int:
        self.process.send_signal(signal_number)
        return self.process.wait(60)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)
