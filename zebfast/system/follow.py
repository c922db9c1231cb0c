"""A file of lines that others append to, read on from where one was: never twice, never by half."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from zebfast.system.files import open_plain

BLOCK = 1 << 20
_TAIL = 64  # bytes before the own place by which a file is known to be the same still


class Follower:
    """Gives each whole line of a file once, as it grows.

    A file that is replaced, or cut and written anew, is read from its beginning. While it is gone,
    nothing comes of it and nothing is forgotten. Not for use by several threads at once.

    Attributes:
        generation: how often it began anew; what was made of the lines before holds no more.
        offset, size: bytes read so far, and there when it was last looked at.
        is_there: whether there was a file then.
        dropped: lines that were longer than ``BLOCK``, which no writer of ours writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        self.offset = self.size = self.dropped = 0
        self.is_there = False
        self._file: BinaryIO | None = None
        self._rest = b""  # of a line that is not whole yet
        self._skipping = False  # the rest of one that is too long
        self._tail = b""

    @property
    def is_behind(self) -> bool:
        """Whether there is more to be read at once."""
        return self.is_there and self.offset < self.size

    def read(self) -> list[bytes]:
        """The whole lines of the next block, without their ends; none where none is new.

        Raises OSError, also where the path is no plain file.
        """
        if not self._look():
            return []
        assert self._file is not None
        found = os.pread(self._file.fileno(), BLOCK, self.offset)
        self.offset += len(found)
        self._tail = (self._tail + found)[-_TAIL:]
        if self._skipping:
            _, end, found = found.partition(b"\n")
            self._skipping = not end
        *lines, self._rest = (self._rest + found).split(b"\n")
        if len(self._rest) > BLOCK:
            self._rest, self._skipping = b"", True
            self.dropped += 1
        return [line for line in lines if line]

    def close(self) -> None:
        """Hold the file no longer; it can be followed on."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _look(self) -> bool:
        """See how the file is now; whether there is something to read."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            self.is_there = False
            return False
        self.is_there, self.size = True, now.st_size
        if self._file is None or not self._is_same(now):
            self._begin()
        return self.is_behind

    def _is_same(self, now: os.stat_result) -> bool:
        assert self._file is not None
        own = os.fstat(self._file.fileno())  # held open, so that no other file gets its number
        if (own.st_dev, own.st_ino) != (now.st_dev, now.st_ino) or now.st_size < self.offset:
            return False
        start = self.offset - len(self._tail)
        return os.pread(self._file.fileno(), len(self._tail), start) == self._tail

    def _begin(self) -> None:
        self.close()
        self._file = open_plain(self.path)
        self.size = os.fstat(self._file.fileno()).st_size
        self.generation += 1
        self.offset = self.dropped = 0
        self._rest = self._tail = b""
        self._skipping = False


def sampled_lines(path: Path, *, pieces: int, size: int) -> list[bytes]:
    """Whole lines from places evenly spread over a long file, in order, the last ones among them.

    Args:
        pieces, size: how many places, and bytes read at each.

    Raises OSError.
    """
    with open_plain(path) as handle:
        length = os.fstat(handle.fileno()).st_size
        last = max(0, length - size)
        found: list[bytes] = []
        for number in range(pieces):
            begins = last if pieces == 1 else round(number * last / (pieces - 1))
            lines = os.pread(handle.fileno(), size, begins).split(b"\n")
            found += lines[1 if begins else 0 : -1]
    return [line for line in found if line]
