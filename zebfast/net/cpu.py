"""The evaluator of v2 networks on the CPU: the C core, without torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zebfast.core.network import Network, kernels
from zebfast.net.evaluator import Evaluator
from zebfast.net.networks import Arrays
from zebfast.net.packing import check_observations
from zebfast.net.precision import AUTO, EXACT, check_dtype
from zebfast.net.v2 import V2Config

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_LOG = logging.getLogger(__name__)
_LEAST_ROWS = 64  # that are worth another thread
_FASTEST_FIRST = ("int8", "bf16", EXACT)


class CpuEvaluator(Evaluator[Network]):
    """Evaluates a v2 network in the core, in the calling thread, or large batches in several."""

    config: V2Config
    _n_threads = 1
    _others: ThreadPoolExecutor | None = None  # begun by the first batch that is shared out

    def __init__(self, config: V2Config, weights: Mapping[str, Any], *, dtype: str = EXACT) -> None:
        """Pack ``weights`` for this processor.

        ``dtype``: one of `precision.DTYPES` or ``auto``, see `settle`. ValueError for an unknown
        one or weights that do not fit ``config``.
        """
        super().__init__(config, weights, settle(dtype))

    @property
    def core(self) -> Network | None:
        """The network in use, for loops in the core; None until it may be used.

        In fp32 that is at once, in a lower precision after the first batch of its weights, which
        goes through ``evaluate``. What loops ask of it is not counted; an answer that is no number
        they give to ``evaluate``, which says what is wrong.
        """
        loaded = self._loaded
        return loaded.net if loaded.unjudged is None else None

    def describe(self, dtype: str | None = None) -> str:
        """See Evaluator."""
        return f"cpu {dtype or self.dtype}"

    def use_threads(self, n: int) -> None:
        """A batch of many rows is shared out to so many threads, the caller's among them."""
        self._n_threads, self._others = n, None

    def _prepared(self, weights: Arrays, dtype: str) -> Network:
        shape = self.config
        return Network(shape.width, shape.n_blocks, shape.belief_head, weights, precision=dtype)

    def _run(self, net: Network, obs: NDArray[Any], evals: NDArray[np.float32]) -> tuple[int, int]:
        n_parts = min(self._n_threads, len(obs) // _LEAST_ROWS)
        if n_parts < 2:
            net.evaluate(obs, evals)
        else:
            self._share(net, obs, evals, n_parts)
        if not np.isfinite(evals).all():
            check_observations(obs)  # without a legal play there are no priors, either
        return 0, 0

    def _share(
        self, net: Network, obs: NDArray[Any], evals: NDArray[np.float32], n_parts: int
    ) -> None:
        """Evaluate a batch in parts of neighbouring rows, each in a thread of its own."""
        from concurrent.futures import ThreadPoolExecutor, wait  # costs milliseconds

        if (others := self._others) is None:
            others = self._others = ThreadPoolExecutor(self._n_threads - 1, "network")
        edges = np.linspace(0, len(obs), n_parts + 1).astype(int).tolist()
        own, *parts = (slice(i, j) for i, j in pairwise(edges))
        futures = [others.submit(net.evaluate, obs[part], evals[part]) for part in parts]
        try:
            net.evaluate(obs[own], evals[own])
            for future in futures:
                future.result()
        except ValueError:  # which counts rows from the first of its part
            net.evaluate(obs, evals)
            raise
        finally:
            wait(futures)


def settle(asked: str) -> tuple[str, ...]:
    """The precisions to compute in, each if those before give wrong answers; fp32 is the last.

    ``auto``: all that this processor has instructions for, the fastest first. One that cannot run
    here is fp32, and a line says so. ValueError for an unknown name.
    """
    check_dtype(asked)
    here = {precision for _, precision, supported in kernels() if supported}
    if asked == AUTO:
        # What runs on any processor would do so slower than fp32.
        own = {
            precision
            for name, precision, supported in kernels()
            if supported and not name.endswith("-baseline")
        }
        return tuple(name for name in _FASTEST_FIRST if name == EXACT or name in own)
    if asked not in here:
        _LOG.warning(f"this CPU has no {asked} arithmetic: the network runs in {EXACT}")
    return tuple(dict.fromkeys((asked, EXACT))) if asked in here else (EXACT,)
