"""A batch through an accelerator: packed, copied, evaluated and copied back, pieces overlapping.

While a piece runs, the next one is packed into pinned memory and uploaded and the one before comes
back. Nothing in between waits for the device: one wait at the end of a batch is all there is, once
every shape has been met. A batch is cut into pieces of few shapes, so that each shape can have its
captured graph. What an accelerator must do is `Device`; `cuda.Cuda` is the real one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zebfast.core.records import OBS_DTYPE
from zebfast.net.output import WIDTH
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.folded import Folded

#: A batch is cut into about so many pieces: one is packed on the CPU and one copied back while
#: another runs, and short rows do not pay for long ones.
PIECES = 4
#: Smaller pieces are not cut off: they would cost launches and fill nothing.
LEAST_ROWS = 256
_LOG = logging.getLogger(__name__)
_SMALLEST = 32
_LENGTH_STEP = 2
#: How far the answers of a captured graph may lie from the same kernels launched one by one.
GRAPH_BOUND = 1e-3
#: Shapes kept; a worker meets far fewer, and more would be a sign of batches that vary wildly.
_MOST_SHAPES = 64

Work = Callable[[], object]


class Piece(NamedTuple):
    """Rows ``start`` to ``start + n`` of the sorted batch, run as a rectangle."""

    start: int
    n: int
    rows: int  # n rounded up to a bucket
    length: int  # the longest of them rounded up; 0 where the network has no lengths


def rows_bucket(n: int) -> int:
    """n rounded up to 32, 48, 64, 96, 128, 192, ...: at most half as many again."""
    size = _SMALLEST
    while size < n:
        size *= 2
    return size * 3 // 4 if size > _SMALLEST and n <= size * 3 // 4 else size


def length_bucket(length: int) -> int:
    """A length rounded up to an even number."""
    return -(-length // _LENGTH_STEP) * _LENGTH_STEP


def largest_piece(n: int, limit: int | None) -> int:
    """Rows of the pieces of a batch of n, padding included; ``limit``: the most there may be."""
    size = rows_bucket(max(-(-n // PIECES), min(n, LEAST_ROWS)))
    return size if limit is None else min(size, limit)


def plan(lengths: NDArray[np.int64], limit: int | None) -> tuple[NDArray[np.int64], list[Piece]]:
    """The order int64[B] in which rows go to the device, and its pieces.

    ``limit``: the most rows in one piece, padding included; None = as many as fit in PIECES.
    """
    n = len(lengths)
    order = np.argsort(lengths, kind="stable")
    size = largest_piece(n, limit)
    pieces = []
    for start in range(0, n, size):
        held = min(size, n - start)
        longest = int(lengths[order[start + held - 1]])
        pieces.append(Piece(start, held, min(rows_bucket(held), size), length_bucket(longest)))
    return order, pieces


def padding(lengths: NDArray[np.int64], pieces: list[Piece]) -> int:
    """Tokens that the pieces run beyond those of the rows themselves."""
    return sum(piece.rows * piece.length for piece in pieces) - int(lengths.sum())


class Device(Protocol):
    """One calling thread's accelerator: a stream that computes and one that copies."""

    def pinned(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        """Host memory that the device copies from and to by itself."""

    def buffer(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        """Zeros on the device, ready for both streams."""

    def upload(self, to: Tensor, source: Tensor) -> None:
        """Queue a copy from pinned memory; what is computed from now on comes after it."""

    def compute(self, work: Work) -> None:
        """Queue what ``work`` launches."""

    def download(self, to: Tensor, source: Tensor) -> None:
        """Queue a copy to pinned memory after what has been queued for computing so far."""

    def capture(self, work: Work) -> Work:
        """``work`` as one launch. RuntimeError if it cannot be captured; nothing is computed."""

    def wait(self) -> None:
        """Wait for everything queued: the only synchronisation."""

    def release(self) -> None:
        """Give unused memory back to the device, after all was dropped."""


class Buffers(NamedTuple):
    """What batches of up to so many rows pass through; the pieces use disjoint parts."""

    host_rows: Tensor  # pinned uint8[capacity, 44]
    device_rows: Tensor
    device_evals: Tensor
    host_evals: Tensor  # pinned float32[capacity, 8]


@dataclass
class Step:
    """One shape: a fixed input, a fixed output, and what fills the second from the first."""

    raw: Tensor  # uint8[rows, 44]
    evals: Tensor  # float32[rows, 8]
    work: Work


class Graphs:
    """Whether shapes are captured; shared by the threads of an evaluator, settled by the first."""

    def __init__(self) -> None:
        self.use = True

    def give_up(self, why: str) -> None:
        """Launch kernels one by one from now on, and say so once."""
        if self.use:
            self.use = False
            _LOG.warning(f"the network's kernels are launched one by one, not as a graph: {why}")


class Pipeline:
    """Runs batches for one thread; holds its buffers and the shapes it has met."""

    def __init__(self, device: Device, graphs: Graphs) -> None:
        self._device, self._graphs = device, graphs
        self._net: Folded | None = None
        self._buffers: Buffers | None = None
        self._steps: dict[tuple[int, int], Step] = {}

    def run(
        self, net: Folded, obs: NDArray[Any], evals: NDArray[np.float32], limit: int | None
    ) -> tuple[int, int]:
        """Evaluate OBS_DTYPE[B] into float32[B, 8]; tokens run, and tokens run as padding.

        ``limit``: the most rows at once. torch's out-of-memory error passes through; call
        ``release`` then.
        """
        if net is not self._net:
            self._steps.clear()  # graphs and shapes of weights that are no longer in use
            self._net = net
        lengths = net.lengths(obs)
        order, pieces = plan(lengths, limit)
        rows, buffers = record_bytes(obs).numpy(), self._room(len(obs))
        previous: Piece | None = None
        for piece in pieces:
            self._send(rows, order, piece, buffers)
            if previous is not None:
                self._fetch(previous, buffers)
            self._evaluate(net, piece, buffers)
            previous = piece
        if previous is not None:
            self._fetch(previous, buffers)
        self._device.wait()
        evals[order] = buffers.host_evals[: len(obs)].numpy()
        return int(lengths.sum()), padding(lengths, pieces)

    def release(self) -> None:
        """Drop everything, so that a smaller batch finds room."""
        self._device.wait()  # pinned memory may still be read or written
        self._steps.clear()
        self._buffers = None
        self._device.release()

    def _room(self, n: int) -> Buffers:
        if self._buffers is None or len(self._buffers.host_rows) < n:
            device, width = self._device, OBS_DTYPE.itemsize
            self._buffers = Buffers(
                device.pinned(n, width, torch.uint8),
                device.buffer(n, width, torch.uint8),
                device.buffer(n, WIDTH, torch.float32),
                device.pinned(n, WIDTH, torch.float32),
            )
        return self._buffers

    def _send(
        self, rows: NDArray[np.uint8], order: NDArray[np.int64], piece: Piece, buffers: Buffers
    ) -> None:
        part = slice(piece.start, piece.start + piece.n)
        np.take(rows, order[part], axis=0, out=buffers.host_rows[part].numpy(), mode="clip")
        self._device.upload(buffers.device_rows[part], buffers.host_rows[part])

    def _fetch(self, piece: Piece, buffers: Buffers) -> None:
        part = slice(piece.start, piece.start + piece.n)
        self._device.download(buffers.host_evals[part], buffers.device_evals[part])

    def _evaluate(self, net: Folded, piece: Piece, buffers: Buffers) -> None:
        shape = piece.rows, piece.length
        part = slice(piece.start, piece.start + piece.n)
        fresh = shape not in self._steps
        step = self._step(net, shape) if fresh else self._steps[shape]
        self._device.compute(lambda: step.raw[: piece.n].copy_(buffers.device_rows[part]))
        if fresh:
            if self._graphs.use:
                self._capture(step, piece.n)
            self._steps[shape] = step
        self._device.compute(step.work)
        self._device.compute(lambda: buffers.device_evals[part].copy_(step.evals[: piece.n]))

    def _step(self, net: Folded, shape: tuple[int, int]) -> Step:
        while len(self._steps) >= _MOST_SHAPES:
            self._device.wait()  # it may be running
            del self._steps[next(iter(self._steps))]
        rows, length = shape
        raw = self._device.buffer(rows, OBS_DTYPE.itemsize, torch.uint8)
        evals = self._device.buffer(rows, WIDTH, torch.float32)
        return Step(raw, evals, lambda: evals.copy_(net.on_device(raw, length)))

    def _capture(self, step: Step, n: int) -> None:
        """Put a graph in the place of the step's work if it says the same of the first n rows."""
        self._device.compute(step.work)  # also loads kernels and libraries, which a graph cannot
        self._device.wait()
        want = step.evals[:n].to("cpu", copy=True)
        try:
            replay = self._device.capture(step.work)
            self._device.compute(step.evals.zero_)
            self._device.compute(replay)
            self._device.wait()
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._graphs.give_up(first_line(error))
            return
        got = step.evals[:n].cpu()
        if torch.allclose(got, want, rtol=0, atol=GRAPH_BOUND, equal_nan=True):
            step.work = replay
        else:
            worst = float((got - want).abs().max())
            self._graphs.give_up(f"its answers differ by {worst:.2g}")


def first_line(error: BaseException) -> str:
    """What torch says before it goes into details."""
    return str(error).partition("\n")[0] or type(error).__name__
