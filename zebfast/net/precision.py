"""In which precision a network runs, and when a lower one is taken back.

A lower precision is only as good as its answers: the first batch of every set of weights is also
evaluated in fp32, and weights that the lower one gets wrong are used in the next better one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zebfast.net.output import WIDTH

AUTO, EXACT = "auto", "fp32"
#: Names a user may give, besides ``auto``.
DTYPES = (EXACT, "bf16", "fp16", "int8")
#: How far priors and values of a sample may lie from those in fp32. On 100,000 decisions of the
#: shipped network's games bf16 stays below 0.023 and 0.017, int8 below 0.094 and 0.052; its priors
#: are more than 0.05 apart once in 28,000 decisions. bf16 of the published medium network, by torch
#: and on leaves of self-play: below 0.03 and 0.09.
PRIOR_BOUND, VALUE_BOUND = 0.1, 0.15
_SAMPLE = 256


class Difference(NamedTuple):
    """Largest absolute differences of a sample; infinite where an answer is not finite."""

    prior: float
    value: float

    @classmethod
    def between(cls, got: NDArray[np.float32], want: NDArray[np.float32]) -> Difference:
        """Of evaluations float32[B, 8] in a lower precision from the same in fp32."""
        with np.errstate(invalid="ignore"):
            gap = np.abs(got - want)
        gap[np.isnan(gap)] = np.inf
        return cls(float(gap[:, : WIDTH - 1].max()), float(gap[:, WIDTH - 1].max()))

    @property
    def harmless(self) -> bool:
        """Within the bounds."""
        return self.prior <= PRIOR_BOUND and self.value <= VALUE_BOUND

    def __str__(self) -> str:
        return (
            f"priors differ by up to {self.prior:.2g} and values by {self.value:.2g} from those in "
            "fp32"
        )


def sample(obs: NDArray[Any]) -> NDArray[Any]:
    """At most so many of the observations as are worth a comparison, from all over the batch."""
    return obs[np.linspace(0, len(obs) - 1, min(len(obs), _SAMPLE)).astype(np.int64)]


def check_dtype(asked: str) -> None:
    """ValueError for a name that is none."""
    if asked not in (AUTO, *DTYPES):
        known = ", ".join((AUTO, *DTYPES))
        raise ValueError(f"unknown dtype {asked!r}; choose one of {known}")
