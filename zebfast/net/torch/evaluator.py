"""The evaluator of any network on any device, by torch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zebfast.net.evaluator import DeviceMissing, Evaluator, Unsupported
from zebfast.net.networks import AnyConfig, Arrays
from zebfast.net.packing import check_observations
from zebfast.net.precision import EXACT
from zebfast.net.torch.cuda import Cuda
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.folded import Folded, fold
from zebfast.net.torch.pipeline import (
    Device,
    Graphs,
    Pipeline,
    first_line,
    largest_piece,
    length_bucket,
)
from zebfast.net.torch.precision import DTYPES, settle

_LOG = logging.getLogger(__name__)


class TorchEvaluator(Evaluator[Folded]):
    """Evaluates with torch.

    On the CPU it uses torch's thread count as it finds it; on CUDA every calling thread has its own
    streams, pinned buffers and captured graphs, and waits for its own results only.
    """

    def __init__(
        self,
        config: AnyConfig,
        weights: Mapping[str, Any],
        *,
        device: str | torch.device = "cpu",
        dtype: str = EXACT,
        chunk_tokens: int = 1024,
    ) -> None:
        """Fold ``weights`` for ``device`` (``cpu``, ``cuda``, ``cuda:N``) and ``dtype``.

        ``dtype``: one of DTYPES or ``auto``, see `precision.settle`. ``chunk_tokens``: about how
        many tokens the CPU runs through all layers at a time, so that activations stay in cache.
        Every fallback is logged as a warning. ValueError for an unknown dtype or weights that do
        not fit ``config``; DeviceMissing if the device is not there.
        """
        self._device = torch.device(device)
        settled = settle(dtype, self._device)
        if self._device.type == "cuda" and not torch.cuda.is_available():
            raise DeviceMissing(f"device {device} was asked for, but no CUDA GPU is available")
        self._chunk_tokens = chunk_tokens
        self._limit: int | None = None  # rows at once that the GPU's memory has room for
        self._limiting, self._capturing = threading.Lock(), threading.Lock()
        self._graphs = Graphs()
        self._open: Callable[[], Device] | None = None  # an accelerator for the calling thread
        if self._device.type == "cuda":
            self._open = lambda: Cuda(self._device, self._capturing)
        self._local = threading.local()
        super().__init__(config, weights, dict.fromkeys([settled, EXACT]))

    def describe(self, dtype: str | None = None) -> str:
        """See Evaluator."""
        found = dtype or self.dtype
        if self._device.type != "cuda":
            return f"{self._device} {found}"
        return f"{self._device} {torch.cuda.get_device_name(self._device)} {found}"

    def use_threads(self, n: int) -> None:
        """torch's threads of an operator on the CPU, in all of this process."""
        torch.set_num_threads(n)

    def _prepared(self, weights: Arrays, dtype: str) -> Folded:
        net = fold(self.config, weights, device=self._device, dtype=DTYPES[dtype])
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # calling threads read it from other streams
        return net

    def _run(self, net: Folded, obs: NDArray[Any], evals: NDArray[np.float32]) -> tuple[int, int]:
        check_observations(obs)
        with torch.inference_mode():
            if self._open is not None:
                return self._on_device(net, self._open, obs, evals)
            found, tokens, padded = net.on_cpu(obs, chunk=self._chunk_tokens)
            evals[:] = found.numpy()
            return tokens, padded

    def _answers(self, net: Folded, obs: NDArray[Any]) -> NDArray[np.float32]:
        """On the device without captured graphs. Waits for it."""
        try:
            with torch.inference_mode():
                if self._device.type == "cpu":
                    return net.on_cpu(obs, chunk=len(obs))[0].numpy()
                raw = record_bytes(obs).to(self._device)
                length = length_bucket(int(net.lengths(obs).max()))
                return net.on_device(raw, length).cpu().numpy()
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:  # a kernel that this device or build does not have
            raise Unsupported(first_line(error)) from error

    def _on_device(
        self,
        net: Folded,
        open_device: Callable[[], Device],
        obs: NDArray[Any],
        evals: NDArray[np.float32],
    ) -> tuple[int, int]:
        """Through this thread's pipeline; again with half the rows at once if memory runs out."""
        pipeline: Pipeline | None = getattr(self._local, "pipeline", None)
        if pipeline is None:
            pipeline = self._local.pipeline = Pipeline(open_device(), self._graphs)
        while True:
            limit = self._limit
            try:
                return pipeline.run(net, obs, evals, limit)
            except torch.cuda.OutOfMemoryError:
                pipeline.release()
            self._halve(len(obs), limit)

    def _halve(self, n: int, limit: int | None) -> None:
        """Remember half of what a batch of n under ``limit`` ran at once. MemoryError if that had
        been halved before; another thread's halving a moment ago is tried first."""
        rows = largest_piece(n, limit)
        with self._limiting:
            if self._limit != limit:
                return
            if limit is not None or rows < 2:
                raise MemoryError(
                    f"{self.describe()} has not enough memory for {rows} observations at once: "
                    "play fewer games in parallel"
                )
            self._limit = rows // 2
        _LOG.warning(
            f"{self.describe()} ran out of memory with {rows:,} observations at once: it goes on "
            f"with {rows // 2:,}"
        )
