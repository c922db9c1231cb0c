"""Players for programs: the same plays as in a match, and what the network thinks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zebfast
from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.build import PlayerLoadError, build_player
from zebfast.arena.players.specs import PlayerSpecError, parse_spec
from zebfast.net import checkpoint
from zebfast.net.networks import sized
from zebfast.net.v1 import NetConfig

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def played(plies: int, *, deal: int = 5) -> zebfast.Game:
    game = zebfast.Game.deal(seed=9, game=deal)
    for _ in range(plies):
        game.play(game.legal()[0])
    return game


@pytest.mark.parametrize(
    "spec", ["random", "heuristic2", "eq:n=3", "zeb", "search:worlds=2", "search:n=4"]
)
def test_a_whole_game(spec: str) -> None:
    player = zebfast.load_player(spec)
    assert isinstance(player, zebfast.GamePlayer)
    assert player.name == spec
    game = played(0)
    while not game.over:
        game.play(player.choose(game))
    assert sum(game.points) == 42
    with pytest.raises(ValueError, match="the game is over"):
        player.choose(game)


def test_the_plays_are_those_of_a_match() -> None:
    """One by one or side by side, the player is shown the same and draws the same."""
    deals, player = 12, zebfast.load_player("zeb:temperature=1", seed=4)
    batch = zebfast.GameBatch.deal(deals, seed=9)
    games = [played(0, deal=number) for number in range(deals)]
    rows, bids = np.arange(deals), np.full(deals, 30, dtype=np.uint8)
    other = build_player(parse_spec("zeb:temperature=1"), device="cpu")
    for _ in range(28):
        rng = PlayRng(seed=4, games=rows.astype(np.uint64), plies=batch.n_plays)
        chosen = other.choose(batch, rows, rng, bids)
        alone = [player.choose(game, number=number) for number, game in enumerate(games)]
        assert alone == chosen.tolist()
        batch.play(chosen)
        for game, domino in zip(games, alone, strict=True):
            game.play(domino)


def test_the_bid_reaches_the_player() -> None:
    player = zebfast.load_player("eq:n=20,objective=make")
    games = [played(plies, deal=deal) for deal in range(4) for plies in range(0, 20, 3)]
    low, high = ([player.choose(game, bid=bid) for game in games] for bid in (30, 42))
    assert low != high
    for bid in (29, 43):
        with pytest.raises(ValueError, match=f"bid {bid}: bids run from 30 to 42"):
            player.choose(games[0], bid=bid)


def test_probabilities_are_the_priors_of_the_legal_dominoes() -> None:
    player = zebfast.load_player()
    evaluator = build_player(parse_spec("zeb"), device="cpu").evaluator  # type: ignore[attr-defined]
    for plies in range(28):
        game = played(plies)
        chances = player.probabilities(game)
        assert list(chances) == game.legal()
        assert sum(chances.values()) == pytest.approx(1.0)
        out = np.empty((1, 8), dtype=np.float32)
        evaluator.evaluate(np.array([game.observation()]), out)
        slots = [game.dealt[game.to_play].index(domino) for domino in chances]
        assert list(chances.values()) == pytest.approx(out[0, slots].tolist(), abs=1e-4)


def test_favourite_at_temperature_zero() -> None:
    player = zebfast.load_player("zeb:temperature=0")
    for deal in range(10):
        game = played(deal, deal=deal)
        chances = player.probabilities(game)
        assert chances[player.choose(game)] == pytest.approx(max(chances.values()), abs=1e-4)


def test_points_are_a_distribution_that_knows_the_score() -> None:
    player = zebfast.load_player()
    for deal in range(8):
        game = played(26, deal=deal)
        chances = player.points(game)
        assert chances.shape == (43,)
        assert chances.sum() == pytest.approx(1.0)
        assert player.expected_points(game) == pytest.approx(float(chances @ np.arange(43)))
        side = game.to_play % 2
        while not game.over:
            game.play(game.legal()[0])
        before = played(26, deal=deal)  # only the last two dominoes are open
        assert player.expected_points(before) == pytest.approx(game.points[side], abs=6)


def test_players_that_cannot_say_so(tmp_path: Path) -> None:
    game = played(3)
    for ask in ("probabilities", "points", "expected_points"):
        with pytest.raises(ValueError, match="'heuristic' has no network"):
            getattr(zebfast.load_player("heuristic"), ask)(game)
    v1 = NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=32)
    checkpoint.save(checkpoint.fresh(v1, seed=1), tmp_path / "v1.pt")
    old = zebfast.load_player(f"zeb:source={tmp_path}/v1.pt")
    assert list(old.probabilities(game)) == game.legal()
    with pytest.raises(ValueError, match="does not predict points; v2 ones do"):
        old.expected_points(game)


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(PlayerSpecError, match="did you mean 'heuristic'"):
        zebfast.load_player("heuristc")
    with pytest.raises(PlayerLoadError, match=r"none\.pt does not exist"):
        zebfast.load_player(f"zeb:source={tmp_path}/none.pt")


def test_hidden_hands_do_not_matter() -> None:
    """Two games that look alike to the seat to play get the same answers."""
    game = zebfast.Game.deal(seed=3)
    hands = game.dealt
    others = [seat for seat in range(4) if seat != game.to_play]
    moved = dict(zip(others, [hands[seat] for seat in others[1:] + others[:1]], strict=True))
    swapped = zebfast.Game(
        [moved.get(seat, hands[seat]) for seat in range(4)], game.decl, game.leader
    )
    player = zebfast.load_player()
    assert player.choose(game) == player.choose(swapped)
    assert player.probabilities(game) == player.probabilities(swapped)
    assert np.array_equal(player.points(game), player.points(swapped))


def test_a_checkpoint_of_ones_own(tmp_path: Path) -> None:
    network = checkpoint.fresh(sized("v2", "small", belief_head=False), seed=2)
    checkpoint.save(network, tmp_path / "own.pt")
    player = zebfast.load_player(f"zeb:source={tmp_path}/own.pt")
    assert player.choose(played(1)) in played(1).legal()
