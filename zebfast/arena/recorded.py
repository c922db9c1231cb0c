"""Recorded games: one JSON object a line, plain or gzipped.

A record holds `hands` (4 x 7 domino ids; their order defines the slots), `decl`, `bidder` (who
leads first), `points` [team 0, team 1] and `plays`: 28 objects with `seat`, `domino`, `slot`,
`legal_slots` and `trick`, which is null or, on the fourth play of a trick, {`winner`, `points`}.
Further keys are ignored. Reading checks the shape of a record and that its deal is possible;
whether the plays obey the rules is for `replay.py`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from zebfast.rules import ImpossibleDeal, check_deal

MAX_LINE_BYTES = 1 << 20  # a record takes about 3 kB; a longer line is not one
_GZIP_MAGIC = b"\x1f\x8b"


class RecordError(ValueError):
    """A file or line that is no recorded game; the message is one sentence naming the line."""


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
    with path.open("rb") as plain:
        packed = plain.read(2) == _GZIP_MAGIC
        plain.seek(0)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if packed else plain
        for number, line in _lines(stream):
            yield parse_game(line, number)


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while True:
        try:
            line = stream.readline(MAX_LINE_BYTES + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RecordError(
                f"The gzip data after line {number} is damaged; fetch the file again."
            ) from error
        if not line:
            return
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise RecordError(
                f"Line {number} is longer than {MAX_LINE_BYTES:,} bytes; "
                "expected one recorded game a line."
            )
        if line.strip():
            yield number, line


def parse_game(line: bytes, number: int) -> RecordedGame:
    """Parse line `number` of a file. Raises RecordError naming the line and what is wrong."""
    try:
        record = json.loads(line)
    except UnicodeDecodeError as error:
        raise RecordError(f"Line {number} is not valid JSON: it is not text in UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"Line {number} is not valid JSON: {error}.") from error
    if not isinstance(record, dict):
        raise RecordError(f"Line {number} is not a JSON object; expected one recorded game.")
    reader = _Reader(f"Line {number}")
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


def _parse_hands(reader: _Reader, record: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    hands = []
    for seat, hand in enumerate(reader.items(record, "hands", 4)):
        name = f"hands[{seat}]"
        hands.append(reader.integers(reader.items({name: hand}, name, 7), name, 0, 27))
    return tuple(hands)


def _parse_play(number: int, ply: int, play: object) -> RecordedPlay:
    reader = _Reader(f"Line {number}, play {ply}")
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


@dataclass(frozen=True)
class _Reader:
    """Takes typed fields out of parsed JSON, with errors that say where in the file they are."""

    where: str

    def error(self, what: str) -> RecordError:
        return RecordError(f"{self.where} {what}.")

    def items(self, record: dict[str, Any], key: str, length: int | None) -> list[Any]:
        value = record.get(key)
        if not isinstance(value, list):
            raise self.error(f"has no list '{key}'")
        if length is not None and len(value) != length:
            raise self.error(f"has {len(value)} entries in '{key}'; expected {length}")
        return value

    def integers(self, values: list[Any], key: str, low: int, high: int) -> tuple[int, ...]:
        return tuple(self._checked(value, key, low, high) for value in values)

    def integer(self, record: dict[str, Any], key: str, low: int, high: int) -> int:
        return self._checked(record.get(key), key, low, high)

    def _checked(self, value: object, key: str, low: int, high: int) -> int:
        if type(value) is not int or not low <= value <= high:  # a bool is an int in Python
            shown = json.dumps(value)
            shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
            raise self.error(f"has {shown} for '{key}'; expected a whole number {low} to {high}")
        return value
