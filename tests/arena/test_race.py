"""The race between plays: means with a prior and weights, and what is dropped when."""

from __future__ import annotations

import numpy as np
import pytest

from zebfast.arena.players.rollouts import RACE_FROM_WORLDS as FEWEST_WORLDS
from zebfast.arena.players.rollouts import Race


def started(prior: list[float], *, prior_worlds: float = 0.0) -> Race:
    """A race of plays 3, 4, 5, ... of one decision."""
    legal = np.zeros((1, 28), np.bool_)
    legal[0, 3 : 3 + len(prior)] = True
    at = np.zeros((1, 28))
    at[0, 3 : 3 + len(prior)] = prior
    return Race.start(legal, at, prior_worlds=prior_worlds)


def worlds(*plays: list[float]) -> np.ndarray:
    """f4[1, n, 28] of the values of plays 3, 4, ... in n worlds, NaN elsewhere."""
    out = np.full((1, len(plays[0]), 28), np.nan, np.float32)
    for i, values in enumerate(plays):
        out[0, :, 3 + i] = values
    return out


def test_without_worlds_the_prior_decides() -> None:
    assert started([0.1, 0.3, 0.2], prior_worlds=5.0).best() == [4]


def test_means_are_of_worlds_and_prior() -> None:
    """Two worlds at 1.0 and 0.0 for play 3, 0.5 twice for play 4: the prior decides, by how far."""
    values = worlds([1.0, 0.0], [0.6, 0.6])
    for prior_worlds, wanted in ((0.0, 4), (1.0, 4), (3.0, 3)):
        race = started([0.1, 0.0], prior_worlds=prior_worlds)
        race.add(values, np.zeros((1, 2)))
        assert race.best() == [wanted]  # 1.0 + P * 0.1 against 1.2


def test_likelier_worlds_count_more() -> None:
    values = worlds([1.0, -1.0], [0.0, 0.0])
    for odds, wanted in ((0.5, 4), (2.0, 3)):
        race = started([0.0, 0.0])
        race.add(values, np.log([[odds, 1.0]]))
        assert race.best() == [wanted]


def test_weights_make_worlds_worth_fewer() -> None:
    """All weight on one of ten worlds: it counts as one against a prior of two."""
    values = worlds([1.0, *[0.0] * 9], [0.0] * 10)
    logs = np.array([[0.0, *[-50.0] * 9]])
    for gap, wanted in ((0.4, 3), (0.6, 4)):
        race = started([0.0, gap], prior_worlds=2.0)
        race.add(values, logs)
        assert race.best() == [wanted]


@pytest.mark.parametrize("clear", [True, False])
def test_what_is_clearly_behind_is_dropped(clear: bool) -> None:
    n = 4 * FEWEST_WORLDS
    one = np.sin(np.arange(n))
    other = one - (1.0 if clear else 0.1) + np.resize([1.0, -1.0], n)
    race = started([0.0, 0.0])
    race.add(worlds(one.tolist(), other.tolist()), np.zeros((1, n)))
    assert race.best() == [3]
    assert race.alive[0].sum() == (1 if clear else 2)
    assert len(race.open) == (0 if clear else 1)


def test_nothing_is_dropped_on_few_worlds() -> None:
    race = started([0.0, 0.0])
    few = FEWEST_WORLDS - 1
    race.add(worlds([1.0] * few, [0.0] * few), np.zeros((1, few)))
    assert race.alive[0].sum() == 2
    race.add(worlds([1.0], [0.0]), np.zeros((1, 1)))
    assert race.alive[0].sum() == 1


def test_what_was_dropped_stays_out_and_its_values_are_not_read() -> None:
    n = FEWEST_WORLDS
    race = started([0.0, 0.0, 0.0])
    race.add(worlds([1.0] * n, [0.9, 1.1] * (n // 2), [-1.0] * n), np.zeros((1, n)))
    assert race.alive[0, 3:6].tolist() == [True, True, False]
    race.add(worlds([0.0] * n, [0.5] * n, [np.nan] * n), np.zeros((1, n)))
    assert race.best() == [4]


def test_decisions_are_independent() -> None:
    n, rng = 16, np.random.default_rng(5)
    legal = np.zeros((3, 28), np.bool_)
    legal[:, 2:6] = True
    prior = np.where(legal, rng.normal(size=(3, 28)), 0.0)
    values = rng.normal(size=(3, n, 28)).astype(np.float32)
    logs = rng.normal(size=(3, n))
    together = Race.start(legal, prior, prior_worlds=2.0)
    together.add(values, logs)
    for i in range(3):
        at = np.array([i])
        alone = Race.start(legal, prior, prior_worlds=2.0).take(at)
        alone.add(values[at], logs[at])
        assert alone.best() == together.best()[i]
        np.testing.assert_array_equal(alone.alive[0], together.alive[i])
