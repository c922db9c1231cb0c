"""Compiled rules against the Python law: the same values and the same errors."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zebfast import rules
from zebfast.core.engine import Game, GameBatch, isa, random_games

seeds = st.integers(0, 2**64 - 1)


def outcome(call: Callable[[], Any]) -> Any:
    """Value, or the class and text of the error."""
    try:
        return call()
    except (ValueError, IndexError) as error:
        return type(error), str(error)


def same(game: Game, twin: rules.Position) -> None:
    assert game.hands == twin.hands
    assert game.dealt == twin.dealt
    assert game.legal() == twin.legal()
    assert game.to_play == twin.to_play
    assert game.trick == twin.trick
    assert game.plays == twin.plays
    assert game.points == twin.points
    assert game.over == twin.over


@given(
    seed=seeds, number=st.integers(0, 2**64 - 1), moves=st.lists(st.integers(-3, 31), max_size=60)
)
@settings(max_examples=300, deadline=None)
def test_game_equals_twin(seed: int, number: int, moves: list[int]) -> None:
    """Random walks of legal, illegal and absurd plays and undos."""
    game = Game.deal(seed, number)
    hands, decl, leader = rules.deal(seed, number)
    twin = rules.Position(hands, decl, leader)
    assert (game.decl, game.leader) == (decl, leader)
    same(game, twin)
    for move in moves:
        if move < 0:
            assert outcome(game.undo) == outcome(twin.undo)
        elif move < 28 and (legal := twin.legal()):
            domino = legal[move % len(legal)]
            game.play(domino)
            twin.play(domino)
        else:
            assert outcome(lambda m=move: game.play(m)) == outcome(lambda m=move: twin.play(m))
        same(game, twin)


@given(seed=seeds)
@settings(max_examples=100, deadline=None)
def test_whole_game_equals_twin(seed: int) -> None:
    game, twin = Game.deal(seed), rules.Position(*rules.deal(seed, 0))
    key = rules.stream_key(seed, rules.Stream.PLAY, 0)
    while not twin.over:
        for domino in range(28):  # every domino, legal or not, gives the same answer
            if domino not in twin.legal():
                assert outcome(lambda d=domino: game.play(d)) == outcome(
                    lambda d=domino: twin.play(d)
                )
        legal = twin.legal()
        domino = legal[rules.bounded(key, len(twin.plays), len(legal))]
        game.play(domino)
        twin.play(domino)
        same(game, twin)
    assert sum(game.points) == rules.TOTAL_POINTS
    assert random_games(1, seed=seed)[0] == game.points[0]


def _corrupt(kind: str) -> tuple[list[list[int]], int, int]:
    hands, decl, leader = rules.deal(1, 1)
    if kind == "twice":
        hands[2][3] = hands[0][0]
    elif kind == "short":
        hands[1].pop()
    elif kind == "id":
        hands[3][6] = 28
    elif kind == "negative":
        hands[3][0] = -1
    elif kind == "seats":
        hands.pop()
    elif kind == "decl":
        decl = 10
    elif kind == "leader":
        leader = 4
    return hands, decl, leader


@pytest.mark.parametrize("kind", ["twice", "short", "id", "negative", "seats", "decl", "leader"])
def test_impossible_deals(kind: str) -> None:
    hands, decl, leader = _corrupt(kind)
    want = outcome(lambda: rules.Position(hands, decl, leader))
    assert want[0] is rules.ImpossibleDeal
    assert outcome(lambda: Game(hands, decl, leader)) == want
    if kind not in ("short", "seats"):
        good = rules.deal(5, 5)
        got = outcome(lambda: GameBatch([good[0], hands], [good[1], decl], [good[2], leader]))
        assert got == (rules.ImpossibleDeal, f"game 1: {want[1]}")


def test_batch_shapes_are_checked() -> None:
    hands, decl, leader = rules.deal(5, 5)
    with pytest.raises(rules.ImpossibleDeal, match="shape"):
        GameBatch([hands[:3]], [decl], [leader])
    with pytest.raises(rules.ImpossibleDeal, match="same number"):
        GameBatch([hands], [decl, decl], [leader])
    with pytest.raises(TypeError, match="integers"):
        GameBatch(np.zeros((1, 4, 7)), [0], [0])
    with pytest.raises(TypeError, match="decl must be whole numbers"):
        GameBatch([hands], [0.5], [0])


def test_batch_equals_single_games() -> None:
    n, seed = 64, 11
    batch = GameBatch.deal(n, seed=seed, first_game=100)
    games = [Game.deal(seed, 100 + i) for i in range(n)]
    again = GameBatch(batch.hands, batch.decl, batch.leader)
    numbers = np.arange(100, 100 + n, dtype=np.uint64)
    for ply in range(28):
        legal = batch.legal()
        assert [sum(1 << d for d in g.legal()) for g in games] == legal.tolist()
        observed = batch.observe()
        assert all(g.observation() == o for g, o in zip(games, observed, strict=True))
        batch.play_random(seed=seed, games=numbers)
        played = batch.history[:, ply]
        for game, domino in zip(games, played, strict=True):
            game.play(int(domino))
        again.play(played)
        assert batch.points.tolist() == again.points.tolist() == [g.points for g in games]
        assert batch.to_play.tolist() == again.to_play.tolist() == [g.to_play for g in games]
        assert batch.seats[:, ply].tolist() == [g.plays[-1][0] for g in games]
        assert batch.held.tolist() == [[sum(1 << d for d in h) for h in g.hands] for g in games]
    assert batch.over.all()
    assert (batch.legal() == 0).all()
    assert batch.points[:, 0].tolist() == random_games(n, seed=seed, first_game=100).tolist()
    with pytest.raises(ValueError, match="game 0 is over"):
        batch.observe()


def test_batch_play_is_all_or_nothing() -> None:
    batch = GameBatch.deal(3, seed=2)
    legal = [[d for d in range(28) if m >> d & 1] for m in batch.legal().tolist()]
    wrong = next(d for d in range(28) if d not in legal[2])
    with pytest.raises(rules.IllegalPlay, match=r"^game 2: seat \d may not play \d-\d; legal"):
        batch.play([legal[0][0], 255, wrong])
    assert batch.n_plays.tolist() == [0, 0, 0]
    batch.play([legal[0][0], 255, legal[2][0]])
    assert batch.n_plays.tolist() == [1, 0, 1]
    batch.play([legal[1][0]], rows=[1])
    assert batch.n_plays.tolist() == [1, 1, 1]
    with pytest.raises(rules.IllegalPlay):
        batch.play([-1, 255, 255 - 256 * 1000])  # nothing wraps around into a legal id
    for bad, error in (([0, 0], ValueError), ([3], IndexError), ([-1], IndexError)):
        with pytest.raises(error):
            batch.play([0] * len(bad), rows=bad)


def test_copies_are_independent() -> None:
    batch = GameBatch.deal(4, seed=3)
    twin, two = batch.copy(), batch.take([2, 2])
    batch.play_random(seed=1)
    assert twin.n_plays.tolist() == [0] * 4
    assert len(two) == 2
    assert (two.hands == twin.hands[[2, 2]]).all()
    game = Game.deal(1)
    other = copy.copy(game)
    other.play(other.legal()[0])
    assert game.plays == []
    assert "points=[0, 0]" in repr(game)


def test_random_games_split_anyhow() -> None:
    whole = random_games(1000, seed=9)
    parts = [random_games(n, seed=9, first_game=f) for f, n in ((0, 1), (1, 499), (500, 500))]
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert random_games(0, seed=1).shape == (0,)
    assert 20.5 < random_games(20_000, seed=4).mean() < 21.5
    assert isa() in ("x86-64-v3", "baseline", "native")


PERFT = json.loads((Path(__file__).parent.parent / "golden" / "perft.json").read_text())


@pytest.mark.parametrize("case", PERFT, ids=lambda c: f"{c['seed']}-{c['decl']}")
def test_perft(case: dict[str, Any]) -> None:
    """Leaf counts per (deal, declaration, depth), pinned; the first depths also in Python."""
    hands, _, leader = rules.deal(case["seed"], 0)
    game = Game(hands, case["decl"], leader)
    got = [game.perft(depth) for depth in range(1, len(case["counts"]) + 1)]
    assert got == case["counts"]
    twin = rules.Position(hands, case["decl"], leader)
    assert [rules.perft(twin, depth) for depth in range(1, 5)] == case["counts"][:4]


def test_games_of_a_batch_and_back() -> None:
    batch = GameBatch.deal(5, seed=3)
    batch.play_random(seed=1)
    games = [batch.game(row) for row in range(5)]
    assert GameBatch.of(games) == batch
    games[0].play(games[0].legal()[0])
    assert batch.game(0) != games[0]  # a copy
    with pytest.raises(IndexError):
        batch.game(5)
    with pytest.raises(TypeError, match="a Game is needed, not int"):
        GameBatch.of([games[0], 3])


def test_rows_are_dealt_anew() -> None:
    batch = GameBatch.deal(5, seed=3)
    batch.play_random(seed=1)
    before = batch.copy()
    batch.redeal(seed=9, games=[7, 2], rows=[4, 1])
    assert batch.game(4) == Game.deal(9, 7)
    assert batch.game(1) == Game.deal(9, 2)
    assert batch.take([0, 2, 3]) == before.take([0, 2, 3])
    with pytest.raises(ValueError, match="rows must not repeat"):
        batch.redeal(seed=9, games=[1, 2], rows=[0, 0])
    batch.redeal(seed=3, games=np.arange(5))
    assert batch == GameBatch.deal(5, seed=3)


def test_random_plays_until_a_seat_is_to_play() -> None:
    for seat in range(4):
        batch, twin = (GameBatch.deal(30, seed=3) for _ in range(2))
        for _ in range(9):
            numbers = np.arange(30) + 7
            batch.play_random(seed=5, games=numbers, until=seat)
            while (rows := np.flatnonzero((twin.to_play != seat) & ~twin.over)).size:
                twin.play_random(seed=5, games=numbers[rows], rows=rows)
            assert batch == twin
            for games in (batch, twin):
                games.play_random(seed=5, games=numbers)
    with pytest.raises(ValueError, match="seat 4: seats run from 0 to 3"):
        batch.play_random(seed=5, until=4)
