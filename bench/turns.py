"""Two sides that do the same work, timed in turns, and the judgement of which is slower.

On a shared machine the same work takes a fifth more or less from one second to the next, so a time
says little and a ratio of neighbouring times much. Everything here works on functions that do a
fixed piece of work and return the seconds it took; whose clock that was is theirs to decide.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Does a fixed piece of work and returns the seconds that it took.
Timer = Callable[[], float]


def block_ratios(candidate: Timer, reference: Timer, *, blocks: int) -> list[float]:
    """Time of the candidate as a multiple of the reference's in each of so many ABBA blocks.

    Within a block each runs twice, in the order that cancels a steady drift of the machine.
    """
    ratios = []
    for _ in range(blocks):
        first, second, third, fourth = (
            run() for run in (candidate, reference, reference, candidate)
        )
        ratios.append((first + fourth) / (second + third))
    return ratios


@dataclass(frozen=True)
class Ratio:
    """The median over blocks, and two of them that it lies between with 95 % confidence or more."""

    median: float
    low: float
    high: float


def ratio_of(blocks: Sequence[float]) -> Ratio:
    """Median and interval from the order of the blocks: no assumption about their distribution.

    The k-th lowest and the k-th highest of n enclose the true median unless fewer than k of n fair
    coins show heads, or tails; the widest k with at most 5 % for both is taken. Under six blocks
    that is no k at all, and the interval is all that was seen, at a lower confidence.
    """
    ordered, n = sorted(blocks), len(blocks)
    k, tail = 0, 0.0
    while (tail := tail + math.comb(n, k) / 2**n) <= 0.025:
        k += 1
    k = max(k, 1)
    return Ratio(statistics.median(ordered), ordered[k - 1], ordered[-k])


@dataclass(frozen=True)
class Rule:
    """When a stage counts as slower.

    Attributes:
        threshold: more than this share of time added, by the median of an attempt.
        attempts: that many times in a row; one attempt within the threshold acquits.
        blocks: ABBA blocks of an attempt; as many again, twice at most, while its interval says
            neither that the stage is slower nor that it is not.
        slice_seconds: about how long one run takes; short work is repeated as often as needed.
    """

    threshold: float = 0.07
    attempts: int = 3
    blocks: int = 9
    slice_seconds: float = 0.02

    def is_slower(self, ratio: Ratio) -> bool:
        """Whether one attempt counts against a stage."""
        return ratio.median > 1 + self.threshold

    def is_clear(self, ratio: Ratio) -> bool:
        """Whether the whole interval is on one side of the threshold."""
        return not ratio.low <= 1 + self.threshold <= ratio.high

    def repeats(self, seconds: float) -> int:
        """How often work that takes so long is done in one run."""
        return max(1, round(self.slice_seconds / max(seconds, 1e-7)))
