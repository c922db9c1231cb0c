"""The threads of self-play: as many as groups, the same in every call, gone with the object."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

from zebfast.core.observe import uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig


class Noting:
    """The constant evaluator; notes which threads ask, and fails when told to."""

    def __init__(self) -> None:
        self.threads: set[threading.Thread] = set()
        self.fails = False

    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        self.threads.add(threading.current_thread())
        if self.fails:
            raise RuntimeError("told to fail")
        uniform_evaluate(obs, out)


def selfplay(evaluator: Noting, n_groups: int) -> SelfPlay:
    config = SelfPlayConfig(
        n_parallel_games=6, n_groups=n_groups, search=SearchOptions(n_simulations=8)
    )
    return SelfPlay(evaluator, config=config, seed=1)


@pytest.mark.parametrize("n_groups", [1, 3])
def test_every_call_plays_on_the_same_threads(n_groups: int) -> None:
    """Evaluators keep buffers, streams and captured graphs by thread."""
    evaluator = Noting()
    play = selfplay(evaluator, n_groups)
    for _ in range(5):
        play.play(12)
    assert 1 <= len(evaluator.threads) <= n_groups
    assert all(thread.is_alive() for thread in evaluator.threads)


def test_threads_end_with_the_object() -> None:
    evaluator = Noting()
    play = selfplay(evaluator, 2)
    play.play(12)
    del play
    gc.collect()
    for thread in evaluator.threads:
        thread.join(30)
        assert not thread.is_alive()


def test_a_failure_of_one_group_stops_the_others_before_it_is_raised() -> None:
    evaluator = Noting()
    play = selfplay(evaluator, 3)
    evaluator.fails = True
    with pytest.raises(RuntimeError, match="told to fail"):
        play.play(12)
    evaluator.threads.clear()
    time.sleep(0.05)
    assert not evaluator.threads, "nobody goes on"
