"""CUDA as the pipeline uses it: two streams, pinned memory, captured graphs.

Written without a GPU at hand: the pipeline over it is tested with a stand-in on the CPU, this file
only by the tests marked ``gpu``.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor

from zebfast.net.torch.pipeline import Work


class Cuda:
    """A `pipeline.Device` for one thread.

    ``capturing``: shared by the threads of an evaluator, so that one captures at a time.
    """

    def __init__(self, device: torch.device, capturing: threading.Lock) -> None:
        self._device, self._capturing = device, capturing
        self._compute: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._copies: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool: Any = torch.cuda.graph_pool_handle()

    def pinned(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        """Page-locked host memory [rows, width]."""
        return torch.empty(rows, width, dtype=dtype, pin_memory=True)

    def buffer(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        """Zeros [rows, width] that both streams may use from now on."""
        with torch.cuda.stream(self._compute):
            made = torch.zeros(rows, width, dtype=dtype, device=self._device)
        # The allocator must not hand the memory to others while the second stream still uses it.
        made.record_stream(self._copies)
        self._copies.wait_stream(self._compute)
        return made

    def upload(self, to: Tensor, source: Tensor) -> None:
        """Copy on the copying stream; the computing stream goes on after it."""
        with torch.cuda.stream(self._copies):
            to.copy_(source, non_blocking=True)
        self._compute.wait_event(self._copies.record_event())

    def compute(self, work: Work) -> None:
        """Launch on the computing stream."""
        with torch.cuda.device(self._device), torch.cuda.stream(self._compute):
            work()

    def download(self, to: Tensor, source: Tensor) -> None:
        """Copy back on the copying stream, after what is queued on the computing stream."""
        self._copies.wait_event(self._compute.record_event())
        with torch.cuda.stream(self._copies):
            to.copy_(source, non_blocking=True)

    def capture(self, work: Work) -> Work:
        """A graph of what ``work`` launches; all of a thread's graphs share one memory pool,
        which is sound because they run one after another on one stream."""
        graph: Any = torch.cuda.CUDAGraph()
        with (
            self._capturing,
            torch.cuda.device(self._device),
            torch.cuda.graph(
                graph,
                pool=self._pool,
                stream=self._compute,
                capture_error_mode="thread_local",  # other threads go on launching
            ),
        ):
            work()
        return lambda: graph.replay()

    def wait(self) -> None:
        """Wait for both streams; the copying one waits for the computing one before it ends."""
        self._copies.wait_event(self._compute.record_event())
        self._copies.synchronize()

    def release(self) -> None:
        """Hand cached blocks back to the driver."""
        torch.cuda.empty_cache()
