"""Nello and sevens with open hands: the solver against trying everything, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_house import slow_plays_that_make

from zebfast import WholeGame, WholeGameBatch, dominoes_of, rules
from zebfast.arena.table.house import possible_worlds
from zebfast.core.house import SeatHand, plays_that_make, plays_that_make_it
from zebfast.core.masks import domino_bits
from zebfast.rules import HouseDeclaration, ImpossibleDeal, Position

seeds = st.integers(0, 2**64 - 1)


def position_of(decl: int, seed: int, tricks_left: int) -> tuple[Position, int] | None:
    """A hand that is not decided, its bidder, and only so many tricks to go; or None."""
    hands, _, bidder = rules.deal(seed, 0)
    nello = rules.is_nello(decl)
    position = Position.of_contract(hands, decl, bidder, (bidder + 2) % 4 if nello else None)
    loser = bidder % 2 if nello else 1 - bidder % 2
    while len(position.plays) < position.trick_size * (7 - tricks_left) + seed % 3:
        legal = position.legal()
        # Low in nello and whatever there is in sevens: more hands are then still open.
        position.play(legal[0] if nello else legal[seed % len(legal)])
        if position.points[loser]:
            return None
    return position, bidder


def masks_of(position: Position) -> list[int]:
    return [sum(1 << domino for domino in own) for own in position.hands]


@pytest.mark.parametrize("decl", list(HouseDeclaration))
@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_solver_equals_twin(decl: HouseDeclaration, seed: int) -> None:
    for tricks_left in (2, 3, 4):
        found = position_of(decl, seed, tricks_left)
        if found is None:
            continue
        position, bidder = found
        hand = SeatHand(decl, bidder=bidder, leader=position.leader, plays=position.plays)
        [made] = plays_that_make(hand, [masks_of(position)])
        assert dominoes_of(int(made)) == slow_plays_that_make(position, bidder)


def test_open_positions_are_among_them() -> None:
    for decl in HouseDeclaration:
        left = [position_of(decl, seed, 3) for seed in range(400)]
        kept = [found for found in left if found is not None]
        assert len(kept) > 2, decl
        made = {bool(slow_plays_that_make(position, bidder)) for position, bidder in kept}
        assert True in made


def test_whole_hands_are_solved_from_the_first_play() -> None:
    """Low dominoes without a double make nello, whatever they lead; all the doubles never do."""
    low = [[1, 3, 4, 6, 7, 10, 11], [8, 12, 13, 15, 16, 17, 19],
           [0, 2, 5, 9, 14, 20, 27], [18, 21, 22, 23, 24, 25, 26]]  # fmt: skip
    masks = [sum(1 << domino for domino in own) for own in low]
    hand = SeatHand(HouseDeclaration.NELLO, bidder=0, leader=0, plays=[])
    swapped = [masks[2], masks[1], masks[0], masks[3]]
    made = plays_that_make(hand, [masks, swapped])
    assert dominoes_of(int(made[0])) == low[0]
    assert dominoes_of(int(made[1])) == []


@pytest.mark.parametrize("n", [3, 5000])
@given(seed=seeds, decl=st.sampled_from(list(HouseDeclaration)), plays=st.integers(0, 19))
@settings(max_examples=25, deadline=None)
def test_a_tally_is_what_the_solver_says_of_the_worlds(
    n: int, seed: int, decl: HouseDeclaration, plays: int
) -> None:
    """Against worlds drawn by what a view shows; all of them where there are no more. The games of
    a batch and one seat's view count alike."""
    games = WholeGameBatch(2, seed=seed, rule_set=rules.RuleSet(nello="any", sevens=1))
    games.act([13, 13])
    for _ in range(3):
        games.act([0, 0])
    games.act([decl, decl])
    for _ in range(max(plays, 12 if n > 100 else 0)):
        games.play_random((games.phase == 3) & (games.n_hands == 0))
    rows = np.flatnonzero((games.phase == 3) & (games.n_hands == 0))
    if not len(rows):
        return
    made, worlds = plays_that_make_it(games, rows, n, seed=5, numbers=rows + 7, first=1)
    for i, row in enumerate(rows):
        game = WholeGame.from_batch(games, int(row))
        view = game.seen_by(game.seat or 0)
        assert view.bidder is not None
        possible = possible_worlds(view)
        layouts = (
            possible.enumerate() if len(possible) <= n + 1
            else possible.sample(n, seed=5, game=int(row) + 7, first=1)
        )  # fmt: skip
        leader = view.plays[0][0] if view.plays else view.seat
        hand = SeatHand(decl, bidder=view.bidder, leader=leader, plays=view.plays)
        expected = domino_bits(plays_that_make(hand, layouts)).sum(axis=0)
        assert made[i].tolist() == expected.tolist()
        assert worlds[i] == len(possible)
        one, count = hand.tally(layouts[0].tolist(), n, seed=5, number=int(row) + 7, first=1)
        assert (one.tolist(), count) == (expected.tolist(), len(possible))


def test_a_tally_is_of_hands_of_the_house_alone() -> None:
    games = WholeGameBatch(1, seed=1)
    with pytest.raises(rules.WrongPhase, match="game 0: no hand of nello or sevens is in play"):
        plays_that_make_it(games, None, 3, seed=1, numbers=[1])
    with pytest.raises(ValueError, match="0 worlds from number 0 on: expected at least 1"):
        plays_that_make_it(games, [], 0, seed=1, numbers=[])
    hand = SeatHand(HouseDeclaration.NELLO, bidder=0, leader=0, plays=[])
    with pytest.raises(ImpossibleDeal, match="layout 0: seat 0 holds 0 dominoes, not 7"):
        hand.tally([0, 0, 0, 0], 3, seed=1, number=1)


def test_layouts_that_cannot_be_are_refused() -> None:
    hands, _, _ = rules.deal(1, 0)
    masks = [sum(1 << domino for domino in own) for own in hands]
    hand = SeatHand(HouseDeclaration.SEVENS, bidder=0, leader=0, plays=[])
    with pytest.raises(ImpossibleDeal, match=r"^layout 1: domino .* is held by seat"):
        plays_that_make(hand, [masks, [masks[0], masks[0], *masks[2:]]])
    with pytest.raises(ImpossibleDeal, match=r"layouts have shape \[2\], not \[n, 4\]"):
        plays_that_make(hand, [1, 2])
    domino = hands[0][0]
    wrong = SeatHand(HouseDeclaration.NELLO, bidder=0, leader=0, plays=[(1, domino)])
    masks[0] &= ~(1 << domino)
    with pytest.raises(ImpossibleDeal, match="layout 0: seat 0 holds 6 dominoes, not 7"):
        plays_that_make(wrong, [masks])
    assert plays_that_make(hand, np.zeros((0, 4), np.uint32)).shape == (0,)
    with pytest.raises(ValueError, match="5 is not a valid HouseDeclaration"):
        SeatHand(5, bidder=0, leader=0, plays=[])
    with pytest.raises(ValueError, match="seats run from 0 to 3"):
        SeatHand(10, bidder=4, leader=0, plays=[])
    with pytest.raises(ValueError, match="play 0: no seat 9 or no domino 1"):
        SeatHand(10, bidder=0, leader=0, plays=[(9, 1)])
    with pytest.raises(ValueError, match="28 plays: the hand is over"):
        SeatHand(10, bidder=0, leader=0, plays=[(0, 1)] * 28)
