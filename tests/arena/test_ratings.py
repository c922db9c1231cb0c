"""Ratings against closed forms and a second way of computing them."""

import math
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from zebfast.arena.ratings import ELO_PER_LOG_ODDS, bradley_terry, deal_scores, rate

WON, TIED, LOST = 30, 21, 12


def pairing(won: int, tied: int, lost: int) -> NDArray[np.uint8]:
    """Points u1[deals, 2] of A: so many games each; an even number in all."""
    games = [WON] * won + [TIED] * tied + [LOST] * lost
    shuffled = np.random.default_rng(won).permutation(np.array(games, dtype=np.uint8))
    return shuffled.reshape(-1, 2)


def elo(p: float) -> float:
    return 400.0 * math.log10(p / (1.0 - p))


def slow_strengths(scores: NDArray[np.float64], rounds: int = 20_000) -> NDArray[np.float64]:
    """Hunter's MM iteration, one player at a time; log strengths relative to player 0."""
    n = len(scores)
    strength = np.ones(n)
    for _ in range(rounds):
        for i in range(n):
            shared = sum(
                (scores[i, j] + scores[j, i]) / (strength[i] + strength[j])
                for j in range(n)
                if j != i
            )
            strength[i] = scores[i].sum() / shared
        strength /= strength.sum()
    return np.log(strength / strength[0])


@pytest.mark.parametrize(("won", "tied", "lost"), [(60, 0, 40), (10, 4, 186), (7, 86, 7)])
def test_two_players_have_a_closed_form(won: int, tied: int, lost: int) -> None:
    """One tie is added to the pairing, a tie is half a win."""
    found = rate(("b", "a"), np.array([[1, 0]]), pairing(won, tied, lost)[None])
    games = won + tied + lost
    assert found[0].elo == found[0].elo_low == found[0].elo_high == 0.0
    assert found[1].elo == pytest.approx(elo((won + tied / 2 + 0.5) / (games + 1)), abs=1e-6)


def test_the_order_of_a_pairing_does_not_matter() -> None:
    points = pairing(70, 2, 28)
    forward = rate(("a", "b"), np.array([[0, 1]]), points[None])
    backward = rate(("a", "b"), np.array([[1, 0]]), 42 - points[None])
    assert forward == backward
    assert forward[1].elo < 0


def test_players_that_fit_the_model_get_their_strengths() -> None:
    """Win probabilities computed from known strengths, as fractional scores."""
    strengths = np.array([0.0, 0.4, -1.1, 2.0])
    p = 1.0 / (1.0 + np.exp(strengths[None, :] - strengths[:, None]))
    scores = 1000.0 * p * (1 - np.eye(4))
    assert bradley_terry(scores[None])[0] == pytest.approx(strengths, abs=1e-9)


def test_players_that_do_not_fit_get_the_maximum_of_the_likelihood() -> None:
    """Paper, scissors, stone and a weak fourth; unequal numbers of games."""
    scores = np.array([[0, 70, 20, 90], [30, 0, 55, 40.5], [80, 15, 0, 60], [12, 9.5, 40, 0]])
    assert bradley_terry(scores[None])[0] == pytest.approx(slow_strengths(scores), abs=1e-7)


def test_many_tables_at_once() -> None:
    rng = np.random.default_rng(3)
    scores = rng.uniform(1.0, 100.0, size=(20, 5, 5)) * (1 - np.eye(5))
    alone = [bradley_terry(table[None])[0] for table in scores]
    assert bradley_terry(scores) == pytest.approx(np.array(alone))


def test_who_won_everything_stays_finite() -> None:
    """A chain in which each player won all its games against every weaker one."""
    pairs = np.array(list(combinations(range(4), 2)))
    points = np.full((len(pairs), 500, 2), LOST, dtype=np.uint8)
    found = [rating.elo for rating in rate(tuple("abcd"), pairs, points)]
    assert found == sorted(found)
    table = np.where(np.triu(np.ones((4, 4)), 1) > 0, 0.5, 1000.5) * (1 - np.eye(4))
    p = 1.0 / (1.0 + 10 ** ((np.array(found)[None, :] - np.array(found)[:, None]) / 400.0))
    expected = (1001.0 * p * (1 - np.eye(4))).sum(axis=1)
    assert table.sum(axis=1) == pytest.approx(expected, abs=1e-4)  # the likelihood is stationary


def test_scores_of_deals() -> None:
    points = np.array([[[22, 21], [20, 0]], [[42, 30], [21, 21]]], dtype=np.uint8)
    assert deal_scores(points).tolist() == [[1.5, 2.0], [0.0, 1.0]]


def test_intervals_are_as_wide_as_the_error_says() -> None:
    """Two players: the error of the score over deals, carried over to Elo."""
    rng = np.random.default_rng(2)
    points = rng.choice([WON, LOST], size=(1, 1000, 2), p=[0.6, 0.4]).astype(np.uint8)
    low, high = (
        (found := rate(("b", "a"), np.array([[1, 0]]), points)[1]).elo_low,
        found.elo_high,
    )
    scores = deal_scores(points)[:, 0] / 2.0
    p = scores.mean()
    se = scores.std(ddof=1) / math.sqrt(1000) / (p * (1 - p)) * ELO_PER_LOG_ODDS
    assert low < found.elo < high
    assert high - low == pytest.approx(2 * 1.96 * se, rel=0.1)


def test_deals_are_resampled_jointly() -> None:
    """Two players with the same games on the same deals: their difference has no error."""
    points = pairing(55, 3, 42)
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    even = np.tile(np.array([WON, LOST], dtype=np.uint8), (50, 1))
    found = rate(tuple("abc"), pairs, np.stack([points, points, even]))
    assert found[1].elo == pytest.approx(found[2].elo)
    assert found[1].elo_low == pytest.approx(found[2].elo_low)
    assert found[1].elo_high == pytest.approx(found[2].elo_high)
    relative = rate(
        tuple("bca"), np.array([[2, 0], [2, 1], [0, 1]]), np.stack([points] * 2 + [even])
    )
    assert (relative[1].elo_low, relative[1].elo_high) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_the_same_games_give_the_same_intervals() -> None:
    args = (("a", "b"), np.array([[0, 1]]), pairing(33, 2, 65)[None])
    assert rate(*args) == rate(*args)


@pytest.mark.parametrize(
    ("pairs", "n_deals"),
    [([[0, 1]], 5), ([[0, 1], [0, 2], [2, 0]], 5), ([[0, 1], [0, 2], [1, 2]], 0)],
)
def test_missing_pairings_are_refused(pairs: list[list[int]], n_deals: int) -> None:
    points = np.full((len(pairs), n_deals, 2), 21, dtype=np.uint8)
    with pytest.raises(ValueError, match="every pairing once"):
        rate(tuple("abc"), np.array(pairs), points)
