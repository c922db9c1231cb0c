"""Calls: what they are, which are legal, and what an illegal one breaks.

A call is a whole number: 0 passes, 30 to 41 bid points, 42 m bids m marks. A plunge at m marks is
42 m + 1 and a splash 42 m + 2, so that a higher call is always the higher number.
"""

from __future__ import annotations

from collections.abc import Sequence

from zebfast.rules.rule_set import MOST_MARKS, RuleSet
from zebfast.rules.tiles import DOMINOES, N_SEATS

PASS = 0
LEAST_BID = 30
MARK = 42  # what a bid of one mark is worth in points
PLUNGE, SPLASH = 1, 2  # what a call for them is above its marks
_DOUBLES_NEEDED = {PLUNGE: 4, SPLASH: 3}
_NAMES = {PLUNGE: "plunge", SPLASH: "splash"}
_MOST_SPLASH = 3

#: The calls that have a place of their own in a mask, by that place: pass, 30..41, the marks.
CALLS: tuple[int, ...] = (
    PASS,
    *range(LEAST_BID, MARK),
    *(MARK * marks for marks in range(1, MOST_MARKS + 1)),
)
#: Places of plunge and splash in a mask: their marks follow from what was called before.
PLUNGE_BIT, SPLASH_BIT = len(CALLS), len(CALLS) + 1


class IllegalCall(ValueError):
    """A call that the seat may not make now; the message names the rule."""


def marks_of(call: int) -> int:
    """Marks that a call bids; 0 for points and a pass."""
    return call // MARK


def contract_of(call: int) -> int:
    """PLUNGE or SPLASH for a call that is one, else 0."""
    return call % MARK if call >= MARK else 0


def stake_of(call: int) -> int:
    """Marks that are won or lost with a bid."""
    return max(1, marks_of(call))


def call_name(call: int) -> str:
    """``"pass"``, ``"30"``, ``"84"``, ``"plunge-4"`` (its marks). ValueError for no call."""
    house = _NAMES.get(contract_of(call))
    if call in CALLS:
        return "pass" if call == PASS else str(call)
    if house is None or not 1 <= marks_of(call) <= MOST_MARKS:
        raise ValueError(
            f"{call} is no call: 0 passes, 30 to 41 bid points, 42, 84, 126 and so on marks"
        )
    return f"{house}-{marks_of(call)}"


def call_of(name: str) -> int:
    """The call of a name, as `call_name` writes it. ValueError for no name of a call."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise ValueError(
        f"{name[:40]!r} is no call: expected pass, 30 to 41, 42, 84, plunge-4 or the like"
    )


_BY_NAME = {call_name(call): call for call in CALLS} | {
    call_name(MARK * marks + house): MARK * marks + house
    for house in _NAMES
    for marks in range(1, MOST_MARKS + 1)
}


def doubles_in(hand: Sequence[int]) -> int:
    """How many doubles a hand holds."""
    return sum(high == low for high, low in (DOMINOES[domino] for domino in hand))


def house_call(rule_set: RuleSet, house: int, standing: int) -> int | None:
    """The call for a plunge or splash over a standing bid; None where there is none."""
    least = rule_set.plunge if house == PLUNGE else rule_set.splash
    marks = max(least, marks_of(standing) + 1)
    most = MOST_MARKS if house == PLUNGE else _MOST_SPLASH
    return MARK * marks + house if least and marks <= most else None


def legal_calls(
    rule_set: RuleSet, made: Sequence[int], doubles: int, *, must_bid: bool = False
) -> list[int]:
    """Calls of the seat to call, ascending but for plunge and splash at the end.

    Args:
        made: the calls before it.
        doubles: in its hand.
        must_bid: it may not pass, nor bid less than a forced bid.
    """
    standing, least = max(made, default=PASS), rule_set.forced_bid if must_bid else LEAST_BID
    found = [] if must_bid else [PASS]
    found += range(max(least, standing + 1), MARK)
    found += [MARK * marks for marks in _next_marks(rule_set, marks_of(standing))]
    for house, needed in _DOUBLES_NEEDED.items():
        call = house_call(rule_set, house, standing)
        if call is not None and doubles >= needed:
            found.append(call)
    return found


def _next_marks(rule_set: RuleSet, standing: int) -> list[int]:
    """Mark bids over a standing one of so many marks: the first of them, and no jump later."""
    if standing == 0:
        return [marks for marks in rule_set.mark_bids if marks <= rule_set.opening_marks]
    return [marks for marks in rule_set.mark_bids if marks > standing][:1]


def illegal_call(
    rule_set: RuleSet, made: Sequence[int], doubles: int, call: int, *, must_bid: bool = False
) -> str:
    """What a call that is not legal breaks, as a clause."""
    standing, house = max(made, default=PASS), contract_of(call)
    try:
        call_name(call)
    except ValueError as error:
        return str(error)
    if call == PASS:
        return "the three others have passed, so that the shaker must bid"
    if house:
        return _illegal_house(rule_set, house, standing, doubles, call)
    if call <= standing:
        return f"a bid must be higher than {call_name(standing)}"
    if must_bid and call < rule_set.forced_bid:
        return f"the shaker must bid at least {rule_set.forced_bid}"
    if marks_of(call) not in rule_set.mark_bids:
        return f"no bid of {_in_marks(marks_of(call))} is made here"
    if marks_of(standing):
        return f"over {_in_marks(marks_of(standing))} the next mark bid comes, without a jump"
    return f"the first mark bid is of at most {_in_marks(rule_set.opening_marks)}"


def _in_marks(marks: int) -> str:
    return f"{marks} mark" if marks == 1 else f"{marks} marks"


def _illegal_house(rule_set: RuleSet, house: int, standing: int, doubles: int, call: int) -> str:
    name, needed = _NAMES[house], _DOUBLES_NEEDED[house]
    there = house_call(rule_set, house, standing)
    if not (rule_set.plunge if house == PLUNGE else rule_set.splash):
        return f"{name} is not played here"
    if there is None:
        return f"a {name} cannot be higher than {call_name(standing)}"
    if there != call:
        return f"a {name} is now one of {_in_marks(marks_of(there))}"
    return f"a {name} needs {needed} doubles, and the hand has {doubles}"


def auction_perft(rule_set: RuleSet, made: tuple[int, ...] = ()) -> int:
    """Number of complete auctions from here, among hands that can neither plunge nor splash."""
    if len(made) == N_SEATS:
        return 1
    must_bid = rule_set.all_pass == "force" and len(made) == N_SEATS - 1 and not max(made)
    calls = legal_calls(rule_set, made, 0, must_bid=must_bid)
    return sum(auction_perft(rule_set, (*made, call)) for call in calls)
