"""One line of text for a game, and for a position with open hands; both can be read back.

Four fields with a space between them::

    HANDS DECLARATION LEADER DOMINOES

    11,22,32,54,61,63,66/00,10,30,33,50,62,65/31,40,43,52,53,60,64/20,21,41,42,44,51,55 fours 2 64

HANDS
    The four hands, seat 0 first, with ``/`` between them. A hand is its dominoes in ascending
    order of their ids with ``,`` between them, a domino its two ends, the higher first. ``-`` is
    an empty hand.
DECLARATION
    A name of `Declaration` in small letters, ``-`` for ``_``: ``blanks``, ``ones``, ``twos``,
    ``threes``, ``fours``, ``fives``, ``sixes``, ``doubles``, ``doubles-suit`` or ``no-trump``.
LEADER
    A seat, 0 to 3.
DOMINOES
    In the order in which they were played, with ``,`` between them, or ``-`` where there are none.

A game that is played for a contract has a fifth field, `Contract` as text: bid, bidder, shaker,
marks of both teams and the seats' calls, ``31:2:3:0-4:pass,30,31,pass``, ``-`` for no call.

In a **game** the hands are those dealt, seven dominoes each, the leader is that of the first trick,
and DOMINOES are all plays so far: everything else follows. In a **position** the hands are what is
still held, the leader is that of the trick on the table (or, if it is empty, of the next one), and
DOMINOES are those on the table, which are in no hand: what is still to be won, and nothing of what
was. A deal of which nothing is played is the same line as either.

Written as above, so that equal things have equal lines. When read, fields may be any white space
apart, hands may be in any order, ends of a domino too, and a declaration may be its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zebfast.rules.tiles import DECLARATIONS, DOMINOES, N_SEATS, domino_id

MAX_CHARACTERS = 1000  # of a line; one that is written has at most 200


class BadNotation(ValueError):
    """A line that is neither a game nor a position; the message says what was expected where."""


def to_line(hands: Iterable[Iterable[int]], decl: int, leader: int, dominoes: Iterable[int]) -> str:
    """The line of four hands, a declaration, a leader and dominoes played, all as ids."""
    listed = hands_text(hands)
    return f"{listed} {DECLARATIONS[decl]} {leader} {dominoes_text(dominoes)}"


def split_contract(text: str) -> tuple[str, str | None]:
    """The line of a game without its fifth field, and that field, if there is one."""
    fields = text.split() if isinstance(text, str) and len(text) <= MAX_CHARACTERS else []
    return (" ".join(fields[:4]), fields[4]) if len(fields) == 5 else (text, None)


def from_line(text: str) -> tuple[list[list[int]], int, int, list[int]]:
    """Hands, declaration, leader and dominoes of a line, as ids.

    Raises BadNotation where the line cannot be read. Whether a game can be like that is not looked
    at.
    """
    if not isinstance(text, str):
        raise TypeError(f"a line of text is needed, not {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise BadNotation(f"{len(text)} characters: a line has at most {MAX_CHARACTERS}")
    fields = text.split()
    if len(fields) != 4:
        raise BadNotation(
            f"{shown(text)} has {len(fields)} fields: expected four with spaces between them, "
            "hands, declaration, leader and dominoes played"
        )
    hands, decl = read_hands(fields[0]), one_of(DECLARATIONS, fields[1], "declaration")
    return hands, decl, read_seat(fields[2]), read_dominoes(fields[3])


def hands_text(hands: Iterable[Iterable[int]]) -> str:
    """The field of four hands."""
    return "/".join(dominoes_text(sorted(hand)) for hand in hands)


def dominoes_text(ids: Iterable[int]) -> str:
    """The field of some dominoes in their order."""
    return ",".join("{}{}".format(*DOMINOES[domino]) for domino in ids) or "-"


def read_hands(text: str) -> list[list[int]]:
    """Four hands of a field, as ids. Raises BadNotation."""
    hands = [read_dominoes(hand) for hand in text.split("/")]
    if len(hands) != N_SEATS:
        raise BadNotation(f"{shown(text)}: expected {N_SEATS} hands with / between them")
    return hands


def read_dominoes(text: str) -> list[int]:
    """Dominoes of a field, as ids. Raises BadNotation."""
    return [] if text == "-" else [read_domino(part) for part in text.split(",")]


def read_domino(text: str) -> int:
    if len(text) != 2 or not set(text) <= set("0123456"):
        raise BadNotation(f"{shown(text)} is no domino: expected two ends from 0 to 6, as in 64")
    return domino_id(int(text[0]), int(text[1]))


def read_seat(text: str) -> int:
    """A seat. Raises BadNotation."""
    return one_of([str(seat) for seat in range(N_SEATS)], text, "seat")


def one_of(names: Sequence[str], text: str, what: str) -> int:
    """Place of a name; where all names are words, its number will do. Raises BadNotation."""
    numbers = [str(i) for i in range(len(names))]
    for choice in (names, numbers):
        if text in choice:
            return list(choice).index(text)
    raise BadNotation(f"{shown(text)} is no {what}: expected {', '.join(names)}")


def shown(text: str) -> str:
    """What was read, as messages have it."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
