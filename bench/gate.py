"""Gates that hold on a noisy machine: exact counts, and ratios of two things timed in turns.

Absolute times drift by a fifth and more on a shared machine, so nothing here compares a time with
a number. What is deterministic (nodes, evaluations, bytes) is compared exactly; what is not is
compared with a reference that runs in the same seconds.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

PINNED = Path(__file__).parent / "counts.json"


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def interleaved_ratio(
    candidate: Callable[[], object], reference: Callable[[], object], *, blocks: int = 8
) -> float:
    """Time of the candidate as a multiple of the reference's: the median over ABBA blocks.

    Within a block each runs twice, in the order that cancels a steady drift of the machine.
    """
    ratios = []
    for _ in range(blocks):
        first, second, third, fourth = (
            timed(work) for work in (candidate, reference, reference, candidate)
        )
        ratios.append((first + fourth) / (second + third))
    return statistics.median(ratios)


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


def compare_counts(name: str, counts: Mapping[str, int], *, renew: bool = False) -> None:
    """Counts must equal the pinned ones exactly; with `renew` they are pinned anew.

    Raises AssertionError naming each count that differs and how to accept the change.
    """
    pinned = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    if renew:
        pinned[name] = dict(counts)
        PINNED.write_text(json.dumps(pinned, indent=2, sort_keys=True) + "\n")
        return
    expected = pinned.get(name, {})
    differences = [
        f"{key}: pinned {expected.get(key)}, now {counts.get(key)}"
        for key in sorted({*expected, *counts})
        if expected.get(key) != counts.get(key)
    ]
    assert not differences, (
        f"counts of {name!r} changed ({'; '.join(differences)}). If that is intended, say so in "
        "the commit and renew them: pytest bench/test_gates.py --renew-counts"
    )
