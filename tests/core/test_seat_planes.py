"""Planes and masks are those of the slow twin, and no hidden hand is in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slow_planes
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_games import RULE_SETS, played

from zebfast import Game, GameBatch, WholeGame, WholeGameBatch, dominoes_of, rules
from zebfast.core.seat_planes import (
    HAND_PLANES,
    N_HAND_PLANES,
    N_WHOLE_PLANES,
    WHOLE_PLANES,
    action_mask,
    action_masks,
    batch_planes,
    planes,
)
from zebfast.core.worlds import WorldSet

seeds = st.integers(0, 2**64 - 1)
seats = st.integers(0, 3)


def hand(seed: int, n_plays: int) -> Game:
    """A hand after so many random plays."""
    batch = GameBatch.deal(1, seed=seed)
    for _ in range(n_plays):
        batch.play_random(seed=seed)
    return batch.game(0)


@given(seed=seeds, n=st.integers(0, 28), seat=seats)
@settings(max_examples=100, deadline=None)
def test_a_hand_is_as_its_twin_has_it(seed: int, n: int, seat: int) -> None:
    game = hand(seed, n)
    seen = planes(game, seat)
    assert (seen == slow_planes.hand_planes(game, seat)).all()
    assert (action_mask(game) == slow_planes.mask(game)).all()
    games = GameBatch.of([game, game])
    assert (batch_planes(games, [seat, seat]) == seen).all()
    assert (action_masks(games) == action_mask(game)).all()


@given(seed=seeds, kind=st.sampled_from(list(RULE_SETS)), n=st.integers(0, 250), seat=seats)
@settings(max_examples=100, deadline=None)
def test_a_whole_game_is_as_its_twin_has_it(seed: int, kind: str, n: int, seat: int) -> None:
    game = played(RULE_SETS[kind], seed, n)
    seen = planes(game, seat)
    assert (seen == slow_planes.whole_planes(game, seat)).all()
    assert (action_mask(game) == slow_planes.mask(game)).all()


def test_a_batch_of_whole_games_is_as_they_are() -> None:
    for rule_set in RULE_SETS.values():
        games = WholeGameBatch(6, seed=3, rule_set=rule_set)
        for step in range(300):
            games.play_random()
            if step % 23:
                continue
            each = [WholeGame.from_batch(games, row) for row in range(6)]
            at = np.arange(6) % 4
            wanted = [planes(game, seat) for game, seat in zip(each, at, strict=True)]
            assert (batch_planes(games, at) == wanted).all()
            assert (action_masks(games) == [action_mask(game) for game in each]).all()


@given(seed=seeds, n=st.integers(0, 27), seat=seats)
@settings(max_examples=60, deadline=None)
def test_no_hidden_domino_is_in_the_planes_of_a_hand(seed: int, n: int, seat: int) -> None:
    """However the hidden dominoes lie, a seat sees the same, and what it may do is the same."""
    game = hand(seed, n)
    batch = GameBatch.of([game])
    worlds = WorldSet(batch, 0, viewer=seat).sample(8, seed=seed % 2**32)
    before = planes(game, seat)
    for world in worlds:
        dealt = [sorted(dominoes_of(int(mask)) + [d for by, d in game.plays if by == other])
                 for other, mask in enumerate(world)]  # fmt: skip
        other = Game(dealt, game.decl, game.leader)
        for _, domino in game.plays:
            other.play(domino)
        assert (planes(other, seat) == before).all()
        if game.to_play == seat:
            assert (action_mask(other) == action_mask(game)).all()


@given(seed=seeds, n=st.integers(0, 3), seat=seats, order=st.permutations(range(21)))
@settings(max_examples=60, deadline=None)
def test_no_hidden_domino_is_in_the_planes_of_an_auction(
    seed: int, n: int, seat: int, order: list[int]
) -> None:
    game = WholeGame(shaker=seed % 4)
    dealt, _, _ = rules.deal(seed, 0)
    others = [domino for by in range(4) if by != seat for domino in dealt[by]]
    moved = iter([others[i] for i in order])
    mixed = [list(dealt[by]) if by == seat else [next(moved) for _ in range(7)] for by in range(4)]
    other = WholeGame(shaker=seed % 4)
    game.deal(dealt)
    other.deal(mixed)
    for step in range(n):
        call = 30 + step if seed >> step & 1 else 0
        game.call(call)
        other.call(call)
    assert (planes(game, seat) == planes(other, seat)).all()


def test_the_groups_lie_one_after_the_other() -> None:
    for groups, size in ((HAND_PLANES, N_HAND_PLANES), (WHOLE_PLANES, N_WHOLE_PLANES)):
        place = 0
        for first, shape in groups.values():
            assert first == place
            place += int(np.prod(shape))
        assert place == size


def test_before_a_deal_there_is_no_hand() -> None:
    game = WholeGame(shaker=3)
    first, _ = WHOLE_PLANES["shaker"]
    assert np.flatnonzero(planes(game, 1)).tolist() == [first + 2]
    assert not action_mask(game).any()


@pytest.mark.parametrize("call", [planes, batch_planes])
def test_there_are_four_seats(call: Any) -> None:
    game = Game.deal(1) if call is planes else GameBatch.deal(2, seed=1)
    for seat in (-1, 4):
        with pytest.raises(ValueError, match=f"seat {seat}: seats run from 0 to 3"):
            call(game, seat)


def test_only_games_have_planes() -> None:
    for call in (lambda x: planes(x, 0), action_mask):
        with pytest.raises(TypeError, match="a Game or a WholeGame is needed, not int"):
            call(3)
    for call in (lambda x: batch_planes(x, 0), action_masks):
        with pytest.raises(TypeError, match="a GameBatch or WholeGameBatch is needed, not int"):
            call(3)
    with pytest.raises(IndexError):
        batch_planes(GameBatch.deal(2, seed=1), 0, [2])
