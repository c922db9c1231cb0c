"""Values of a recipe: from what TOML holds to frozen records, and the checks on them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_T = TypeVar("_T")


class RecipeError(ValueError):
    """One sentence: what in a recipe cannot be used, and what was expected."""


def record(kind: type[_T], table: Any, where: str) -> _T:
    """A frozen ``kind`` of a TOML table; ``where`` is what a RecipeError calls the table."""
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where} is {table!r}: expected a table")
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; expected {', '.join(known)}"
            raise RecipeError(f"unknown key {key!r} in {where}{hint}")
    missing = [n for n, f in known.items() if f.default is MISSING and n not in table]
    if missing:
        raise RecipeError(f"{where} lacks {', '.join(missing)}")
    values = {key: _typed(value, str(known[key].type), key) for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise RecipeError(f"in {where}, {error}") from None


def _typed(value: Any, wanted: str, key: str) -> Any:
    """``value`` as a field of type ``wanted`` holds it; fields of this module's kinds pass."""
    match wanted:
        case "float" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case "int" if isinstance(value, int) and not isinstance(value, bool):
            return value
        case "str" if isinstance(value, str):
            return value
        case "bool" if isinstance(value, bool):
            return value
        case "tuple[str, ...]" if _all_texts(value):
            return tuple(value)
        case "Mapping[str, Any]" if isinstance(value, Mapping):
            return value
        case "NetworkChoice" | "ArenaPlan" | "Training" | "tuple[Stage, ...]":
            return value
    kinds = {"float": "a number", "int": "a whole number", "str": "text", "bool": "true or false"}
    expected = kinds.get(wanted, "a table" if wanted.startswith("Mapping") else "a list of texts")
    raise RecipeError(f"{key} is {value!r}: expected {expected}")


def _all_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def check_name(name: str) -> None:
    """RecipeError for a name that is none."""
    if not _NAME.fullmatch(name):
        raise RecipeError(
            f"name {name!r} cannot be used: expected letters, digits, dots, dashes and underscores"
        )


def check_least(least: int, **values: float) -> None:
    """RecipeError for a value below ``least``, or no finite number."""
    for name, value in values.items():
        if not least <= value < math.inf:
            raise RecipeError(f"{name} is {value}: expected at least {least}")


def check_above(limit: float, **values: float) -> None:
    """RecipeError for a value that is not above ``limit``, or no finite number."""
    for name, value in values.items():
        if not limit < value < math.inf:
            raise RecipeError(f"{name} is {value}: expected a number above {limit}")
