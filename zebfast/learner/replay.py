"""The replay buffers: rings of packed examples, 64 bytes each, sampled by step number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.core.records import EXAMPLE_DTYPE

EXAMPLE_BYTES = EXAMPLE_DTYPE.itemsize


class ReplayBuffer:
    """The newest ``capacity`` examples, in one preallocated flat array.

    Args:
        capacity: examples kept; older ones are overwritten.
        stream: word of the sampling counter, different for buffers that are mixed in one batch.
    """

    def __init__(self, capacity: int, *, stream: int = 0) -> None:
        self.capacity = capacity
        self.stream = stream
        self.total_added = 0
        self._records = np.zeros(capacity, EXAMPLE_DTYPE)
        self._bytes = self._records.view(np.uint8).reshape(capacity, EXAMPLE_BYTES)
        self._draws = np.zeros(capacity, np.uint32)

    def __len__(self) -> int:
        return min(self.total_added, self.capacity)

    def add(self, records: NDArray[np.void], draws: NDArray[np.uint32] | None = None) -> None:
        """Append EXAMPLE_DTYPE[N] in order; only the last ``capacity`` of them can stay.

        ``draws`` uint32[N] says how often each was drawn before; never, if it is left out.
        """
        self.total_added += max(0, len(records) - self.capacity)
        records = records[-self.capacity :]
        start = self.total_added % self.capacity
        places = np.arange(start, start + len(records)) % self.capacity
        self._records[places] = records
        self._draws[places] = 0 if draws is None else draws[-self.capacity :]
        self.total_added += len(records)

    def clear(self) -> None:
        """Drop all examples."""
        self.total_added = 0

    def sample(self, sizes: NDArray[np.int64], *, seed: int, step: int) -> NDArray[np.uint8]:
        """Uniform draws with replacement: ``sizes[i]`` of them for optimizer step ``step + i``.

        Returns uint8[sum(sizes), 64], step after step. The draw of a step is a function of (seed,
        stream, step, its size, number of examples held), so nothing has to be saved for a restart
        to continue it.
        """
        assert len(self), "an empty buffer cannot be sampled"
        rows = [
            np.random.Generator(
                np.random.Philox(key=seed, counter=[0, step + i, self.stream, 0])
            ).integers(0, len(self), size)
            for i, size in enumerate(sizes)
        ]
        drawn = np.concatenate(rows)
        np.add.at(self._draws, drawn, 1)
        batch: NDArray[np.uint8] = self._bytes[drawn]
        return batch

    def mean_draws(self) -> float:
        """How often the average example that is held now has been drawn; 0 when none is."""
        return float(self._draws[: len(self)].mean()) if len(self) else 0.0

    def contents(self) -> NDArray[np.void]:
        """EXAMPLE_DTYPE[len] as they lie in the ring (not a copy)."""
        return self._records[: len(self)]

    def draws(self) -> NDArray[np.uint32]:
        """uint32[len]: how often each of ``contents()`` has been drawn (not a copy)."""
        return self._draws[: len(self)]

    def restore(
        self,
        records: NDArray[np.void],
        draws: NDArray[np.uint32],
        *,
        capacity: int,
        total_added: int,
    ) -> None:
        """Replace everything by ``contents`` and ``draws`` of a buffer with these two numbers."""
        if capacity == self.capacity:
            self._records[: len(records)] = records
            self._draws[: len(records)] = draws
            self.total_added = total_added
            return
        start = total_added % capacity if total_added > capacity else 0
        self.total_added = 0
        self.add(np.roll(records, -start), np.roll(draws, -start))


def packed_rows(records: NDArray[Any]) -> NDArray[np.uint8]:
    """EXAMPLE_DTYPE[N] as uint8[N, 64], the form that batches have."""
    return np.ascontiguousarray(records).view(np.uint8).reshape(len(records), EXAMPLE_BYTES)
