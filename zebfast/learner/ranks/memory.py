"""Memory that the ranks of one machine share, and how they wait for each other over it.

A wait that is over within the time of a step's smallest part is worth no system call: each rank
counts its turns in a word that all see, and looks at the words of the others. So do they hear of
rank 0 whether there is another step. That what was written before a word is seen with it holds for
x86-64, whose stores stay in order.
"""

from __future__ import annotations

import os
import platform
import time
from contextlib import ExitStack, suppress
from mmap import mmap
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import torch
from torch import Tensor

from zebfast.learner.ranks.place import RankLost

_LINE = 64  # bytes of a rank's words, so that no two ranks write to one line of a cache
_WORDS = _LINE // 8
_TURN, _PID, _TOLD, _RATE = range(4)  # what they are
_SPIN_SECONDS, _NAP_SECONDS, _LOOK_SECONDS = 5e-4, 5e-5, 0.25
#: Where words may be waited for.
STORES_STAY_IN_ORDER = platform.machine() in ("x86_64", "AMD64")


def roomy_file(size: int) -> IO[bytes] | None:
    """A file in memory of so many bytes, gone with its context; None where there is no room."""
    with suppress(OSError), ExitStack() as made:
        file = made.enter_context(NamedTemporaryFile(dir="/dev/shm", prefix="zebfast-"))
        # Else a write to a page without room would end this process.
        os.posix_fallocate(file.fileno(), 0, size)
        made.pop_all()
        return file
    return None


class CommonMemory:
    """A view of ``path``, which has room for float32[n] of each rank and zeros as its words.

    Args:
        timeout: seconds after which a rank that does not come is lost.
    """

    def __init__(self, path: str, *, n: int, rank: int, world: int, timeout: float) -> None:
        with open(path, "r+b") as file:
            memory = mmap(file.fileno(), self.size(n, world))
        words = world * _LINE
        flat = torch.frombuffer(memory, dtype=torch.float32, offset=words)
        self.tensors: list[Tensor] = list(flat.view(world, n))
        self._words = memoryview(memory)[:words].cast("q")
        self._rates = memoryview(memory)[:words].cast("d")
        self._own, self._rank, self._timeout = rank * _WORDS, rank, timeout
        self._others = [other * _WORDS for other in range(world) if other != rank]
        self._words[self._own + _PID] = os.getpid()
        self._turn = self._told = 0

    @staticmethod
    def size(n: int, world: int) -> int:
        """Bytes of the file."""
        return world * (_LINE + 4 * n)

    def wait_for_all(self) -> None:
        """Until every rank has come to this. Raises RankLost."""
        self._turn += 1
        self._words[self._own + _TURN] = self._turn
        for other in self._others:
            self._wait(other, _TURN, self._turn)

    def tell_step(self, lr: float) -> None:
        """As ``Group.tell_step``, where there is one."""
        self._told += 1
        self._rates[_RATE] = lr
        self._words[_TOLD] = self._told

    def hear_step(self) -> float:
        """What rank 0 has told. Raises RankLost."""
        self._told += 1
        self._wait(0, _TOLD, self._told)
        return self._rates[_RATE]

    def _wait(self, other: int, word: int, least: int) -> None:
        """Until a rank's word has come to ``least``: first without, then with pauses."""
        words, place, began = self._words, other + word, time.monotonic()
        look = _LOOK_SECONDS
        while words[place] < least:
            waited = time.monotonic() - began
            if waited < _SPIN_SECONDS:
                continue
            if waited > self._timeout or (waited > look and _is_gone(words[other + _PID])):
                what = "has ended" if waited <= self._timeout else f"did not come in {waited:.0f} s"
                raise RankLost(
                    f"rank {self._rank} has lost rank {other // _WORDS}, which {what}: what was "
                    "saved before stays, and all ranks begin anew from it; where nobody sees to "
                    "that, the same command does"
                )
            if waited > look:
                look += _LOOK_SECONDS
            time.sleep(_NAP_SECONDS)


def _is_gone(pid: int) -> bool:
    """Has this process ended, whether or not its parent has noticed?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return pid != 0
