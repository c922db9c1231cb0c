"""Example files: the compact native format, and what is checked of either format.

A native file is safetensors holding the fields of GAME_DTYPE as separate arrays (finished games of
450 bytes, 16 an example) with the metadata as JSON in its header. Contracts, as bytes, are there
where a game has one (458 bytes). The documented ``.pt`` layout is in ``examples_pt``. A reader gets
checked records or one sentence; nothing is ever unpickled freely.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from zebfast.core.observe import games_to_examples
from zebfast.core.records import CONTRACT_DTYPE, GAME_DTYPE
from zebfast.rules import N_PLIES
from zebfast.selfplay.contracts import check_contracts
from zebfast.selfplay.play_values import labelled_examples
from zebfast.selfplay.producer_kinds import EVAL_AUX, PLAY_VALUE_SOURCES, SELFPLAY, SOURCES
from zebfast.system.files import write_atomic
from zebfast.system.parse import is_count, parse_json

MAX_EXAMPLES = 1 << 20
#: Games that are written into one file: in either format less than a reader takes, and an even
#: number, so that both games of a deal stay together.
MOST_GAMES_A_FILE = 16_384

_HEADER_KEY = "zebfast"
_MAX_HEADER_BYTES = 1 << 20
_KINDS = {"U8": "uint8", "U16": "uint16"}  # of arrays, as safetensors calls them
_CONTRACT = "contract"
_CONTRACT_BYTES = np.dtype(("u1", CONTRACT_DTYPE.itemsize))
#: Type and shape of what is said of every game, by the names of the arrays.
_ARRAYS = {name: GAME_DTYPE[name] for name in GAME_DTYPE.names or () if name != _CONTRACT}


class BadExampleFile(ValueError):
    """One sentence: the file, what is wrong with it, what was expected."""


@dataclass(frozen=True)
class Examples:
    """The checked content of one example file: ``records`` EXAMPLE_DTYPE[N] and its metadata."""

    records: NDArray[np.void]
    metadata: dict[str, Any]

    @property
    def n_games(self) -> int:
        return int(self.metadata["n_games"])

    @property
    def source(self) -> str:
        return str(self.metadata["source"])


def write_native(path: Path, games: NDArray[np.void], metadata: Mapping[str, Any]) -> None:
    """Write GAME_DTYPE[G] as a native file, whole or not at all. Raises OSError."""
    arrays = {name: np.ascontiguousarray(games[name]) for name in _ARRAYS}
    if games[_CONTRACT]["bid"].any():
        arrays[_CONTRACT] = np.ascontiguousarray(games[_CONTRACT]).view(_CONTRACT_BYTES)
    header = {_HEADER_KEY: json.dumps(dict(metadata))}
    write_atomic(Path(path), safetensors.numpy.save(arrays, metadata=header))


def read_native(source: BinaryIO, size: int) -> Examples:
    """Check and convert an open native file of ``size`` bytes. Raises BadExampleFile, OSError.

    What the header declares is compared with the size before anything else is read.
    """
    n_header = int.from_bytes(source.read(8), "little")
    if not 0 < n_header <= min(size - 8, _MAX_HEADER_BYTES):
        raise BadExampleFile(
            f"not a complete safetensors file (header of {n_header:,} bytes, file of {size:,}); "
            "expected what a worker writes"
        )
    try:
        header = parse_json(source.read(n_header))
        metadata = parse_json(header.pop("__metadata__")[_HEADER_KEY])
        declared = {name: _Declared.of(entry) for name, entry in header.items()}
    except Exception as error:  # hostile bytes can raise anything; the file is refused either way
        raise BadExampleFile(
            f"not a complete safetensors file with zebfast metadata ({brief(error)}); expected "
            "what a worker writes"
        ) from error
    games = _read_games(source, declared, size - 8 - n_header)
    checked = check_metadata(
        metadata,
        n_examples=N_PLIES * len(games),
        sources=SOURCES,
    )
    if checked["n_games"] != len(games):
        raise BadExampleFile(
            f"metadata says {checked['n_games']} games; expected the {len(games)} in the file"
        )
    try:
        check_contracts(games)
        records = games_to_examples(games)
    except ValueError as error:
        raise BadExampleFile(f"{brief(error)}; expected legal games only") from error
    if checked["source"] in PLAY_VALUE_SOURCES:
        try:
            records = labelled_examples(records)
        except ValueError as error:
            raise BadExampleFile(brief(error)) from error
    return Examples(records, checked)


class _Declared(NamedTuple):
    """What a safetensors header says of an array: where its bytes are, behind the header."""

    begin: int
    end: int
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> _Declared:
        begin, end = entry["data_offsets"]
        kind = str(entry["dtype"])[:20]
        shape = tuple(entry["shape"])
        if len(shape) > 3 or not all(type(n) is int for n in (begin, end, *shape)):
            raise ValueError("a shape or place that is none")
        return cls(begin, end, _KINDS.get(kind, repr(kind)), shape)

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def _read_games(
    source: BinaryIO, declared: Mapping[str, _Declared], n_bytes: int
) -> NDArray[np.void]:
    """The games in the ``n_bytes`` behind the header. Raises BadExampleFile, OSError."""
    arrays = {**_ARRAYS, _CONTRACT: _CONTRACT_BYTES} if _CONTRACT in declared else _ARRAYS
    if set(declared) != set(arrays):
        raise BadExampleFile(f"arrays {_names(declared)}; expected {_names(arrays)}")
    n_games = declared["decl"].shape[0] if declared["decl"].shape else 0
    if not 0 < n_games <= MAX_EXAMPLES // N_PLIES:
        raise BadExampleFile(f"{n_games} games; expected 1 to {MAX_EXAMPLES // N_PLIES}")
    at = 0
    for name, found in sorted(declared.items(), key=lambda item: item[1].begin):
        item, shape = arrays[name].base, (n_games, *arrays[name].shape)
        wanted = _Declared(at, at + math.prod(shape) * item.itemsize, item.name, shape)
        if found != wanted:
            raise BadExampleFile(
                f"{name} is {found} in bytes {found.begin} to {found.end}; expected {wanted} in "
                f"{wanted.begin} to {wanted.end}"
            )
        at = found.end
    if at != n_bytes:
        raise BadExampleFile(f"{n_bytes:,} bytes of arrays; expected {at:,}")
    data = source.read(at)
    if len(data) != at:
        raise BadExampleFile("cut short while it was read")
    games = np.zeros(n_games, GAME_DTYPE)
    for name, found in declared.items():
        flat = np.frombuffer(data, arrays[name].base, math.prod(found.shape), found.begin)
        games[name] = flat.view(CONTRACT_DTYPE) if name == _CONTRACT else flat.reshape(found.shape)
    return games


def check_metadata(
    metadata: object,
    *,
    n_examples: int,
    sources: tuple[str, ...] = (SELFPLAY.source, EVAL_AUX.source),
) -> dict[str, Any]:
    """The metadata of an example file, or BadExampleFile naming the entry that is wrong.

    Args:
        metadata: as found in the file.
        n_examples: examples in the file; a game has 1 to 28 of them.
        sources: those that the format knows.
    """
    if not isinstance(metadata, dict) or len(metadata) > 100:
        raise BadExampleFile("metadata is not a small dictionary; expected worker_id and others")
    if not all(isinstance(key, str) and len(key) <= 100 for key in metadata):
        raise BadExampleFile("metadata has a key that is not a short string; expected names")
    for key, fits, wanted in (
        ("worker_id", _is_short_text, "a short printable string"),
        ("model_step", is_count, "a whole number from 0"),
        ("n_games", is_count, "a whole number from 1"),
        ("timestamp", _is_time, "seconds or a short printable string"),
        ("source", lambda v: isinstance(v, str) and v in sources, " or ".join(sources)),
    ):
        if not fits(metadata.get(key)):
            raise BadExampleFile(f"metadata has no usable {key}; expected {wanted}")
    n_games = metadata["n_games"]
    if not n_games <= n_examples <= N_PLIES * n_games:
        raise BadExampleFile(
            f"metadata says {n_games} games for {n_examples} examples; expected 1 to 28 a game"
        )
    return metadata


def _is_short_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _is_time(value: object) -> bool:
    if isinstance(value, float):
        return bool(np.isfinite(value))
    return is_count(value) or _is_short_text(value)


def _names(mapping: Mapping[str, object]) -> str:
    return _printable(", ".join(sorted(mapping)))[:200] or "none"


def brief(error: BaseException) -> str:
    """First line of an error, cut and made printable: it may quote a hostile file."""
    first = (str(error).splitlines() or [""])[0]
    return _printable(first)[:160] or type(error).__name__


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
