"""The batched leaf evaluator: packed records in, legal priors and a value out, one call a batch.

`Evaluator` is what every way of running a network has in common; `cpu.CpuEvaluator` runs a v2
network in the C core, `torch.evaluator.TorchEvaluator` any network on any device. `devices` opens
the one that a network and a device want.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zebfast.core.records import OBS_DTYPE
from zebfast.net.networks import AnyConfig, Arrays, check_weights
from zebfast.net.output import WIDTH
from zebfast.net.precision import EXACT, Difference, sample

_LOG = logging.getLogger(__name__)

_Net = TypeVar("_Net")


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


class Unsupported(RuntimeError):
    """What this device or build cannot compute; the end of a sentence."""


@dataclass
class _Loaded(Generic[_Net]):
    """One set of weights in use. ``unjudged``: the weights, and the same in fp32, until the first
    batch has shown that ``net``, in a lower precision, says what that does; None from then on, or
    if there is no need."""

    net: _Net
    dtype: str
    unjudged: tuple[Arrays, _Net] | None


class Evaluator(ABC, Generic[_Net]):
    """Evaluates information states with one network on one device.

    ``evaluate`` may be called from several threads at once on different arrays. A subclass says how
    weights are made ready in a precision (`_prepared`) and how a batch is run (`_run`).
    """

    def __init__(
        self, config: AnyConfig, weights: Mapping[str, Any], dtypes: Iterable[str]
    ) -> None:
        """``dtypes``: in which to compute, each if those before give wrong answers; fp32 is last.

        ValueError (one sentence) for weights that do not fit ``config``.
        """
        self.config = config
        self._dtypes = tuple(dtypes)
        self._lock, self._judging = threading.Lock(), threading.Lock()
        self._counts = Counts()
        self._version = 0
        self.load(weights)

    def load(self, weights: Mapping[str, Any]) -> None:
        """Swap in other weights of the same network; a call already running finishes with the old.

        ValueError (one sentence) if they do not fit; the old ones stay in use then.
        """
        checked = check_weights(self.config, weights)
        dtype = self._dtypes[0]
        net = self._prepared(checked, dtype)
        unjudged = None if dtype == EXACT else (checked, self._prepared(checked, EXACT))
        self._loaded = _Loaded(net, dtype, unjudged)
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

    def count(self, states: int, batches: int, tokens: int = 0, padded_tokens: int = 0) -> None:
        """Add work that was done to the counters."""
        with self._lock:
            self._counts.states += states
            self._counts.batches += batches
            self._counts.tokens += tokens
            self._counts.padded_tokens += padded_tokens

    @property
    def dtype(self) -> str:
        """The precision in use, one of `precision.DTYPES`."""
        return self._loaded.dtype

    @abstractmethod
    def describe(self, dtype: str | None = None) -> str:
        """Where and in what precision it runs, for logs: ``cuda:0 NVIDIA ... fp16``."""

    @abstractmethod
    def use_threads(self, n: int) -> None:
        """Compute with so many threads for each calling one, where that is a matter of choice."""

    def evaluate(self, obs: NDArray[Any], evals: NDArray[np.float32]) -> None:
        """Evaluate OBS_DTYPE[B] into ``evals`` float32[B, 8], C-contiguous.

        ``evals[b, :7]``: priors over the legal slots (0 elsewhere, sum 1); ``evals[b, 7]``: value
        in [-1, 1] for the observer's side. ValueError for records of no seat to play or a wrong
        ``evals``; NotFinite (a FloatingPointError) if the network gives anything else; MemoryError
        (one sentence) if a GPU has no room even for half of what it was given before.
        """
        fits = evals.shape == (len(obs), WIDTH) and evals.dtype == np.float32
        if not (fits and evals.flags.c_contiguous):
            raise ValueError(f"evals must be C-contiguous float32[{len(obs)}, {WIDTH}]")
        if obs.dtype != OBS_DTYPE or obs.ndim != 1:
            raise ValueError(f"expected a vector of packed observations, not {obs.dtype}")
        if not len(obs):
            return
        tokens, padded = self._run(self._judged(obs), obs, evals)
        self.require_finite(evals)
        self.count(len(obs), 1, tokens, padded)

    def require_finite(self, evals: NDArray[np.float32]) -> None:
        """NotFinite naming the first row of a batch's answers that holds anything but numbers."""
        if not np.isfinite(evals).all():
            row = int(np.argmin(np.isfinite(evals).all(axis=1)))
            raise NotFinite(
                f"the network's answer to observation {row} of {len(evals)} is not finite "
                f"({self.describe()}): its weights have diverged or overflow {self.dtype}"
            )

    @abstractmethod
    def _prepared(self, weights: Arrays, dtype: str) -> _Net:
        """Checked weights ready to compute with in this precision. Raises Unsupported."""

    @abstractmethod
    def _run(self, net: _Net, obs: NDArray[Any], evals: NDArray[np.float32]) -> tuple[int, int]:
        """Evaluate a batch that is not empty: tokens run, and tokens run as padding.

        Raises ValueError for records of no seat to play, Unsupported.
        """

    def _judged(self, obs: NDArray[Any]) -> _Net:
        """The network to use: in a lower precision only once it has been compared with fp32."""
        loaded = self._loaded
        if loaded.unjudged is None:
            return loaded.net
        with self._judging:
            if loaded.unjudged is not None:  # no other thread has done it meanwhile
                self._judge(loaded, *loaded.unjudged, sample(obs))
                loaded.unjudged = None
            return loaded.net

    def _judge(
        self, loaded: _Loaded[_Net], weights: Arrays, exact: _Net, obs: NDArray[Any]
    ) -> None:
        """Go on to the next precision until one says what fp32 does; later weights begin there."""
        want = self._answers(exact, obs)
        while loaded.dtype != EXACT and (wrong := self._wrong(loaded.net, obs, want)):
            was = self.describe(loaded.dtype)
            self._dtypes = self._dtypes[self._dtypes.index(loaded.dtype) + 1 :]
            loaded.dtype = self._dtypes[0]
            _LOG.warning(f"{was}: {wrong}: {loaded.dtype} is used from now on")
            loaded.net = exact if loaded.dtype == EXACT else self._prepared(weights, loaded.dtype)

    def _wrong(self, net: _Net, obs: NDArray[Any], want: NDArray[np.float32]) -> str | None:
        """What speaks against this precision; None if nothing does."""
        try:
            gap = Difference.between(self._answers(net, obs), want)
        except Unsupported as error:
            return f"it does not run here ({error})"
        return None if gap.harmless else str(gap)

    def _answers(self, net: _Net, obs: NDArray[Any]) -> NDArray[np.float32]:
        evals = np.empty((len(obs), WIDTH), np.float32)
        self._run(net, obs, evals)
        return evals
