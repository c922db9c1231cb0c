"""What rank 0 tells the others, who do nothing else: a message of eight numbers, and what it needs.

Every batch is drawn by rank 0, which alone has the replay buffers, and dealt out: rank r gets rows
r, r + W, ... of each. So a batch is the same whatever W is, on one machine or on several. In
between, while rank 0 takes in files, publishes or plays matches, a thread of its says now and then
that it is alive: a rank that hears nothing for the group's time ends itself.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from zebfast.learner.ranks.group import Group
from zebfast.learner.ranks.place import RankLost, RankPlace

_LOG = logging.getLogger(__name__)
_BEATS = 5  # in the time after which a silent rank is lost
_N_NUMBERS = 8


class Kind(IntEnum):
    """What a message says, and the numbers with it."""

    ALIVE = 0
    STATE = 1  # the trainer's state follows, of so many bytes
    ROWS = 2  # n_steps, batch size, has_teacher: the rows of these steps follow, and then each step
    COMPARE = 3  # each tells the digest of its state
    END = 4


class Share(NamedTuple):
    """A rank's part of the batches of some steps.

    ``rows`` uint8[n_steps, own rows, EXAMPLE_BYTES]; ``counts`` float32[n_steps, 3, 5], those of
    the whole batch, as ``losses.target_counts`` has them.
    """

    rows: NDArray[np.uint8]
    counts: NDArray[np.float32]
    has_teacher: bool


def hear(group: Group) -> tuple[Kind, list[float]]:
    """The next message of rank 0. Raises RankLost."""
    message = torch.zeros(_N_NUMBERS, dtype=torch.float64)
    group.broadcast(message)
    kind, *numbers = message.tolist()
    return Kind(int(kind)), numbers


def receive_state(group: Group, size: int) -> bytes:
    """What follows a STATE."""
    data = torch.empty(size, dtype=torch.uint8)
    group.broadcast(data)
    return data.numpy().tobytes()


def receive_rows(group: Group, numbers: list[float], *, row_bytes: int) -> Share:
    """What follows ROWS: this rank's share."""
    n_steps, batch_size, has_teacher = map(int, numbers[:3])
    n_own = len(range(group.rank, batch_size, group.world))
    counts = torch.empty(n_steps, 3, 5)
    group.broadcast(counts)
    rows = torch.empty(n_steps, n_own, row_bytes, dtype=torch.uint8)
    group.receive(rows)
    return Share(rows.numpy(), counts.numpy(), bool(has_teacher))


class Leader:
    """Rank 0's side of a group. Close it to end the other ranks.

    Args:
        timeout: seconds after which a silent rank is lost.
        place: this rank's; once nobody watches it any more, it is told to stop as by SIGTERM.

    Attributes:
        error: what the thread has found out; nothing is told any more.
    """

    def __init__(self, group: Group, place: RankPlace, *, timeout: float) -> None:
        self.group = group
        self.error: RankLost | None = None
        self._every, self._progressed = timeout / _BEATS, place.progressed
        self._watcher = place.parent
        self._told = time.monotonic()
        self._talking = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._live, name="ranks", daemon=True)
        self._thread.start()

    @property
    def world(self) -> int:
        return self.group.world

    @contextmanager
    def telling(self, kind: Kind, *numbers: float) -> Iterator[None]:
        """Tell the others, and do within what belongs to it, undisturbed. Raises RankLost."""
        with self._talking:
            if self.error is not None:
                raise self.error
            try:
                self._tell(kind, *numbers)
                yield
            except BaseException as error:
                # The others wait for what will not come: they are told nothing more.
                lost = RankLost(f"rank 0 ended in the middle of a {kind.name.lower()}")
                self.error = error if isinstance(error, RankLost) else lost
                raise
            self._told = time.monotonic()

    def _tell(self, kind: Kind, *numbers: float) -> None:
        padding = [0.0] * (_N_NUMBERS - 1 - len(numbers))
        self.group.broadcast(torch.tensor([kind, *numbers, *padding], dtype=torch.float64))

    def send(self, state: bytes) -> None:
        """What belongs to a STATE."""
        self.group.broadcast(torch.frombuffer(bytearray(state), dtype=torch.uint8))

    @contextmanager
    def dealing(
        self, rows: NDArray[np.uint8], counts: NDArray[np.float32], *, has_teacher: bool
    ) -> Iterator[Share]:
        """Deal out the rows uint8[n_steps, batch, EXAMPLE_BYTES] of some steps; make them within.

        Before each, ``Group.tell_step``. Gives our own share. Raises RankLost.
        """
        world, (n_steps, batch_size, _) = self.world, rows.shape
        with self.telling(Kind.ROWS, n_steps, batch_size, has_teacher):
            self.group.broadcast(torch.from_numpy(counts))
            parts = [np.ascontiguousarray(rows[:, rank::world]) for rank in range(world)]
            sent = [self.group.send(torch.from_numpy(parts[to]), to) for to in range(1, world)]
            for wait in sent:
                wait()
            yield Share(parts[0], counts, has_teacher)

    def compare(self, digest: int) -> list[int]:
        """The digests of all ranks, in their order."""
        with self.telling(Kind.COMPARE):
            found = self.group.gather(digest)
        if self._progressed is not None:
            self._progressed[0] = 1
        return found

    def close(self) -> None:
        """Tell the others to end, if they can still be told."""
        self._closed.set()
        with suppress(RankLost), self.telling(Kind.END):
            pass
        self._thread.join()
        self.group.close()

    # --- in the thread ---

    def _live(self) -> None:
        while not self._closed.wait(min(1.0, self._every / 2)) and self.error is None:
            if self._watcher and os.getppid() != self._watcher:
                self._watcher = 0
                _LOG.warning(
                    "whoever began this rank has ended, so it stops; the same command goes on"
                )
                os.kill(os.getpid(), signal.SIGTERM)
            # Whoever talks shows by that that we live.
            if time.monotonic() - self._told < self._every or not self._talking.acquire(False):
                continue
            try:
                self._tell(Kind.ALIVE)
                self._told = time.monotonic()
            except RankLost as error:
                self.error = error
            finally:
                self._talking.release()
