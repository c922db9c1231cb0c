"""Text from elsewhere: wrong in one way only, however it was made.

The parsers of the standard library have several ways to give up on what somebody made for that:
values nested too deeply, numbers of thousands of digits, a key that is there twice and means one
thing to one reader and another to the next.
"""

from __future__ import annotations

import json
import math
from typing import Any, TypeGuard

MAX_TOML_BYTES = 100_000
MOST_EXACT = 2**53 - 1  # of games or steps: what every reader of JSON holds exactly
MOST_UNIX = 2**37  # a time some thousands of years from now, which every clock can still show


def is_count(value: object) -> TypeGuard[int]:
    """Can this be a number of games, steps or bytes that was read somewhere?"""
    return type(value) is int and 0 <= value <= MOST_EXACT


def is_moment(value: object) -> TypeGuard[int | float]:
    """Can this be a time, unix seconds, that was read somewhere? What is no number is none."""
    return (type(value) is int or type(value) is float) and 0 <= value <= MOST_UNIX


def parse_json(data: bytes | str, *, tame: bool = False) -> Any:
    """What a JSON text holds. ValueError, one clause about "it", for anything else.

    Args:
        tame: numbers that are not finite, or whole and of more than 64 bits, are read as null.
    """
    hooks: dict[str, Any] = {}
    if tame:
        hooks = {"parse_float": _finite, "parse_int": _whole, "parse_constant": lambda _: None}
    try:
        return json.loads(data, object_pairs_hook=_table, **hooks)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _whole(text: str) -> int | None:
    number = int(text) if len(text) < 21 else 1 << 64
    return number if -(1 << 63) <= number < 1 << 63 else None


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"it has the key {twice[:60]!r} twice")
    return table


def parse_toml(text: str) -> dict[str, Any]:
    """What a TOML text holds. ValueError, one clause about "it", for anything else."""
    import tomllib  # most programs read none

    if len(text) > MAX_TOML_BYTES:
        raise ValueError(f"it is longer than {MAX_TOML_BYTES:,} characters")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
