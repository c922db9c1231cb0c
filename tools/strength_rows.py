"""The rows of an ablation: what was changed, in a training or in how a network is played.

    [[row]]
    group = "teacher"                       what is varied
    changed = "1 layout a label"            its setting in this row
    player = "zeb:source=one.pt"            what is played: any player, searches too
    recipe = "recipes/one.toml"             of trainings: what was trained by, from the record's
    labels = 500000                         folder; labels, minutes and seed
    minutes = 9.5
    seed = 1
    note = "as in the recipe"               may be left out, as may those of trainings

Rows of one group and setting that have other seeds are shown as one.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from strength_record import RecordError

_NEEDED = ("group", "changed", "player")
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(_NEEDED, str),
    "recipe": str,
    "labels": int,
    "minutes": (int, float),
    "seed": int,
    "note": str,
}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a TOML file; what is left out is None. Each gets a "name" that no other has.

    RecordError for anything else.
    """
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))["row"]
    except (ValueError, LookupError) as error:
        raise RecordError(f"{path} has no rows: expected TOML with [[row]] tables") from error
    found: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        where = f"{path}: row {number}"
        if unknown := sorted(set(row) - set(_KINDS)):
            raise RecordError(f"{where} has the unknown {unknown[0]!r}")
        for name, kind in _KINDS.items():
            if not isinstance(row.get(name), kind) and (name in row or name in _NEEDED):
                raise RecordError(f"{where} has no usable {name!r}")
        if re.search(r"[:=,|]", row["group"] + row["changed"]):
            raise RecordError(f"{where} has ':', '=', ',' or '|' in its words")
        seed = f" – seed {row['seed']}" if "seed" in row else ""
        named = {"name": f"{row['group']} – {row['changed']}{seed}"}
        found.append(named | {name: row.get(name) for name in _KINDS})
    return found
