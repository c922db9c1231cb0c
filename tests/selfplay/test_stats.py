"""Where the time goes: true whatever else runs on the machine, on a clock of the test's own."""

from __future__ import annotations

import pytest

from zebfast.benchmark.workload import Constant
from zebfast.core.options import SearchOptions
from zebfast.selfplay import stats as module
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig


class Loaded:
    """Stands for ``time``: now and then the thread is off its core for very long."""

    def __init__(self, every: int) -> None:
        self.every, self.n_asked = every, 0
        self.wall = self.on_core = 0.0

    def _ask(self) -> None:
        self.n_asked += 1
        self.on_core += 1e-5
        self.wall += 1.0 if self.n_asked % self.every == 0 else 1e-5

    def perf_counter(self) -> float:
        self._ask()
        return self.wall

    def thread_time(self) -> float:
        self._ask()
        return self.on_core


@pytest.mark.parametrize("every", [29, 61, 127])
def test_parts_of_the_time_add_up_in_every_call(
    every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "time", Loaded(every))
    search = SearchOptions(n_simulations=16, exact_tricks=0)
    config = SelfPlayConfig(n_parallel_games=4, n_groups=1, worlds="true", search=search)
    play = SelfPlay(Constant(), config=config, seed=1)
    for _ in range(20):
        _, seen = play.play(4, lookahead=False)
        parts = seen.tree_cpu_seconds, seen.evaluator_cpu_seconds
        assert min(parts) > 0, "every call has steps, and each has both"
        assert sum(parts) <= seen.thread_cpu_seconds + 1e-12
        assert seen.thread_cpu_seconds <= seen.thread_seconds
