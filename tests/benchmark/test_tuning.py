"""The tuner on machines that are made up: what it chooses is known, and so is the noise."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from zebfast.benchmark.trial import Trial
from zebfast.benchmark.tuning import NothingFits, Setting, Tuner, grid
from zebfast.core.observe import uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.stats import SelfPlayStats

DEFAULT = Setting(n_parallel_games=128, n_groups=2, threads=1)


@dataclass
class Machine:
    """Plays ``speed(setting)`` games a second, give or take what else it does at the moment."""

    speed: Callable[[Setting], float]
    wobble: float = 0.0
    seed: int = 0
    drift: float = 0.3
    memory: int = 10**9  # parallel games that fit
    now: float = 0.0
    looks: list[Setting] = field(default_factory=list)
    dropped: list[Setting] = field(default_factory=list)

    def look(self, setting: Setting, seconds: float) -> SelfPlayStats:
        self.looks.append(setting)
        if setting.n_parallel_games > self.memory:
            raise MemoryError
        self.now += seconds
        turn = len(self.looks)
        drift = 1 - self.drift * abs((turn % 60) / 30 - 1)  # others come and go: slow, and large
        jitter = 1 + self.wobble * np.random.default_rng((self.seed, turn)).uniform(-1, 1)
        games = self.speed(setting) * drift * jitter * seconds
        # A short look sees plays that need more or less of the network than others do.
        mix = 1 + 0.5 * (turn % 3)
        return SelfPlayStats(
            plays=round(28 * games),
            evaluations=round(1e6 * games * mix),
            simulations=round(4e6 * games),
            evaluator_seconds=0.75 * seconds * setting.n_groups * mix,
            tree_seconds=0.25 * seconds * setting.n_groups,
            thread_seconds=seconds * setting.n_groups,
        )

    def tuner(self, default: Setting = DEFAULT, *, limit: float = 1e9) -> Tuner:
        return Tuner(
            self.look, default, limit=limit, clock=lambda: self.now, on_drop=self.dropped.append
        )


def peak_at(games: int, groups: int) -> Callable[[Setting], float]:
    """Falls by a tenth for each doubling away from the best."""
    return lambda s: (
        100
        * 0.9 ** (abs(np.log2(s.n_parallel_games / games)) + 2 * abs(np.log2(s.n_groups / groups)))
    )


@pytest.mark.parametrize(("games", "groups"), [(64, 2), (512, 1), (1024, 4), (32, 1), (128, 2)])
@pytest.mark.parametrize("wobble", [0.0, 0.02])
def test_finds_the_peak_whatever_else_the_machine_does(
    games: int, groups: int, wobble: float
) -> None:
    machine = Machine(peak_at(games, groups), wobble)
    found = machine.tuner().tune(*grid(cores=2, on_gpu=False, default=DEFAULT))
    assert (found.chosen.n_parallel_games, found.chosen.n_groups) == (games, groups)
    assert found.default == DEFAULT
    true_gain = machine.speed(found.chosen) / machine.speed(DEFAULT)
    assert found.gain == pytest.approx(true_gain, rel=0.03)
    assert found.settled


def test_same_answers_same_order() -> None:
    first, second = (Machine(peak_at(256, 2), 0.02) for _ in range(2))
    shape = grid(cores=2, on_gpu=False, default=DEFAULT)
    assert first.tuner().tune(*shape) == second.tuner().tune(*shape)
    assert first.looks == second.looks
    assert first.now < 45  # seconds of looking, of a minute


def test_of_equal_speeds_the_smallest_is_chosen() -> None:
    machine = Machine(lambda _: 50.0, drift=0.0)
    found = machine.tuner().tune(*grid(cores=2, on_gpu=False, default=DEFAULT))
    seen = {tried.setting for tried in found.tried}
    assert found.chosen == min(seen, key=lambda s: s.size)
    assert found.gain == pytest.approx(1.0)


def test_less_than_the_noise_is_no_reason_to_take_more_memory() -> None:
    def slightly(setting: Setting) -> float:
        return 50 * setting.n_parallel_games**0.005  # 2 % from 32 games to 1024

    chosen = []
    for seed in range(10):
        machine = Machine(slightly, wobble=0.05, seed=seed)
        found = machine.tuner().tune(*grid(cores=2, on_gpu=False, default=DEFAULT))
        assert found.settled
        chosen.append(found.chosen.n_parallel_games)
    assert sum(n <= DEFAULT.n_parallel_games for n in chosen) >= 8, chosen


def test_a_setting_without_memory_ends_and_the_rest_goes_on() -> None:
    machine = Machine(lambda s: float(s.n_parallel_games), memory=256)
    found = machine.tuner().tune(*grid(cores=2, on_gpu=False, default=DEFAULT))
    assert found.chosen.n_parallel_games == 256
    failed = [tried.setting for tried in found.tried if tried.out_of_memory]
    assert {s.n_parallel_games for s in failed} == {512, 1024}
    assert all(machine.looks.count(s) == 1 for s in failed), "never asked again"
    assert set(failed) <= set(machine.dropped)


def test_a_default_without_memory_has_no_gain() -> None:
    machine = Machine(lambda s: float(s.n_parallel_games), memory=64)
    found = machine.tuner().tune(*grid(cores=2, on_gpu=False, default=DEFAULT))
    assert found.gain is None
    assert found.chosen.n_parallel_games == 64
    with pytest.raises(NothingFits, match="not even the fewest games"):
        Machine(lambda _: 1.0, memory=0).tuner().tune(*grid(cores=2, on_gpu=True, default=DEFAULT))


@pytest.mark.parametrize("limit", [0.0, 1.0, 5.0, 9.0])
def test_ends_at_its_limit_with_what_it_has_seen(limit: float) -> None:
    machine = Machine(peak_at(512, 1))
    found = machine.tuner(limit=limit).tune(*grid(cores=2, on_gpu=False, default=DEFAULT))
    assert machine.now <= limit + 2, "a look each at the last of the stage and at the default"
    assert not found.settled
    assert (found.chosen, found.gain) == (DEFAULT, 1.0), "not told apart: nothing is changed"
    assert {tried.setting for tried in found.tried if tried.looks} >= {DEFAULT}


def test_the_loser_of_a_stage_gives_its_memory_back_but_never_the_default() -> None:
    machine = Machine(peak_at(1024, 1))
    found = machine.tuner().tune(*grid(cores=2, on_gpu=False, default=DEFAULT))
    assert DEFAULT not in machine.dropped
    assert found.chosen not in machine.dropped
    last = {s: i for i, s in enumerate(machine.looks)}
    assert len(set(machine.dropped)) == len(machine.dropped)
    assert len(machine.dropped) >= len(last) - 4


@pytest.mark.parametrize("cores", [1, 2, 3, 8, 64])
def test_the_grid_is_one_that_can_be_played(cores: int) -> None:
    default = Setting(n_parallel_games=100, n_groups=max(2, cores), threads=1)
    for on_gpu in (False, True):
        games, shapes = grid(cores=cores, on_gpu=on_gpu, default=default)
        assert default in games
        assert all(setting.n_parallel_games >= setting.n_groups for setting in games)
        assert games == sorted(games, key=lambda s: s.size)
        assert len(set(shapes)) == len(shapes) >= 1
        assert (default.n_groups, default.threads) not in shapes
        assert all(n >= 1 for n in itertools.chain(*shapes))


class Counting:
    """The constant evaluator, counting what it is asked."""

    version = 7
    asked = 0

    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        self.asked += len(obs)
        uniform_evaluate(obs, out)


def test_a_trial_looks_at_games_of_all_stages() -> None:
    """Only looks reach the evaluator, and one step of each group is the least of a look."""
    evaluator = Counting()
    search = SearchOptions(n_simulations=16, exact_tricks=0)
    config = SelfPlayConfig(n_parallel_games=96, n_groups=2, worlds="true", search=search)
    trial = Trial(evaluator, config=config, seed=5, patience=60)
    assert evaluator.asked == 0, "the games began with the constant evaluator"
    looks = [trial.run(0.0) for _ in range(40)]
    assert [look.batches for look in looks] == [2] * 40
    assert sum(look.evaluations for look in looks) == evaluator.asked
    halves = [sum(look.plays for look in part) for part in (looks[:20], looks[20:])]
    assert min(halves) > 0.4 * sum(halves), "games that go in step would play in bursts"
    assert sum(look.finished for look in looks) > 0
