"""Two sides that do the same work, timed in turns, and the judgement of which is slower.

On a shared machine the same work takes a fifth more or less from one second to the next, so a time
says little and a ratio of neighbouring times much. Nothing here compares a time with a number. The
sides are two functions of one process, or all workloads of two trees.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from bench.one_tree import Missing, Tree

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


# --- two functions --------------------------------------------------------------------------------


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def interleaved_ratio(
    candidate: Callable[[], object], reference: Callable[[], object], *, blocks: int = 8
) -> float:
    """Time of the candidate as a multiple of the reference's: the median over ABBA blocks."""
    return statistics.median(
        block_ratios(partial(timed, candidate), partial(timed, reference), blocks=blocks)
    )


def assert_faster(
    candidate: Callable[[], object],
    reference: Callable[[], object],
    *,
    at_least: float,
    units: tuple[int, int] = (1, 1),
    blocks: int = 5,
    attempts: int = 3,
) -> float:
    """Fail only if the candidate is not fast enough in every one of several attempts.

    Args:
        units: what one call of the candidate and one of the reference get done.

    Returns:
        The candidate's speed as a multiple of the reference's, in the attempt that passed.

    Raises:
        AssertionError: with the multiples of all attempts.
    """
    candidate(), reference()  # the first call pays for caches and lazy set-up
    seen = []
    for _ in range(attempts):
        time_ratio = interleaved_ratio(candidate, reference, blocks=blocks)
        gain = units[0] / units[1] / time_ratio
        if gain >= at_least:
            return gain
        seen.append(round(gain, 3))
    raise AssertionError(f"speeds {seen} times the reference's are all below {at_least:g}")


# --- two trees ------------------------------------------------------------------------------------


#: (candidate, reference), ready to work; what it opens is closed afterwards.
OpenTrees = Callable[[], AbstractContextManager[tuple[Tree, Tree]]]


@dataclass(frozen=True)
class Result:
    """What became of one stage.

    Attributes:
        state: "ok", "slower", "changed" (the trees did different work, so the ratio is told but
            not judged) or "skipped".
        ratio: time of the candidate over the reference's, of the last attempt; None if skipped.
        milliseconds: of one piece of work in the reference, in its first run.
        attempts: how many were made.
        why: reason for skipping.
    """

    key: str
    state: str
    ratio: Ratio | None = None
    milliseconds: float = 0.0
    attempts: int = 0
    why: str = ""


def compare_stage(key: str, candidate: Tree, reference: Tree, rule: Rule) -> Result:
    """One attempt at one stage."""
    done = []
    for name, tree in (("this tree", candidate), ("the other", reference)):
        try:
            done.append(tree.prepare(key))
        except Missing as missing:
            return Result(key, "skipped", why=f"{name} lacks it ({missing})")
    once = min(reference.run(key, 1), reference.run(key, 1))
    repeats = rule.repeats(once)
    runs = [partial(tree.run, key, repeats) for tree in (candidate, reference)]
    blocks = block_ratios(*runs, blocks=rule.blocks)
    while len(blocks) < 3 * rule.blocks and not rule.is_clear(ratio_of(blocks)):
        blocks += block_ratios(*runs, blocks=rule.blocks)
    ratio = ratio_of(blocks)
    state = "ok" if not rule.is_slower(ratio) else "slower"
    if done[0] != done[1]:
        state = "changed"
    return Result(key, state, ratio, 1000 * once, 1)


def compare_trees(
    open_trees: OpenTrees,
    keys: Iterable[str],
    rule: Rule,
    *,
    say: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Every stage; those that seem slower again, in trees opened anew, until one attempt acquits.

    Anew, because where things lie in memory is drawn when a process starts and stays: it can make
    one of two equal processes a few per cent slower for as long as they live.
    """
    results: dict[str, Result] = {key: Result(key, "slower") for key in keys}
    for attempt in range(1, rule.attempts + 1):
        suspects = [key for key, result in results.items() if result.state == "slower"]
        if not suspects:
            break
        with open_trees() as (candidate, reference):
            for key in suspects:
                found = compare_stage(key, candidate, reference, rule)
                results[key] = Result(**{**found.__dict__, "attempts": attempt})
                say(results[key])
    return list(results.values())


def failed(results: Iterable[Result]) -> list[str]:
    """Keys of the stages that are slower."""
    return [result.key for result in results if result.state == "slower"]
