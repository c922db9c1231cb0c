"""An accelerator made of the CPU: queues what it is told and runs it late, in a hostile order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[], None]


class FakeDevice:
    """A `pipeline.Device` with two queues that only keep the order they promise.

    ``copies_first``: which queue runs as far as it can before the other one moves. Counts waits,
    launches and replays; ``captured`` decides what a graph is.
    """

    def __init__(self, *, copies_first: bool = True) -> None:
        self.copies_first = copies_first
        self.waits = self.launches = self.replays = self.captures = self.releases = 0
        self.captured: Callable[[Work], Work] = lambda work: work
        self._queues: dict[str, deque[tuple[Work, int]]] = {"copy": deque(), "compute": deque()}
        self._queued = {"copy": 0, "compute": 0}
        self._done = {"copy": 0, "compute": 0}
        self._compute_after = 0  # uploads that what is computed from now on comes after

    def pinned(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        return torch.full((rows, width), 77, dtype=dtype)  # whatever lay there before

    def buffer(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        return torch.zeros(rows, width, dtype=dtype)

    def upload(self, to: Tensor, source: Tensor) -> None:
        self._queue("copy", lambda: _copy(to, source), after=0)
        self._compute_after = self._queued["copy"]

    def compute(self, work: Work) -> None:
        self.launches += 1
        self._queue("compute", work, after=self._compute_after)

    def download(self, to: Tensor, source: Tensor) -> None:
        self._queue("copy", lambda: _copy(to, source), after=self._queued["compute"])

    def capture(self, work: Work) -> Work:
        self.captures += 1
        replay = self.captured(work)

        def counted() -> None:
            self.replays += 1
            replay()

        return counted

    def wait(self) -> None:
        self.waits += 1
        names = ["copy", "compute"] if self.copies_first else ["compute", "copy"]
        while any(self._queues.values()):
            name = next(name for name in names if self._ready(name))
            work, _ = self._queues[name].popleft()
            try:
                work()
            except BaseException:
                self.__init__(copies_first=self.copies_first)  # type: ignore[misc]
                raise
            self._done[name] += 1

    def release(self) -> None:
        self.releases += 1

    def _queue(self, name: str, work: Work, *, after: int) -> None:
        self._queues[name].append((work, after))
        self._queued[name] += 1

    def _ready(self, name: str) -> bool:
        queue, other = self._queues[name], "compute" if name == "copy" else "copy"
        return bool(queue) and queue[0][1] <= self._done[other]


def _copy(to: Tensor, source: Tensor) -> None:
    to.copy_(source)
