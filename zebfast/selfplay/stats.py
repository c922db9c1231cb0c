"""What self-play did and what it spent its time on."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SelfPlayStats:
    """Counts and seconds of one call of ``SelfPlay.play``.

    Seconds of trees and evaluator are sums over the groups' threads, so together they may exceed
    the wall time; thread_seconds are all of those threads' time. What of it they ran on a core is
    in the cpu_seconds (torch's own threads are not in it): the rest is waiting.
    simulations + reused = visits of the searched roots; evaluations are the positions sent to the
    network, cache_hits those that it had been sent before; terminals and solved are the simulations
    that needed none. The other counts: ``core.forest.COUNTS``.
    """

    games: int = 0  # handed over
    seconds: float = 0.0
    simulations: int = 0
    evaluations: int = 0
    terminals: int = 0
    solved: int = 0
    cache_hits: int = 0
    transposed: int = 0
    solver_calls: int = 0
    reused: int = 0
    full: int = 0
    stopped: int = 0
    searches: int = 0
    fast: int = 0
    finished: int = 0  # games that ended, those for later calls included
    plays: int = 0  # dominoes played, 28 a game, those of later calls included
    labels: int = 0  # decisions that a teacher labelled, those of later calls included
    rollouts: int = 0  # games that it played to their end for them
    batches: int = 0
    tree_seconds: float = 0.0
    tree_cpu_seconds: float = 0.0
    evaluator_seconds: float = 0.0
    evaluator_cpu_seconds: float = 0.0
    thread_seconds: float = 0.0
    thread_cpu_seconds: float = 0.0

    @property
    def games_per_second(self) -> float:
        """Games finished a second; some may belong to later calls."""
        return self.finished / self.seconds if self.seconds > 0 else 0.0

    def __add__(self, other: SelfPlayStats) -> SelfPlayStats:
        return _combine(operator.add, self, other)

    def __sub__(self, other: SelfPlayStats) -> SelfPlayStats:
        return _combine(operator.sub, self, other)


def _combine(
    operation: Callable[[Any, Any], Any], a: SelfPlayStats, b: SelfPlayStats
) -> SelfPlayStats:
    names = (f.name for f in fields(SelfPlayStats))
    return SelfPlayStats(**{n: operation(getattr(a, n), getattr(b, n)) for n in names})


class Stopwatch:
    """Sums the time of one thread between calls: on the clock, and on a core.

    Asking for the time on a core takes microseconds, so it may be left out of some calls: the
    others then stand for all.
    """

    def __init__(self) -> None:
        self.wall = self._asked_wall = self._asked_cpu = 0.0

    @staticmethod
    def now(*, on_core: bool = True) -> tuple[float, float]:
        """Seconds on the clock and on a core; the latter NaN where it is not asked for."""
        return time.perf_counter(), time.thread_time() if on_core else math.nan

    def add(self, since: tuple[float, float], until: tuple[float, float]) -> None:
        wall, cpu = until[0] - since[0], until[1] - since[1]
        self.wall += wall
        if not math.isnan(cpu):
            self._asked_wall += wall
            self._asked_cpu += cpu

    @property
    def cpu(self) -> float:
        """Seconds on a core."""
        return self.wall * self._asked_cpu / self._asked_wall if self._asked_wall else 0.0
