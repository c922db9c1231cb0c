"""What happens to machines of the local provider at night: frozen, killed, their worker killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from zebfast.fleet.local import parse_stat, read_stat


class LocalMachine:
    """One machine by the directory that the provider keeps for it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.leader = parse_stat((home / "birth").read_text()).birth

    @property
    def log(self) -> str:
        return (self.home / "log.txt").read_text()

    def processes(self) -> list[int]:
        """Everything that lives in its session: supervisor, worker and their children."""
        return [pid for pid, session in _sessions() if session == self.leader.pid]

    def command_lines(self) -> list[str]:
        """Of all its processes, as every user of this machine may read them."""
        return [_command(pid) for pid in self.processes()]

    def freeze(self) -> None:
        """Nothing runs any more and nothing ends: what a hung host looks like."""
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def vanish(self) -> None:
        """Everything is gone at once: a machine that was reclaimed without a word."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def crash_worker(self) -> None:
        """SIGKILL for the worker alone; its supervisor lives on."""
        [worker] = [pid for pid in self.processes() if "-m\0zebfast.worker\0" in _command(pid)]
        os.kill(worker, signal.SIGKILL)


def _sessions() -> Iterator[tuple[int, int]]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (stat := read_stat(int(path.name))) and stat.state not in "ZX":
            yield stat.birth.pid, stat.session


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
