"""Matches: every deal both ways, the same result however it is cut, and the measured strengths."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from zebfast import rules
from zebfast.arena.match import (
    MatchProgress,
    evaluate_network,
    play_deals,
    play_match,
)
from zebfast.arena.pairs import PlayRng, contracts
from zebfast.arena.players.base import Player, plain_player
from zebfast.arena.stats import MatchResult
from zebfast.core.engine import GameBatch


class Witness:
    """Plays the lowest legal domino and writes down what it saw."""

    name = "witness"

    def __init__(self) -> None:
        self.seats: list[tuple[int, int, int]] = []  # (ply, game, seat)
        self.deals: dict[int, tuple[list[list[int]], int, int, int]] = {}

    def choose(
        self,
        batch: GameBatch,
        rows: NDArray[np.intp],
        rng: PlayRng,
        bids: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        for row, game, ply, bid in zip(rows, rng.games, rng.plies, bids, strict=True):
            self.seats.append((int(ply), int(game), int(batch.to_play[row])))
            hands, decl, leader = batch.hands[row], int(batch.decl[row]), int(batch.leader[row])
            self.deals[int(game)] = (hands.tolist(), decl, leader, int(bid))
        legal = batch.legal(rows).astype(np.int64)
        return np.log2(legal & -legal).astype(np.uint8)


class FlatEvaluator:
    """A network that has learned nothing."""

    def evaluate(self, obs: NDArray[np.void], out: NDArray[np.float32]) -> None:
        out[:] = 1.0


def match(name_a: str, name_b: str, n_games: int, *, seed: int = 42) -> MatchResult:
    return play_match(plain_player(name_a), plain_player(name_b), n_games=n_games, seed=seed)


def test_every_deal_is_played_both_ways() -> None:
    a, b = Witness(), Witness()
    play_deals(a, b, seed=1, first_deal=3, n_deals=4)
    assert {game for _, game, _ in a.seats} == set(range(6, 14))
    assert all(seat % 2 == game % 2 for _, game, seat in a.seats)
    assert all(seat % 2 != game % 2 for _, game, seat in b.seats)
    seen = a.deals | b.deals
    for game in range(6, 14, 2):
        assert seen[game] == seen[game + 1]
    assert len({str(deal) for deal in seen.values()}) == 4


def test_a_deterministic_player_against_itself_comes_out_even() -> None:
    played = play_deals(Witness(), Witness(), seed=2, first_deal=0, n_deals=30)
    assert (played.margins.sum(axis=1) == 0).all()
    assert (played.flipped().points == played.points).all()


def test_bids_are_the_first_free_draw_of_the_deal() -> None:
    """And the same for every pairing; a fixed bid replaces them."""
    a, b = Witness(), Witness()
    play_deals(a, b, seed=5, first_deal=40, n_deals=60)
    keys = {deal: rules.stream_key(5, rules.Stream.EVAL_DEAL, deal) for deal in range(40, 100)}
    expected = {deal: 30 + rules.bounded(key, 29, 13) for deal, key in keys.items()}
    assert {game // 2: deal[3] for game, deal in (a.deals | b.deals).items()} == expected
    found = contracts(seed=5, n_deals=100, bid=None)
    assert found.bids[40:].tolist() == list(expected.values())
    assert set(found.bids.tolist()) == set(range(30, 43))
    fixed = play_deals(a, b, seed=5, first_deal=0, n_deals=3, bid=36)
    assert fixed.bids.tolist() == [36] * 3
    assert {deal[3] for game, deal in (a.deals | b.deals).items() if game < 6} == {36}


def test_contracts_are_those_of_the_games() -> None:
    found = contracts(seed=8, n_deals=1100, bid=None)
    played = play_deals(Witness(), Witness(), seed=8, first_deal=1000, n_deals=100)
    assert (found.bids[1000:] == played.bids).all()
    assert (found.declared[1000:] == played.declared).all()
    leaders = [rules.deal(8, deal, rules.Stream.EVAL_DEAL)[2] for deal in range(1100)]
    assert found.declared[:, 0].tolist() == [leader % 2 == 0 for leader in leaders]
    assert (found.declared[:, 0] != found.declared[:, 1]).all()


def test_chunks_do_not_change_the_result() -> None:
    players = plain_player("random"), plain_player("heuristic")
    results = [
        play_match(*players, n_games=301, seed=9, deals_per_chunk=chunk)
        for chunk in (1024, 151, 64, 1)
    ]
    assert len({replace(result, games_per_s=0.0) for result in results}) == 1
    assert results[0].games == 302


def test_seeds_matter_and_repeat() -> None:
    first, again, other = (match("random", "random", 400, seed=s).mean_margin for s in (1, 1, 2))
    assert first == again != other


def test_progress_reaches_the_total() -> None:
    seen: list[MatchProgress] = []
    players = plain_player("random"), plain_player("heuristic")
    play_match(*players, n_games=100, deals_per_chunk=20, progress=seen.append)
    assert [p.done for p in seen] == [40, 80, 100]
    assert {p.total for p in seen} == {100}
    assert seen[0].games_per_s > 0
    assert MatchProgress(0, 10, 0, 0.0).games_per_s == 0.0


@pytest.mark.parametrize(("n_games", "chunk"), [(0, 10), (10, 0)])
def test_empty_matches_are_refused(n_games: int, chunk: int) -> None:
    player: Player = plain_player("random")
    with pytest.raises(ValueError, match="a match needs"):
        play_match(player, player, n_games=n_games, deals_per_chunk=chunk)


@pytest.mark.parametrize("bid", [29, 43, 84])
def test_impossible_bids_are_refused(bid: int) -> None:
    player: Player = plain_player("random")
    with pytest.raises(ValueError, match="bids run from 30 to 42"):
        play_match(player, player, n_games=2, bid=bid)


@pytest.mark.parametrize(
    ("name_a", "name_b", "published"),
    [
        ("heuristic", "random", 0.545),
        ("heuristic2", "random", 0.569),
        ("heuristic2", "heuristic", 0.557),
    ],
)
def test_published_strengths(name_a: str, name_b: str, published: float) -> None:
    """20,000 games each way of measuring: a difference has a standard error of 0.5 %."""
    result = match(name_a, name_b, 20_000)
    assert result.win_rate == pytest.approx(published, abs=0.0125)
    assert result.win_rate_low < result.win_rate < result.win_rate_high


def test_random_against_random_is_even() -> None:
    result = match("random", "random", 20_000)
    assert result.wins == pytest.approx(result.losses, abs=4 * 20_000**0.5)
    assert 0 < result.ties < 200
    assert abs(result.mean_margin) < 4 * result.margin_se


def test_evaluate_network_with_a_network_that_knows_nothing() -> None:
    result = evaluate_network(FlatEvaluator(), n_games=4000, seed=3, temperature=1.0)
    assert (result.player_a, result.player_b, result.games) == ("network", "random", 4000)
    assert result.win_rate == pytest.approx(0.5, abs=0.035)
    with pytest.raises(ValueError, match="no plain player"):
        evaluate_network(FlatEvaluator(), opponent="zeb:source=a")
