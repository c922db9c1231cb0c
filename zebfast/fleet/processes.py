"""Processes of this machine that are told apart for good: by id and by the time of their birth."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LOOK_SECONDS = 0.05
_KILL_SECONDS = 10.0  # until a killed process is gone, one in the kernel apart


@dataclass(frozen=True)
class Birth:
    """A process by its id and when it was born, in ticks since the boot; an id alone is reused."""

    pid: int
    ticks: int

    def is_alive(self) -> bool:
        """Is it this process that has the id now, and not yet ended?"""
        now = read_stat(self.pid)
        return now is not None and now.birth == self and now.state not in "ZX"


@dataclass(frozen=True)
class Stat:
    """What the kernel says of a process: its birth, session, and the letter of its state."""

    birth: Birth
    session: int
    state: str


def parse_stat(text: str) -> Stat:
    """One line of ``/proc/PID/stat``; the program's name in it may hold anything."""
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    return Stat(Birth(int(pid), int(fields[19])), int(fields[3]), fields[0])


def read_stat(pid: int) -> Stat | None:
    """What the kernel says of a process now; None when there is none of this id."""
    try:
        return parse_stat((_PROC / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def boot_id() -> str:
    """Differs after every start of this machine, when ids and ticks begin anew."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def end_session(leader: Birth, grace: float) -> bool:
    """End every process of the session that ``leader`` began.

    SIGTERM to the leader's group, once: a supervisor passes it on, and a second one would cut short
    what the first began. SIGKILL to all that are left after ``grace`` seconds. Halted ones are
    woken, so that they can save their work. Returns whether all are gone.
    """
    with suppress(ProcessLookupError):
        if leader.is_alive():
            os.killpg(leader.pid, signal.SIGTERM)
    _signal(leader, signal.SIGCONT)
    if _wait(leader, grace):
        return True
    _signal(leader, signal.SIGKILL)
    return _wait(leader, _KILL_SECONDS)


def _wait(leader: Birth, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while any(True for _ in _members(leader)):
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _signal(leader: Birth, number: int) -> None:
    for member in _members(leader):
        with suppress(ProcessLookupError):
            os.kill(member.pid, number)


def _members(leader: Birth) -> Iterator[Birth]:
    """The living processes of its session. An id is not reused while a session has it."""
    now = read_stat(leader.pid)
    if now is not None and now.birth != leader:
        return  # somebody else's id by now: the session ended before
    for path in _PROC.iterdir():
        if path.name.isdigit() and (stat := read_stat(int(path.name))):
            is_ours = stat.session == leader.pid and stat.birth.ticks >= leader.ticks
            if is_ours and stat.state not in "ZX":
                yield stat.birth
