"""Intervals and tallies."""

import math

import numpy as np
import pytest

from zebfast.arena.stats import MatchTally, wilson_interval


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


def test_tally_counts_ties_apart() -> None:
    tally = MatchTally()
    tally.add(np.array([[4, -2], [0, 0], [42, 0]]))
    result = tally.result(player_a="a", player_b="b", seed=7, seconds=2.0)
    assert (result.games, result.wins, result.ties, result.losses) == (6, 2, 3, 1)
    assert result.win_rate == pytest.approx(2 / 6)
    assert result.mean_margin == pytest.approx(44 / 6)
    assert result.games_per_s == pytest.approx(3.0)
    assert result.as_dict()["player_a"] == "a"


def test_margin_error_is_taken_over_deals() -> None:
    rng = np.random.default_rng(5)
    margins = rng.integers(-42, 43, size=(400, 2))
    tally = MatchTally()
    tally.add(margins)
    expected = margins.mean(axis=1).std(ddof=1) / math.sqrt(400)
    assert tally.margin_se() == pytest.approx(expected)


def test_tally_does_not_depend_on_chunks() -> None:
    margins = np.random.default_rng(6).integers(-42, 43, size=(101, 2)).astype(np.int8)
    whole, parts = MatchTally(), MatchTally()
    whole.add(margins)
    for start in range(0, 101, 7):
        parts.add(margins[start : start + 7])
    assert whole == parts


def test_one_deal_has_no_spread_and_none_no_result() -> None:
    tally = MatchTally()
    with pytest.raises(ValueError, match="games > 0"):
        tally.result(player_a="a", player_b="b", seed=0, seconds=1.0)
    tally.add(np.array([[10, 2]]))
    assert tally.margin_se() == 0.0
