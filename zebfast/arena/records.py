"""Records of play: JSON files that are added to as they grow, with the points of every game.

A record is written whole or not at all and can be continued: what it was measured with must then be
the same. Of a match it holds the points that one player took, u1[deals, 2] (a deal is played both
ways), zlib-compressed in base64.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.rules import TOTAL_POINTS
from zebfast.system.files import write_atomic
from zebfast.system.parse import parse_json


class RecordError(ValueError):
    """A record that cannot be read, shown or added to; one sentence."""


@dataclass
class Record:
    """A record in memory. content: as in the file."""

    path: Path
    content: dict[str, Any]

    def save(self) -> None:
        """Write the file, whole or not at all. Raises OSError."""
        text = json.dumps(self.content, indent=2, ensure_ascii=False)
        write_atomic(self.path, f"{text}\n".encode())


@dataclass(frozen=True)
class Format:
    """What the records of one kind have in front.

    words: what such a file is called in a sentence. name, version: as its "format" and "version";
    the empty name is of records that do not say one.
    """

    words: str
    name: str = ""
    version: int = 1

    def heading(self) -> dict[str, Any]:
        """The first entries of a new record."""
        return {"format": self.name, "version": self.version} if self.name else {}

    def read(self, path: Path) -> dict[str, Any]:
        """The content of a record. Raises RecordError if it is none of these, and OSError."""
        try:
            content = parse_json(path.read_bytes())
        except FileNotFoundError:
            raise RecordError(f"{path} does not exist") from None
        except ValueError as error:
            raise RecordError(f"{path} is no {self.words}") from error
        if not isinstance(content, dict) or (self.name and content.get("format") != self.name):
            raise RecordError(f"{path} is no {self.words}")
        if self.name and content.get("version") != self.version:
            raise RecordError(
                f"{path} has version {content.get('version')!r} of the "
                f"{self.name.removeprefix('zebfast-')} format; this program reads version "
                f"{self.version}"
            )
        return content

    def open(
        self,
        path: Path,
        content: Mapping[str, Any],
        *,
        resume: bool,
        check: Callable[[Mapping[str, Any]], None],
    ) -> Record:
        """A new record, or with `resume` the one in the file if there is one.

        content: of a new one, without its heading; its "runs" are added to those of an old one.
        check: raises RecordError for an old one that cannot be added to. RecordError also for a
        file that is there without `resume`, and for one that is no such record.
        """
        if not path.exists():
            return Record(path, {**self.heading(), **content})
        if not resume:
            raise RecordError(
                f"{path} is there already; add to it with --resume, or name another file"
            )
        old = self.read(path)
        try:
            check(old)
            runs = [*old["runs"], *content["runs"]]
        except (LookupError, TypeError) as error:
            raise RecordError(f"{path} is no {self.words}") from error
        return Record(path, {**old, "runs": runs})


def pack_points(points: NDArray[np.uint8]) -> str:
    """u1[deals, 2] as text."""
    packed = zlib.compress(np.ascontiguousarray(points, np.uint8).tobytes(), 9)
    return base64.b64encode(packed).decode("ascii")


def unpack_points(text: str, *, n_deals: int) -> NDArray[np.uint8]:
    """What `pack_points` made of so many deals, u1[n_deals, 2]. ValueError for anything else."""
    try:
        # A hostile file cannot make this large: unpacking stops one byte beyond what is expected.
        packed = base64.b64decode(text, validate=True)
        data = zlib.decompressobj().decompress(packed, 2 * n_deals + 1)
    except (TypeError, zlib.error) as error:
        raise ValueError(str(error)) from error
    if len(data) != 2 * n_deals:
        raise ValueError(f"a pairing does not hold {2 * n_deals} games")
    points = np.frombuffer(data, np.uint8).reshape(n_deals, 2)
    if n_deals and points.max() > TOTAL_POINTS:
        raise ValueError(f"a game with {points.max()} points")
    return points
