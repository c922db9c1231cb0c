"""Recorded positions, and what the solver says of them: one JSON object a line, plain or gzipped.

A position holds `decl`, `remaining` (4 lists of the domino ids still held), `leader` and `trick`
(the dominoes on the table, in order from the leader). A line with a list `positions` is a deal:
its `decl` holds for all the positions of that list. `v`, the points to come of team 0 minus team 1,
and `q`, the same after each legal domino (ids as string keys), may be given to compare with.
Further keys are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

from zebfast.arena.io.json_lines import FieldReader, RecordingError, json_lines, parse_object
from zebfast.core.records import POSITION_DTYPE
from zebfast.core.solve import NO_PLAY, ImpossiblePosition, check_positions
from zebfast.core.solver_pool import SolverPool
from zebfast.rules import N_SEATS, TOTAL_POINTS, domino_name

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

        Raises RecordingError where nothing is recorded.
        """
        if self.recorded.v is None and self.recorded.q is None:
            raise RecordingError(f"{self.recorded.where} has neither v nor q to compare with.")
        for name, exact, found in (("v", self.v, self.recorded.v), ("q", self.q, self.recorded.q)):
            if found is not None and found != exact:
                return f"{self.recorded.where}: {name}: expected {exact}, found {found}"
        return None


def read_positions(stream: BinaryIO) -> Iterator[RecordedPosition]:
    """Yield the positions of a binary file in order; blank lines are skipped.

    Raises RecordingError for a line that holds no position and for damaged compression, and OSError
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
    for seat, hand in enumerate(reader.items(record, "remaining", N_SEATS)):
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

    Raises RecordingError, naming the line and the rule, for a position that cannot be, and whatever
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
            error = RecordingError(f"{batch[bad.row].where} is impossible: {bad.rule}.")
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
    except (RecordingError, OSError) as error:
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
