"""Recorded positions, and what the solver says of them: one JSON object a line, plain or gzipped.

A position holds `decl`, `remaining` (4 lists of the domino ids still held), `leader` and `trick`
(the dominoes on the table, in order from the leader). A line with a list `positions` is a deal:
its `decl` holds for all the positions of that list. `v`, the points to come of team 0 minus team 1,
and `q`, the same after each legal domino (ids as string keys), may be given to compare with.
Further keys are ignored.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, cast

import numpy as np

from zebfast.core.records import POSITION_DTYPE
from zebfast.core.solve import NO_PLAY, ImpossiblePosition, check_positions
from zebfast.core.solver_pool import SolverPool
from zebfast.rules import TOTAL_POINTS, domino_name

# --- JSON lines, plain or gzipped, read with errors that say where in the file they are.

_GZIP_MAGIC = b"\x1f\x8b"


class RecordError(ValueError):
    """A file or line that is no record; the message is one sentence naming the line."""


def json_lines(stream: BinaryIO, *, max_bytes: int, expected: str) -> Iterator[tuple[int, bytes]]:
    """Yield the number, from 1, and the bytes of each line; blank lines are skipped.

    `stream` is a binary file, gzipped or not, that need not be seekable; `expected` says in errors
    what a line should hold. Raises RecordError for a line over max_bytes and for damaged
    compression, and OSError where the stream cannot be read.
    """
    if not isinstance(stream, io.BufferedReader):
        stream = cast(BinaryIO, io.BufferedReader(cast(Any, stream)))
    buffered = cast(io.BufferedReader, stream)
    packed = buffered.peek(2)[:2] == _GZIP_MAGIC
    plain = cast(BinaryIO, gzip.GzipFile(fileobj=buffered)) if packed else buffered
    number = 0
    while True:
        try:
            line = plain.readline(max_bytes + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RecordError(
                f"The gzip data after line {number} is damaged; fetch the file again."
            ) from error
        if not line:
            return
        number += 1
        if len(line) > max_bytes:
            raise RecordError(
                f"Line {number} is longer than {max_bytes:,} bytes; expected {expected} a line."
            )
        if line.strip():
            yield number, line


def parse_object(line: bytes, number: int, expected: str) -> dict[str, Any]:
    """The JSON object in line `number`. RecordError where it is none."""
    try:
        record = json.loads(line)
    except UnicodeDecodeError as error:
        raise RecordError(f"Line {number} is not valid JSON: it is not text in UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"Line {number} is not valid JSON: {error}.") from error
    if not isinstance(record, dict):
        raise RecordError(f"Line {number} is not a JSON object; expected {expected}.")
    return record


@dataclass(frozen=True)
class FieldReader:
    """Takes typed fields out of parsed JSON; `where` names the place in the file for errors.

    Every method raises RecordError for a field that is missing or of another kind.
    """

    where: str

    def error(self, what: str) -> RecordError:
        """The error that says `what` about this place."""
        return RecordError(f"{self.where} {what}.")

    def items(self, record: dict[str, Any], key: str, length: int | None) -> list[Any]:
        """The list under `key`, of that length unless None."""
        value = record.get(key)
        if not isinstance(value, list):
            raise self.error(f"has no list '{key}'")
        if length is not None and len(value) != length:
            raise self.error(f"has {len(value)} entries in '{key}'; expected {length}")
        return value

    def integers(self, values: list[Any], key: str, low: int, high: int) -> tuple[int, ...]:
        """All of `values`, whole numbers low..high; `key` names them."""
        return tuple(self._checked(value, key, low, high) for value in values)

    def integer(self, record: dict[str, Any], key: str, low: int, high: int) -> int:
        """The whole number low..high under `key`."""
        return self._checked(record.get(key), key, low, high)

    def _checked(self, value: object, key: str, low: int, high: int) -> int:
        if type(value) is not int or not low <= value <= high:  # a bool is an int in Python
            shown = json.dumps(value)
            shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
            raise self.error(f"has {shown} for '{key}'; expected a whole number {low} to {high}")
        return value


MAX_LINE_BYTES = 1 << 24  # a deal with 800 positions takes about 150 kB
BATCH = 512  # positions solved at a time: keeps the threads busy, and answers coming
_EXPECTED = "one position or deal"
_MARGINS = -TOTAL_POINTS, TOTAL_POINTS  # least and most points of one team less the other's


@dataclass(frozen=True)
class RecordedPosition:
    """One position of a file; `where` says which line, and which place in a deal, for messages.

    `v` and `q` are what the file says of it, None where it says nothing.
    """

    where: str
    hands: tuple[tuple[int, ...], ...]
    decl: int
    leader: int
    trick: tuple[int, ...]
    v: int | None
    q: dict[str, int] | None


@dataclass(frozen=True)
class SolvedPosition:
    """A position with its exact values; `q` has the legal dominoes ascending, as string keys."""

    recorded: RecordedPosition
    v: int
    q: dict[str, int]

    @property
    def difference(self) -> str | None:
        """Where the recorded `v` or `q` differs from the exact one, as a clause; None if nowhere.

        Raises RecordError where nothing is recorded.
        """
        if self.recorded.v is None and self.recorded.q is None:
            raise RecordError(f"{self.recorded.where} has neither v nor q to compare with.")
        for name, exact, found in (("v", self.v, self.recorded.v), ("q", self.q, self.recorded.q)):
            if found is not None and found != exact:
                return f"{self.recorded.where}: {name}: expected {exact}, found {found}"
        return None


def read_positions(stream: BinaryIO) -> Iterator[RecordedPosition]:
    """Yield the positions of a binary file in order; blank lines are skipped.

    Raises RecordError for a line that holds no position and for damaged compression, and OSError
    where the stream cannot be read. Whether a position can be is for the solver to say.
    """
    for number, line in json_lines(stream, max_bytes=MAX_LINE_BYTES, expected=_EXPECTED):
        record = parse_object(line, number, _EXPECTED)
        where = f"Line {number}"
        if "positions" not in record:
            yield _parse_position(FieldReader(where), record)
            continue
        for i, one in enumerate(FieldReader(where).items(record, "positions", None)):
            reader = FieldReader(f"{where}, position {i}")
            if not isinstance(one, dict):
                raise reader.error("is not a JSON object")
            yield _parse_position(reader, {"decl": record.get("decl"), **one})


def _parse_position(reader: FieldReader, record: dict[str, Any]) -> RecordedPosition:
    hands = []
    for seat, hand in enumerate(reader.items(record, "remaining", 4)):
        name = f"remaining[{seat}]"
        held = reader.integers(reader.items({name: hand}, name, None), name, 0, 27)
        twice = next((d for i, d in enumerate(held) if d in held[:i]), None)
        if twice is not None:  # a mask of the hand would not show it
            raise reader.error(f"has {domino_name(twice)} twice in '{name}'")
        hands.append(held)
    trick = reader.integers(reader.items(record, "trick", None), "trick", 0, 27)
    if len(trick) > 3:
        raise reader.error(f"has {len(trick)} entries in 'trick'; the fourth finishes a trick")
    return RecordedPosition(
        where=reader.where,
        hands=tuple(hands),
        decl=reader.integer(record, "decl", 0, 9),
        leader=reader.integer(record, "leader", 0, 3),
        trick=trick,
        v=None if record.get("v") is None else reader.integer(record, "v", *_MARGINS),
        q=_parse_plays(reader, record),
    )


def _parse_plays(reader: FieldReader, record: dict[str, Any]) -> dict[str, int] | None:
    plays = record.get("q")
    if plays is None:
        return None
    if not isinstance(plays, dict):
        raise reader.error("has a 'q' that is not a JSON object")
    values = reader.integers(list(plays.values()), "q", *_MARGINS)
    return dict(zip(plays, values, strict=True))


def position_array(positions: Sequence[RecordedPosition]) -> np.ndarray:
    """The positions as POSITION_DTYPE [n]."""
    out = np.zeros(len(positions), POSITION_DTYPE)
    for row, one in zip(out, positions, strict=True):
        row["hands"] = [sum(1 << d for d in hand) for hand in one.hands]
        row["decl"], row["leader"], row["n_table"] = one.decl, one.leader, len(one.trick)
        row["table"][: len(one.trick)] = one.trick
    return out


def solve_positions(
    positions: Iterable[RecordedPosition], *, pool: SolverPool
) -> Iterator[SolvedPosition]:
    """Solve them in order, a batch at a time; whatever precedes a bad one is yielded first.

    Raises RecordError, naming the line and the rule, for a position that cannot be, and whatever
    reading `positions` raises.
    """
    source = iter(positions)
    error: Exception | None = None
    while error is None:
        batch, error = _take(source)
        if not batch and error is None:
            return
        array = position_array(batch)
        try:
            check_positions(array)
        except ImpossiblePosition as bad:
            error = RecordError(f"{batch[bad.row].where} is impossible: {bad.rule}.")
            array = array[: bad.row]
        yield from _solve_batch(batch[: len(array)], array, pool)
    raise error


def _take(
    source: Iterator[RecordedPosition],
) -> tuple[list[RecordedPosition], Exception | None]:
    """The next BATCH positions, or fewer and the error that ended the reading."""
    batch: list[RecordedPosition] = []
    try:
        for one in islice(source, BATCH):
            batch.append(one)  # noqa: PERF402 - what came before an error must be kept
    except (RecordError, OSError) as error:
        return batch, error
    return batch, None


def _solve_batch(
    batch: Sequence[RecordedPosition], array: np.ndarray, pool: SolverPool
) -> Iterator[SolvedPosition]:
    """The answers to one batch; a position's value is that of its best play."""
    seats = (array["leader"] + array["n_table"]) & 3
    for one, row, seat in zip(batch, pool.play_values(array).tolist(), seats, strict=True):
        q = {str(domino): value for domino, value in enumerate(row) if value != NO_PLAY}
        best = min if seat & 1 else max
        yield SolvedPosition(recorded=one, v=best(q.values(), default=0), q=q)
