"""Text of a whole game: its rule set, and then one line for every hand.

A hand has five fields with a space between them::

    SHAKER HANDS CALLS DECLARATION DOMINOES

    3 54,63,.../.../.../... pass,30,pass,31 fives 55,51,50,65,...

SHAKER
    The seat that shakes, 0 to 3.
HANDS, DOMINOES
    The hands dealt and the dominoes played, as in the line of one game (`notation`). ``end`` after
    the last domino, or in place of it, is a decided hand that was ended early where the rules leave
    that to the players.
CALLS
    From the shaker's left, with ``,`` between them: ``pass``, ``30`` to ``41``, ``42``, ``84`` and
    so on, ``plunge-4``, ``splash-2`` (their marks).
DECLARATION
    A declaration's name or that of a house contract: ``nello``, ``nello-high``, ``nello-low``,
    ``nello-inverted``, ``sevens``.

``-`` is what is not there yet; a hand that is to be dealt is ``SHAKER - - - -``. The first line is
``straight``, or the settings that are otherwise: ``all_pass=force,nello=own``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from zebfast.rules.auction import call_name, call_of
from zebfast.rules.notation import (
    BadNotation,
    dominoes_text,
    hands_text,
    one_of,
    read_dominoes,
    read_hands,
    read_seat,
    shown,
)
from zebfast.rules.rule_set import RuleSet
from zebfast.rules.tiles import ALL_DECLARATIONS

MAX_CHARACTERS = 1 << 20  # of a whole game; one to seven marks has about 4,000
_END = "end"


class HandText(NamedTuple):
    """One hand of a whole game: what is given of it, as ids and calls.

    ``hands`` and ``decl`` are None where they are not there yet; ``ended`` is whether a decided
    hand was ended early by choice.
    """

    shaker: int
    hands: Sequence[Sequence[int]] | None
    calls: Sequence[int]
    decl: int | None
    dominoes: Sequence[int]
    ended: bool


def game_to_text(rule_set: RuleSet, hands: Iterable[HandText]) -> str:
    """The lines of a whole game."""
    return "\n".join([str(rule_set), *map(_hand_line, hands)])


def _hand_line(hand: HandText) -> str:
    dealt = "-" if hand.hands is None else hands_text(hand.hands)
    calls = ",".join(map(call_name, hand.calls)) or "-"
    decl = "-" if hand.decl is None else ALL_DECLARATIONS[hand.decl]
    dominoes = dominoes_text(hand.dominoes)
    if hand.ended:
        dominoes = f"{dominoes},{_END}" if hand.dominoes else _END
    return f"{hand.shaker} {dealt} {calls} {decl} {dominoes}"


def game_from_text(text: str) -> tuple[RuleSet, list[HandText]]:
    """Rule set and hands of a text. Whether a game can be like that is not looked at.

    Raises:
        BadNotation: names the line that cannot be read.
        SettingError: the first line is no rule set.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is needed, not {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise BadNotation(f"{len(text)} characters: a game has at most {MAX_CHARACTERS}")
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(lines) < 2:
        raise BadNotation("expected a line with the rule set and one for every hand")
    hands = []
    for number, line in enumerate(lines[1:], 1):
        try:
            hands.append(_read_hand(line))
        except BadNotation as error:
            raise BadNotation(f"hand {number}: {error}") from None
    return RuleSet.from_text(lines[0]), hands


def _read_hand(line: str) -> HandText:
    fields = line.split()
    if len(fields) != 5:
        raise BadNotation(
            f"{shown(line)} has {len(fields)} fields: expected five with spaces between them, "
            "shaker, hands, calls, declaration and dominoes played"
        )
    shaker, dealt, calls, decl, dominoes = fields
    before, _, last = dominoes.rpartition(",")
    ended = last == _END
    return HandText(
        read_seat(shaker),
        None if dealt == "-" else read_hands(dealt),
        [] if calls == "-" else [_read_call(call) for call in calls.split(",")],
        None if decl == "-" else one_of(ALL_DECLARATIONS, decl, "declaration"),
        read_dominoes((before or "-") if ended else dominoes),
        ended,
    )


def _read_call(text: str) -> int:
    try:
        return call_of(text)
    except ValueError as error:
        raise BadNotation(str(error)) from None
