"""JSON lines of recorded play, plain or gzipped, read with errors that say where they are."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from zebfast.system.parse import parse_json

_GZIP_MAGIC = b"\x1f\x8b"


class RecordingError(ValueError):
    """A file or line that is no record; the message is one sentence naming the line."""


@dataclass(frozen=True)
class Difference:
    """The first point where a record and a referee disagree.

    `line` and `hand` count from 1, `hand` is None in a record of one hand; `ply` counts from 0, and
    is None for what a hand or game brought. `expected` is what the referee says, `found` what the
    record says.
    """

    line: int
    ply: int | None
    referee: str
    what: str
    expected: Any
    found: Any
    hand: int | None = None

    def __str__(self) -> str:
        where = "at the end" if self.ply is None else f"play {self.ply}"
        if self.hand is not None:
            where = f"hand {self.hand}, {where}" if self.ply is not None else f"hand {self.hand}"
        return (
            f"line {self.line}, {where}: {self.what}: expected {self.expected} "
            f"({self.referee}), found {self.found}"
        )


def json_lines(stream: BinaryIO, *, max_bytes: int, expected: str) -> Iterator[tuple[int, bytes]]:
    """Yield the number, from 1, and the bytes of each line; blank lines are skipped.

    `stream` is a binary file, gzipped or not, that need not be seekable; `expected` says in errors
    what a line should hold. Raises RecordingError for a line over max_bytes and for damaged
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
            raise RecordingError(
                f"The gzip data after line {number} is damaged; fetch the file again."
            ) from error
        if not line:
            return
        number += 1
        if len(line) > max_bytes:
            raise RecordingError(
                f"Line {number} is longer than {max_bytes:,} bytes; expected {expected} a line."
            )
        if line.strip():
            yield number, line


def parse_object(line: bytes, number: int, expected: str) -> dict[str, Any]:
    """The JSON object in line `number`. RecordingError where it is none."""
    try:
        record = parse_json(line)
    except UnicodeDecodeError as error:
        raise RecordingError(
            f"Line {number} is not valid JSON: it is not text in UTF-8."
        ) from error
    except ValueError as error:
        raise RecordingError(f"Line {number} is not valid JSON: {error}.") from error
    if not isinstance(record, dict):
        raise RecordingError(f"Line {number} is not a JSON object; expected {expected}.")
    return record


@dataclass(frozen=True)
class FieldReader:
    """Takes typed fields out of parsed JSON; `where` names the place in the file for errors.

    Every method raises RecordingError for a field that is missing or of another kind.
    """

    where: str

    def error(self, what: str) -> RecordingError:
        """The error that says `what` about this place."""
        return RecordingError(f"{self.where} {what}.")

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
