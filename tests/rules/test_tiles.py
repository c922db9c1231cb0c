"""The law itself: facts that any book on 42 states."""

from __future__ import annotations

import itertools

import pytest

from zebfast import rules


def test_ids_and_count() -> None:
    assert [rules.domino_id(*d) for d in rules.DOMINOES] == list(range(28))
    assert rules.domino_id(4, 6) == rules.domino_id(6, 4) == 25
    assert sum(rules.COUNT) == 35
    worth = {rules.domino_name(d): c for d, c in enumerate(rules.COUNT) if c}
    assert worth == {"5-5": 10, "6-4": 10, "5-0": 5, "4-1": 5, "3-2": 5}
    with pytest.raises(ValueError, match="pips run from 0 to 6"):
        rules.domino_id(7, 0)


@pytest.mark.parametrize("decl", range(10))
def test_called_suit_sizes(decl: int) -> None:
    called = [d for d in range(28) if rules.in_called_suit(d, decl)]
    assert len(called) == (0 if decl == 9 else 7)
    for suit in range(7):
        following = [d for d in range(28) if rules.follows(d, suit, decl)]
        expected = 7 - sum(suit in rules.DOMINOES[d] for d in called)
        assert len(following) == expected


def test_every_trick_has_one_winner() -> None:
    """All leads with every set of three others, for two declarations; the rest by ranks."""
    for decl in (3, 8):
        for lead in range(28):
            suit = rules.led_suit(lead, decl)
            ranks = [rules.rank(d, suit, decl) for d in range(28)]
            assert ranks[lead] > 0
            winning = [r for r in ranks if r]
            assert len(set(winning)) == len(winning)
    cases = 0
    for lead in range(28):
        others = [d for d in range(28) if d != lead]
        for rest in itertools.combinations(others, 3):
            winner = rules.trick_winner([lead, *rest], 9)
            cases += 1
            assert 0 <= winner <= 3
    assert cases * 9 == 737_100


def test_double_is_high_and_trump_beats_all() -> None:
    six_four, double_six, six_zero = (rules.domino_id(*d) for d in ((6, 4), (6, 6), (6, 0)))
    assert rules.trick_winner([six_four, double_six, six_zero, 0], 9) == 1
    assert rules.trick_winner([double_six, six_four, six_zero, rules.domino_id(1, 0)], 1) == 3
    assert rules.trick_winner([six_four, double_six, rules.domino_id(0, 0), six_zero], 7) == 1
    # doubles as a suit without power: an off-suit double never wins
    assert rules.trick_winner([six_zero, double_six, six_four, 0], 8) == 2


def test_follow_called_suit_only() -> None:
    hand = [rules.domino_id(6, 5), rules.domino_id(5, 5), rules.domino_id(3, 1)]
    # fives are trump: the 6-5 is no six
    assert rules.legal_plays(hand, rules.domino_id(6, 0), 5) == sorted(hand)
    assert rules.legal_plays(hand, rules.domino_id(5, 2), 5) == sorted(hand[:2])
