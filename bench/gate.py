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
from functools import partial
from pathlib import Path

from bench.turns import block_ratios

PINNED = Path(__file__).parent / "counts.json"


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


class NotPinned(Exception):
    """No counts are pinned for this compiler, or whatever else they depend on; one sentence."""


def compare_counts(
    name: str,
    counts: Mapping[str, int],
    *,
    renew: bool = False,
    only_for: str = "",
    tolerance: float = 0.0,
) -> None:
    """Counts must equal the pinned ones; with `renew` they are pinned anew.

    Args:
        only_for: what the counts depend on besides the code ("torch 2.13"). Others keep theirs.
        tolerance: share by which a count may be higher; fewer is right only within it, too, so
            that a gain is pinned.

    Raises:
        AssertionError: names each count that differs and how to accept the change.
        NotPinned: there is nothing to compare with, for this `only_for`.
    """
    pinned = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    name = f"{name}, {only_for}" if only_for else name
    if renew:
        pinned[name] = dict(counts)
        PINNED.write_text(json.dumps(pinned, indent=2, sort_keys=True) + "\n")
        return
    if only_for and name not in pinned:
        raise NotPinned(
            f"no counts are pinned for {name!r}; pin the present ones: pytest bench --renew-counts"
        )
    expected = pinned.get(name, {})
    differences = [
        f"{key}: pinned {expected.get(key)}, now {counts.get(key)}"
        for key in sorted({*expected, *counts})
        if not _agree(expected.get(key), counts.get(key), tolerance)
    ]
    assert not differences, (
        f"counts of {name!r} changed ({'; '.join(differences)}). If that is intended, say so in "
        "the commit and renew them: pytest bench --benchmark-disable --renew-counts"
    )


def _agree(pinned: int | None, now: int | None, tolerance: float) -> bool:
    if pinned is None or now is None:
        return False
    return abs(now - pinned) <= tolerance * pinned
