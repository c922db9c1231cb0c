"""Intervals and tallies."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zebfast.arena.stats import MatchTally, PlayedDeals, wilson_interval


@pytest.mark.parametrize(
    ("wins", "games", "low", "high"),
    [(50, 100, 0.40383, 0.59617), (0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0)],
)
def test_wilson_known_values(wins: int, games: int, low: float, high: float) -> None:
    assert wilson_interval(wins=wins, games=games) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize(("wins", "games"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_nonsense(wins: int, games: int) -> None:
    with pytest.raises(ValueError, match="0 <= wins <= games"):
        wilson_interval(wins=wins, games=games)


def played(points: NDArray[np.integer[Any]], *, bid: int = 30) -> PlayedDeals:
    """Deals in which A declares as team 0 in every other one."""
    first = np.arange(len(points)) % 2 == 0
    return PlayedDeals(
        points=points.astype(np.uint8),
        declared=np.stack([first, ~first], axis=1),
        bids=np.full(len(points), bid, dtype=np.uint8),
    )


def some_deals(n: int, seed: int) -> PlayedDeals:
    return played(np.random.default_rng(seed).integers(0, 43, size=(n, 2)))


def test_tally_counts_ties_apart() -> None:
    tally = MatchTally()
    tally.add(played(np.array([[23, 20], [21, 21], [42, 21]])))
    result = tally.result(player_a="a", player_b="b", seed=7, seconds=2.0)
    assert (result.games, result.wins, result.ties, result.losses) == (6, 2, 3, 1)
    assert result.win_rate == pytest.approx(2 / 6)
    assert result.mean_margin == pytest.approx((4 - 2 + 42) / 6)
    assert result.games_per_s == pytest.approx(3.0)
    assert result.as_dict()["player_a"] == "a"


def test_margin_error_is_taken_over_deals() -> None:
    deals = some_deals(400, seed=5)
    tally = MatchTally()
    tally.add(deals)
    expected = deals.margins.mean(axis=1).std(ddof=1) / math.sqrt(400)
    assert tally.margin_se() == pytest.approx(expected)


def test_tally_does_not_depend_on_chunks() -> None:
    points = np.random.default_rng(6).integers(0, 43, size=(102, 2))
    whole, parts = MatchTally(), MatchTally()
    whole.add(played(points))
    for start in range(0, 102, 6):
        parts.add(played(points[start : start + 6]))
    assert whole == parts


def test_one_deal_has_no_spread_and_none_no_result() -> None:
    tally = MatchTally()
    with pytest.raises(ValueError, match="games > 0"):
        tally.result(player_a="a", player_b="b", seed=0, seconds=1.0)
    tally.add(played(np.array([[26, 22]])))
    assert tally.margin_se() == 0.0


@pytest.mark.parametrize(
    ("points", "bid", "made"),
    [(30, 30, True), (29, 30, False), (42, 42, True), (41, 42, False), (35, 34, True)],
)
def test_a_contract_is_made_with_exactly_the_bid(points: int, bid: int, made: bool) -> None:
    """Column 0: A declares and takes `points`; column 1: B declares and takes `points`."""
    deal = played(np.array([[points, 42 - points]]), bid=bid)
    assert deal.made.tolist() == [[made, made]]
    tally = MatchTally()
    tally.add(deal)
    result = tally.result(player_a="a", player_b="b", seed=0, bid=bid, seconds=1.0)
    assert (result.made, result.set_opponent) == (int(made), int(not made))
    assert (result.contract_wins, result.declared, result.defended) == (1, 1, 1)
    assert result.made_rate_all == float(made)


def test_flipped_is_what_the_other_player_saw() -> None:
    deals = some_deals(200, seed=7)
    own, other = MatchTally(), MatchTally()
    own.add(deals)
    other.add(deals.flipped())
    names = {"player_a": "a", "player_b": "b", "seed": 0, "seconds": 1.0}
    a, b = own.result(**names), other.result(**names)
    assert (b.wins, b.ties, b.losses) == (a.losses, a.ties, a.wins)
    assert (b.mean_margin, b.margin_se) == (-a.mean_margin, a.margin_se)
    assert b.contract_wins == a.games - a.contract_wins
    assert (b.made, b.set_opponent) == (a.declared - a.set_opponent, a.declared - a.made)
    assert b.made_rate_all == a.made_rate_all
    again = deals.flipped().flipped()
    assert (again.points == deals.points).all()
    assert (again.declared == deals.declared).all()
