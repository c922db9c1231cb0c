"""The batched leaf evaluator: packed records in, legal priors and a value out, one call a batch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zebfast.core.records import OBS_DTYPE
from zebfast.net.cuda import Cuda
from zebfast.net.folded import WIDTH, Folded, fold
from zebfast.net.networks import AnyConfig, check_weights
from zebfast.net.packing import check_observations
from zebfast.net.pipeline import Device, Graphs, Pipeline, first_line, largest_piece
from zebfast.net.precision import DTYPES, EXACT, compare, settle

__all__ = ["DTYPES", "Counts", "DeviceMissing", "Evaluator", "NotFinite"]

_LOG = logging.getLogger(__name__)


@dataclass
class Counts:
    """Work done since the evaluator was made."""

    states: int = 0
    batches: int = 0
    tokens: int = 0  # valid tokens run through the network
    padded_tokens: int = 0  # tokens run only to fill a rectangle


class NotFinite(FloatingPointError):
    """The network's answers contain NaN or infinity; one sentence."""


class DeviceMissing(RuntimeError):
    """The device asked for is not on this machine; one sentence."""


@dataclass
class _Loaded:
    """One set of weights in use. ``exact``: the same in fp32, until the first batch has shown
    that ``net``, in half precision, says the same; None from then on, or if there is no need."""

    net: Folded
    exact: Folded | None


class Evaluator:
    """Evaluates information states with one network on one device.

    ``evaluate`` may be called from several threads at once on different arrays. On the CPU it uses
    torch's thread count as it finds it; on CUDA every calling thread has its own streams, pinned
    buffers and captured graphs, and waits for its own results only.
    """

    def __init__(
        self,
        config: AnyConfig,
        weights: Mapping[str, Tensor],
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
        self._config = config
        self._device = torch.device(device)
        self._dtype = settle(dtype, self._device)
        if self._device.type == "cuda" and not torch.cuda.is_available():
            raise DeviceMissing(f"device {device} was asked for, but no CUDA GPU is available")
        self._chunk_tokens = chunk_tokens
        self._limit: int | None = None  # rows at once that the GPU's memory has room for
        self._lock, self._judging, self._capturing = (threading.Lock() for _ in range(3))
        self._graphs = Graphs()
        self._open: Callable[[], Device] | None = None  # an accelerator for the calling thread
        if self._device.type == "cuda":
            self._open = lambda: Cuda(self._device, self._capturing)
        self._local = threading.local()
        self._counts = Counts()
        self._version = 0
        self.load(weights)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Swap in other weights of the same network; a call already running finishes with the old.

        ValueError (one sentence) if they do not fit; the old ones stay in use then.
        """
        checked = check_weights(self._config, weights)
        net = fold(self._config, checked, device=self._device, dtype=DTYPES[self._dtype])
        exact: Folded | None = None
        if self._dtype != EXACT:
            exact = fold(self._config, checked, device=self._device, dtype=DTYPES[EXACT])
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # calling threads read it from other streams
        self._loaded = _Loaded(net, exact)
        self._version += 1

    @property
    def version(self) -> int:
        """Number of the weights in use: 1 at first, one more with every ``load``."""
        return self._version

    @property
    def counts(self) -> Counts:
        """A copy of the counters."""
        with self._lock:
            return replace(self._counts)

    def describe(self) -> str:
        """Where and in what precision it runs, for logs: ``cuda:0 NVIDIA ... fp16``."""
        if self._device.type != "cuda":
            return f"{self._device} {self._dtype}"
        return f"{self._device} {torch.cuda.get_device_name(self._device)} {self._dtype}"

    def evaluate(self, obs: NDArray[Any], evals: NDArray[np.float32]) -> None:
        """Evaluate OBS_DTYPE[B] into ``evals`` float32[B, 8], C-contiguous.

        ``evals[b, :7]``: priors over the legal slots (0 elsewhere, sum 1); ``evals[b, 7]``: value
        in [-1, 1] for the observer's side. ValueError for records of no seat to play or a wrong
        ``evals``; NotFinite (a FloatingPointError) if the network gives anything else; MemoryError
        (one sentence) if the GPU has no room even for half of what it was given before.
        """
        fits = evals.shape == (len(obs), WIDTH) and evals.dtype == np.float32
        if not (fits and evals.flags.c_contiguous):
            raise ValueError(f"evals must be C-contiguous float32[{len(obs)}, {WIDTH}]")
        if obs.dtype != OBS_DTYPE or obs.ndim != 1:
            raise ValueError(f"expected a vector of packed observations, not {obs.dtype}")
        if not len(obs):
            return
        check_observations(obs)
        with torch.inference_mode():
            net = self._judged(obs)
            if self._open is None:
                found, tokens, padded = net.on_cpu(obs, chunk=self._chunk_tokens)
                evals[:] = found.numpy()
            else:
                tokens, padded = self._on_device(net, self._open, obs, evals)
        if not np.isfinite(evals).all():
            row = int(np.argmin(np.isfinite(evals).all(axis=1)))
            raise NotFinite(
                f"the network's answer to observation {row} of {len(obs)} is not finite "
                f"({self.describe()}): its weights have diverged or overflow {self._dtype}"
            )
        with self._lock:
            self._counts.states += len(obs)
            self._counts.batches += 1
            self._counts.tokens += tokens
            self._counts.padded_tokens += padded

    def _judged(self, obs: NDArray[Any]) -> Folded:
        """The network to use: in half precision only once it has been compared with fp32."""
        loaded = self._loaded
        if loaded.exact is None:
            return loaded.net
        with self._judging:
            if loaded.exact is not None:  # no other thread has done it meanwhile
                if wrong := self._wrong(loaded.net, loaded.exact, obs):
                    _LOG.warning(f"{self.describe()}: {wrong}: fp32 is used from now on")
                    loaded.net, self._dtype = loaded.exact, EXACT
                loaded.exact = None
            return loaded.net

    def _wrong(self, half: Folded, exact: Folded, obs: NDArray[Any]) -> str | None:
        """What speaks against half precision here; None if nothing does."""
        try:
            gap = compare(half, exact, obs, self._device)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:  # a kernel that this device or build does not have
            return f"it does not run here ({first_line(error)})"
        if gap.harmless:
            return None
        return (
            f"priors differ by up to {gap.prior:.2g} and values by {gap.value:.2g} from those in "
            "fp32"
        )

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
        with self._lock:
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
