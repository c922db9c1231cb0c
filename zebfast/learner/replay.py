"""The replay buffer: a ring of packed examples, 64 bytes each, sampled by step number."""

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
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.total_added = 0
        self._records = np.zeros(capacity, EXAMPLE_DTYPE)
        self._bytes = self._records.view(np.uint8).reshape(capacity, EXAMPLE_BYTES)

    def __len__(self) -> int:
        return min(self.total_added, self.capacity)

    def add(self, records: NDArray[np.void]) -> None:
        """Append EXAMPLE_DTYPE[N] in order; only the last ``capacity`` of them can stay."""
        self.total_added += max(0, len(records) - self.capacity)
        records = records[-self.capacity :]
        start = self.total_added % self.capacity
        head = min(len(records), self.capacity - start)
        self._records[start : start + head] = records[:head]
        self._records[: len(records) - head] = records[head:]
        self.total_added += len(records)

    def sample(self, *, n_steps: int, batch_size: int, seed: int, step: int) -> NDArray[np.uint8]:
        """Uniform draws with replacement for ``n_steps`` optimizer steps from number ``step`` on.

        Returns uint8[n_steps, batch_size, 64]. The draw of a step is a function of (seed, step,
        number of examples held), so nothing has to be saved for a restart to continue it.
        """
        assert len(self), "an empty buffer cannot be sampled"
        rows = np.empty((n_steps, batch_size), np.int64)
        for i in range(n_steps):
            counter = np.random.Philox(key=seed, counter=[0, step + i, 0, 0])
            rows[i] = np.random.Generator(counter).integers(0, len(self), batch_size)
        return self._bytes[rows]

    def contents(self) -> NDArray[np.void]:
        """EXAMPLE_DTYPE[len] as they lie in the ring (not a copy)."""
        return self._records[: len(self)]

    def restore(self, records: NDArray[np.void], *, capacity: int, total_added: int) -> None:
        """Replace everything by the ``contents`` of a buffer with these two numbers."""
        if capacity == self.capacity:
            self._records[: len(records)] = records
            self.total_added = total_added
            return
        start = total_added % capacity if total_added > capacity else 0
        self.total_added = 0
        self.add(np.concatenate([records[start:], records[:start]]))


def packed_rows(records: NDArray[Any]) -> NDArray[np.uint8]:
    """EXAMPLE_DTYPE[N] as uint8[N, 64], the form that batches have."""
    return np.ascontiguousarray(records).view(np.uint8).reshape(len(records), EXAMPLE_BYTES)
