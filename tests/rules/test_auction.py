"""Calls, auctions and rule sets: facts that the rules of 42 state, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zebfast import rules
from zebfast.core.whole_rules import auction_perft
from zebfast.rules import PASS, RuleSet, call_name, call_of
from zebfast.rules.auction import house_call, illegal_call, legal_calls
from zebfast.system.settings import SettingError

STRAIGHT = RuleSet()


@pytest.mark.parametrize(
    ("most", "count"), list(enumerate((2380, 3060, 3196, 3213, 3214, 3214, 3214), 1))
)
def test_complete_auctions(most: int, count: int) -> None:
    rule_set = RuleSet(most_marks=most)
    assert rules.auction_perft(rule_set) == auction_perft(rule_set) == count


@pytest.mark.parametrize(
    "rule_set",
    [
        RuleSet(all_pass="force"),
        RuleSet(all_pass="force", forced_bid=42),
        RuleSet(scoring="points", target=250),
        RuleSet(opening_marks=5),
        RuleSet(opening_marks=1, most_marks=2),
    ],
    ids=str,
)
def test_other_auctions_are_counted_alike(rule_set: RuleSet) -> None:
    assert rules.auction_perft(rule_set) == auction_perft(rule_set)


def test_forcing_takes_one_auction_away() -> None:
    """The one in which all pass."""
    assert auction_perft(RuleSet(all_pass="force")) == 3213


def test_the_ladder() -> None:
    assert legal_calls(STRAIGHT, [], 7) == [PASS, *range(30, 42), 42, 84]
    assert legal_calls(STRAIGHT, [PASS, 40], 0) == [PASS, 41, 42, 84]
    assert legal_calls(STRAIGHT, [41], 0) == [PASS, 42, 84]
    assert legal_calls(STRAIGHT, [42], 0) == [PASS, 84]
    assert legal_calls(STRAIGHT, [84], 0) == [PASS, 126]  # and no jump to 168
    assert legal_calls(STRAIGHT, [84, 126, 168], 0) == [PASS, 210]
    assert legal_calls(RuleSet(most_marks=2), [84], 0) == [PASS]
    points = RuleSet(scoring="points", target=250)
    assert legal_calls(points, [84], 0) == [PASS, 168]
    assert legal_calls(points, [168], 0) == [PASS]


def test_a_shaker_that_must_bid() -> None:
    must = legal_calls(RuleSet(forced_bid=31), [0, 0, 0], 0, must_bid=True)
    assert must == [*range(31, 42), 42, 84]


def test_plunge_and_splash_go_over_what_stands() -> None:
    house = RuleSet(plunge=4, splash=2)
    assert legal_calls(house, [], 3)[-1] == call_of("splash-2")
    assert legal_calls(house, [], 4)[-2:] == [call_of("plunge-4"), call_of("splash-2")]
    assert house_call(house, rules.PLUNGE, 84) == call_of("plunge-4")
    assert house_call(house, rules.PLUNGE, call_of("plunge-4")) == call_of("plunge-5")
    assert house_call(house, rules.SPLASH, 84) == call_of("splash-3")
    # It may not be higher than 3 marks, so that it cannot go over a bid of 3.
    assert house_call(house, rules.SPLASH, 126) is None
    assert legal_calls(house, [call_of("plunge-4")], 0) == [PASS, 210]


@pytest.mark.parametrize(
    ("rule_set", "made", "doubles", "call", "must_bid", "why"),
    [
        (STRAIGHT, [], 0, 29, False, "29 is no call: 0 passes"),
        (STRAIGHT, [], 0, -42, False, "-42 is no call"),
        (STRAIGHT, [], 0, 300, False, "300 is no call"),
        (STRAIGHT, [31], 0, 31, False, "a bid must be higher than 31"),
        (STRAIGHT, [31], 0, 126, False, "the first mark bid is of at most 2"),
        (STRAIGHT, [42], 0, 126, False, "over 1 mark the next mark bid comes, without a jump"),
        (STRAIGHT, [0, 0, 0], 0, PASS, True, "the three others have passed"),
        (RuleSet(forced_bid=31), [0, 0, 0], 0, 30, True, "the shaker must bid at least 31"),
        (RuleSet(most_marks=1), [], 0, 84, False, "no bid of 2 marks is made here"),
        (STRAIGHT, [], 7, call_of("plunge-4"), False, "plunge is not played here"),
        (RuleSet(plunge=4), [], 3, call_of("plunge-4"), False, "needs 4 doubles, and .* has 3"),
        (RuleSet(plunge=4), [], 4, call_of("plunge-5"), False, "a plunge is now one of 4 marks"),
        (RuleSet(splash=2), [126], 3, call_of("splash-3"), False, "cannot be higher than 126"),
    ],
)
def test_what_an_illegal_call_breaks(
    rule_set: RuleSet, made: list[int], doubles: int, call: int, must_bid: bool, why: str
) -> None:
    assert call not in legal_calls(rule_set, made, doubles, must_bid=must_bid)
    told = illegal_call(rule_set, made, doubles, call, must_bid=must_bid)
    assert re.search(why, told), told


def test_names_of_calls() -> None:
    names = ["pass", "30", "41", "42", "84", "294", "plunge-4", "splash-2"]
    assert [call_of(name) for name in names] == [0, 30, 41, 42, 84, 294, 169, 86]
    assert [call_name(call_of(name)) for name in names] == names
    for wrong in ("", "29", "43", "plunge", "plunge-8", "x" * 900):
        with pytest.raises(ValueError, match="is no call: expected pass, 30 to 41") as caught:
            call_of(wrong)
        assert len(str(caught.value)) < 150


@given(st.integers(-10, 400))
def test_every_number_is_a_call_or_none(call: int) -> None:
    try:
        assert call_of(call_name(call)) == call
    except ValueError as error:
        assert "is no call" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nello=x", "nello is 'x': expected one of off, own, high, low, inverted, any"),
        ("target=0", "target is 0: expected 1 to 1000"),
        ("plunge=8", "plunge is 8: expected 0 (off) to 7"),
        ("target=seven", "target is 'seven': expected a whole number"),
        ("early_end=1", "early_end is '1'|early_end is 1"),
        ("scoring=points,sevens=1", "sevens is a contract for marks"),
        ("scoring=points,forced_sweep=2", "forced_sweep is paid in marks: expected scoring to be"),
        ("nello=own,nello_marks=0", "nello_marks is 0, which goes with nello_forced=true alone"),
        ("forced_sweep=0", "forced_sweep is 0: expected 1 to 7"),
        ("melo=own", "unknown key in the rule set: 'melo'; did you mean 'nello'?"),
        ("all_pass", "'all_pass' is no setting of a rule set: expected name=value"),
    ],
)
def test_rule_sets_that_are_none(text: str, words: str) -> None:
    with pytest.raises(SettingError) as caught:
        RuleSet.from_text(text)
    assert any(part in str(caught.value) for part in words.split("|"))


def test_a_rule_set_is_a_word_or_what_is_otherwise() -> None:
    assert str(STRAIGHT) == "straight"
    house = RuleSet(nello="own", follow_me=False, plunge=4)
    assert str(house) == "follow_me=false,nello=own,plunge=4"
    assert RuleSet.from_text(str(house)) == house
    assert RuleSet.from_text("straight") == STRAIGHT
    assert hash(house) != hash(STRAIGHT)
