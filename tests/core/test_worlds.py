"""Worlds counted, listed and ranked: against plain enumeration and against the law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_worlds import barred_dominoes, worlds, worlds_by_law
from world_games import single

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.worlds import WorldSet, world_counts

seeds = st.integers(0, 2**32)


def followed_game() -> rules.Position:
    """A deal and six tricks in which everybody follows suit (doubles are a suit of their own)."""
    # By pip: the other ends, one that is led with the pip first.
    pips = {6: (0, 1, 2, 3), 5: (0, 1, 2, 6), 4: (0, 1, 5, 6), 3: (0, 1, 4, 5), 2: (0, 1, 3, 4)}
    tricks = [[rules.domino_id(pip, end) for end in ends] for pip, ends in pips.items()]
    tricks.append([rules.domino_id(p, p) for p in (3, 4, 5, 6)])
    rest = sorted(set(range(28)) - {d for trick in tricks for d in trick})
    hands: list[list[int]] = [[domino] for domino in rest]
    leader = 1
    for trick in tricks:
        for i, domino in enumerate(trick):
            hands[(leader + i) % 4].append(domino)
        leader = (leader + rules.trick_winner(trick, 8)) % 4
    position = rules.Position(hands, 8, 1)
    for domino in (d for trick in tricks for d in trick):
        position.play(domino)
    return position


def test_counts_without_voids_are_those_of_the_rules() -> None:
    position = followed_game()
    assert barred_dominoes(position) == [set()] * 4
    games = GameBatch([position.dealt], [8], [1])
    counts = []
    for ply in range(25):
        if ply % 4 == 0:
            seen = {int(world_counts(games, viewers=[viewer])[0]) for viewer in range(4)}
            assert len(seen) == 1
            counts += seen
        if ply < 24:
            games.play([position.plays[ply][1]])
    assert counts == [399_072_960, 17_153_136, 756_756, 34_650, 1_680, 90, 6]


@pytest.mark.parametrize("seed", range(24))
def test_all_worlds_equal_the_law(seed: int) -> None:
    """No layout that the law allows is missing, none that it forbids is there."""
    games, position = single(seed, 17 + seed % 11)
    for viewer in range(4):
        legal = worlds_by_law(position, viewer)
        found = [tuple(w) for w in WorldSet(games, 0, viewer=viewer).enumerate().tolist()]
        assert found == worlds(position, viewer)
        assert len(found) == len(legal)
        assert set(found) == legal


@given(seed=seeds, plies=st.integers(10, 27), viewer=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_enumeration_equals_twin(seed: int, plies: int, viewer: int) -> None:
    games, position = single(seed, plies)
    known = WorldSet(games, 0, viewer=viewer)
    assert known.count == world_counts(games, viewers=[viewer])[0]
    barred = barred_dominoes(position)
    assert known.barred == [[] if s == viewer else sorted(barred[s]) for s in range(4)]
    if known.count > 3000:
        return
    assert [tuple(w) for w in known.enumerate().tolist()] == worlds(position, viewer)


def test_rank_and_unrank_are_inverse_at_every_ply() -> None:
    games, rng = GameBatch.deal(40, seed=5), np.random.default_rng(1)
    for _ in range(28):
        for row in range(40):
            known = WorldSet(games, row, viewer=row % 4)
            ranks = rng.integers(0, known.count, 33).astype(np.uint64)
            ranks[:2] = 0, known.count - 1
            hands = known.unrank(ranks)
            assert (known.rank(hands) == ranks).all()
            assert known.rank(games.held[row : row + 1])[0] < known.count  # the true deal
        games.play_random(seed=2)


@given(seed=seeds, plies=st.integers(0, 27), data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_other_layout_has_a_rank(seed: int, plies: int, data: st.DataObject) -> None:
    """Layouts a little off: dominoes exchanged, given twice, left out."""
    games, position = single(seed, plies)
    viewer = position.to_play
    known = WorldSet(games, 0)
    wrong = games.held[0].copy()
    for _ in range(data.draw(st.integers(1, 3))):
        wrong[data.draw(st.integers(0, 3))] ^= np.uint32(1 << data.draw(st.integers(0, 27)))
    barred = barred_dominoes(position)
    others = [s for s in range(4) if s != viewer]
    consistent = (
        wrong[viewer] == games.held[0, viewer]
        and all(bin(wrong[s]).count("1") == len(position.hands[s]) for s in range(4))
        and sum(int(m) for m in wrong) == sum(int(m) for m in games.held[0])
        and not any(wrong[s] >> d & 1 for s in others for d in barred[s])
        and np.bitwise_or.reduce(wrong) == np.bitwise_or.reduce(games.held[0])
    )
    assert (known.probability(wrong[None])[0] > 0) == consistent
    if not consistent:
        with pytest.raises(ValueError, match=r"layout 0 is none of the \d+ worlds"):
            known.rank(wrong[None])
