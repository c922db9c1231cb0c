"""Recorded games: one JSON object a line, plain or gzipped.

A record holds `hands` (4 x 7 domino ids; their order defines the slots), `decl`, `bidder` (who
leads first), `points` [team 0, team 1] and `plays`: 28 objects with `seat`, `domino`, `slot`,
`legal_slots` and `trick`, which is null or, on the fourth play of a trick, {`winner`, `points`}.
Further keys are ignored. Reading checks the shape of a record and that its deal is possible;
whether the plays obey the rules is for `replay.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zebfast.arena.json_lines import FieldReader, RecordError, json_lines, parse_object
from zebfast.rules import ImpossibleDeal, check_deal

__all__ = [
    "RecordError",
    "RecordedGame",
    "RecordedPlay",
    "RecordedTrick",
    "parse_game",
    "read_games",
]

MAX_LINE_BYTES = 1 << 20  # a record takes about 3 kB; a longer line is not one
_EXPECTED = "one recorded game"


@dataclass(frozen=True)
class RecordedTrick:
    """What the record says a finished trick brought: the seat that won it and its points."""

    winner: int
    points: int


@dataclass(frozen=True)
class RecordedPlay:
    """One play as recorded; slots count in the record's own hand order."""

    seat: int
    domino: int
    slot: int
    legal_slots: tuple[int, ...]
    trick: RecordedTrick | None


@dataclass(frozen=True)
class RecordedGame:
    """One line of a file: a possible deal, 28 plays of the right shape, and the final points."""

    line: int
    hands: tuple[tuple[int, ...], ...]
    decl: int
    leader: int
    plays: tuple[RecordedPlay, ...]
    points: tuple[int, int]


def read_games(path: Path) -> Iterator[RecordedGame]:
    """Yield the games of `path` in order; blank lines are skipped, line numbers start at 1.

    Raises RecordError for a line that is no recorded game and for damaged compression, and
    OSError where the file cannot be read.
    """
    with path.open("rb") as stream:
        for number, line in json_lines(stream, max_bytes=MAX_LINE_BYTES, expected=_EXPECTED):
            yield parse_game(line, number)


def parse_game(line: bytes, number: int) -> RecordedGame:
    """Parse line `number` of a file. Raises RecordError naming the line and what is wrong."""
    record = parse_object(line, number, _EXPECTED)
    reader = FieldReader(f"Line {number}")
    hands = _parse_hands(reader, record)
    decl = reader.integer(record, "decl", 0, 9)
    leader = reader.integer(record, "bidder", 0, 3)
    plays = reader.items(record, "plays", 28)
    points = reader.integers(reader.items(record, "points", 2), "points", 0, 42)
    try:
        check_deal(hands, decl, leader)
    except ImpossibleDeal as error:
        raise reader.error(f"holds an impossible deal: {error}") from error
    return RecordedGame(
        line=number,
        hands=hands,
        decl=decl,
        leader=leader,
        plays=tuple(_parse_play(number, ply, play) for ply, play in enumerate(plays)),
        points=(points[0], points[1]),
    )


def _parse_hands(reader: FieldReader, record: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    hands = []
    for seat, hand in enumerate(reader.items(record, "hands", 4)):
        name = f"hands[{seat}]"
        hands.append(reader.integers(reader.items({name: hand}, name, 7), name, 0, 27))
    return tuple(hands)


def _parse_play(number: int, ply: int, play: object) -> RecordedPlay:
    reader = FieldReader(f"Line {number}, play {ply}")
    if not isinstance(play, dict):
        raise reader.error("is not a JSON object; expected seat, domino, slot, legal_slots, trick")
    legal = reader.items(play, "legal_slots", None)
    if len(legal) > 7:
        raise reader.error(f"lists {len(legal)} legal slots; a hand has seven")
    trick = play.get("trick")
    if trick is not None and not isinstance(trick, dict):
        raise reader.error("has a trick that is neither null nor an object with winner and points")
    return RecordedPlay(
        seat=reader.integer(play, "seat", 0, 3),
        domino=reader.integer(play, "domino", 0, 27),
        slot=reader.integer(play, "slot", 0, 6),
        legal_slots=reader.integers(legal, "legal_slots", 0, 6),
        trick=None
        if trick is None
        else RecordedTrick(
            winner=reader.integer(trick, "winner", 0, 3),
            points=reader.integer(trick, "points", 0, 42),
        ),
    )
