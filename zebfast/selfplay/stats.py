"""What self-play did and what it spent its time on."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SelfPlayStats:
    """Counts and seconds of one call of ``SelfPlay.play``.

    Seconds of trees and evaluator are sums over the groups' threads, so together they may exceed
    the wall time; thread_seconds are all of those threads' time, and thread_cpu_seconds what of it
    they ran on a core (torch's own threads are not in it): the rest is waiting. The sampled_seconds
    are time on a core, too, of some of the steps (see StepClock).
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
    evaluator_seconds: float = 0.0
    thread_seconds: float = 0.0
    thread_cpu_seconds: float = 0.0
    sampled_seconds: float = 0.0
    sampled_tree_seconds: float = 0.0
    sampled_evaluator_seconds: float = 0.0

    @property
    def games_per_second(self) -> float:
        """Games finished a second; some may belong to later calls."""
        return self.finished / self.seconds if self.seconds > 0 else 0.0

    @property
    def tree_cpu_seconds(self) -> float:
        """What of thread_cpu_seconds the trees took, by the steps that were sampled."""
        return self.thread_cpu_seconds * self.sampled_tree_seconds / (self.sampled_seconds or 1.0)

    @property
    def evaluator_cpu_seconds(self) -> float:
        """The same of the evaluator; with the trees' at most all of it."""
        sampled = self.sampled_evaluator_seconds
        return self.thread_cpu_seconds * sampled / (self.sampled_seconds or 1.0)

    def __add__(self, other: SelfPlayStats) -> SelfPlayStats:
        return _combine(operator.add, self, other)

    def __sub__(self, other: SelfPlayStats) -> SelfPlayStats:
        return _combine(operator.sub, self, other)


def _combine(
    operation: Callable[[Any, Any], Any], a: SelfPlayStats, b: SelfPlayStats
) -> SelfPlayStats:
    names = (f.name for f in fields(SelfPlayStats))
    return SelfPlayStats(**{n: operation(getattr(a, n), getattr(b, n)) for n in names})


_SAMPLE_EVERY = 8  # steps of a run


class StepClock:
    """Where the time of one group goes, step by step; used by one thread at a time.

    Steps that run in C say themselves where it went, on both clocks. Of the others, wall time is
    taken of every step. Time on a core, which takes microseconds to ask for, is taken
    of the first step of a run and of every eighth after it, from its start to the start of the
    next. It is kept apart and never scaled by wall time: how much of that a thread is on a core
    changes with what else runs, so an estimate from both can even fall from one call to the next.

    Attributes:
        wall: seconds of trees and evaluator.
        sampled: seconds on a core of trees, evaluator and rest of the sampled steps.
        thread, thread_cpu: seconds between ``start`` and ``stop``, and what of it was on a core.
    """

    def __init__(self) -> None:
        self.wall = {"trees": 0.0, "evaluator": 0.0}
        self.sampled = {"trees": 0.0, "evaluator": 0.0, "rest": 0.0}
        self.thread = self.thread_cpu = 0.0
        self._began = (0.0, 0.0)  # of the run
        self._n_steps = 0  # of the run
        self._lap_began = self._sample_began = 0.0
        self._sampling = False

    def start(self) -> None:
        """The group's thread begins a run of steps."""
        self._n_steps = 0
        self._began = time.perf_counter(), time.thread_time()

    def stop(self) -> None:
        """The run is over, for whatever reason."""
        now = time.thread_time()
        if self._sampling:
            self.sampled["rest"] += now - self._sample_began
            self._sampling = False
        self.thread += time.perf_counter() - self._began[0]
        self.thread_cpu += now - self._began[1]

    def step(self) -> None:
        """A step begins, and with it ends the one before."""
        now = time.perf_counter()
        sample = self._n_steps % _SAMPLE_EVERY == 0
        if sample or self._sampling:
            on_core = time.thread_time()
            if self._sampling:
                self.sampled["rest"] += on_core - self._sample_began
            self._sample_began = on_core
        self._sampling = sample
        self._n_steps += 1
        self._lap_began = now

    def run(self) -> None:
        """Steps in C begin, and with them ends the step before."""
        on_core = time.thread_time()
        if self._sampling:
            self.sampled["rest"] += on_core - self._sample_began
        self._sample_began, self._sampling = on_core, True
        self._n_steps = 0  # the next step in Python is sampled

    def ran(self, spent: Mapping[str, float]) -> None:
        """They are over: seconds of trees and evaluator, and of both with ``_on_core`` behind."""
        for part in ("trees", "evaluator"):
            self.wall[part] += spent[part]
            self.sampled[part] += spent[f"{part}_on_core"]
            self._sample_began += spent[f"{part}_on_core"]
        self._lap_began = time.perf_counter()

    def lap(self, part: str) -> None:
        """What was done since the step's start or its last lap was this part."""
        now = time.perf_counter()
        self.wall[part] += now - self._lap_began
        self._lap_began = now
        if self._sampling:
            on_core = time.thread_time()
            self.sampled[part] += on_core - self._sample_began
            self._sample_began = on_core
