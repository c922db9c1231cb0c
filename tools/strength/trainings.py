"""Trainings as they are given: what was changed in each, and how strong it was when.

The rows of an ablation say what was changed, in a training or in how a network is played:

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

A curve is what a training's own metrics say of its strength.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from zebfast.arena.records import RecordError
from zebfast.learner.metrics import read_metrics
from zebfast.learner.recipe import BEST

_NEEDED = ("group", "changed", "player")
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(_NEEDED, str),
    "recipe": str,
    "labels": int,
    "minutes": (int, float),
    "seed": int,
    "note": str,
}
_FIGURE = re.compile(r"eval/vs_(.+)_(win_rate|low|high|decided|match_games)")
_MINUTES, _GAMES, _STAGE = "stats/minutes", "stats/total_games", "stats/stage"


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


def read_curve(path: Path) -> dict[str, Any]:
    """The looks at its strength that a run's metrics.jsonl holds.

    "points": minutes since the start, time off not counted where the run says it; games counted;
    stage; whether the network was the best so far; and by opponent what was won, a share with its
    95 % interval. "collapses": looks at which a run after a recipe went back to its best network.
    RecordError if the file holds no look.
    """
    rows = read_metrics(path)
    found: list[dict[str, Any]] = []
    for row in rows:
        against: dict[str, dict[str, Any]] = {}
        for key, figure in row.items():
            if (match := _FIGURE.fullmatch(key)) and figure is not None:
                against.setdefault(match[1], {})[match[2]] = figure
        against.pop(BEST, None)
        if not against:
            continue
        minutes = row.get(_MINUTES, (row["time"] - rows[0]["time"]) / 60)
        found.append(
            {
                "minutes": round(minutes, 2),
                "games": row.get(_GAMES, 0),
                "stage": row.get(_STAGE),
                "is_best": bool(row.get("arena/is_best", True)),
                "against": against,
            }
        )
    if not found:
        raise RecordError(f"{path} holds no look at strength")
    return {"points": found, "collapses": sum(row.get("arena/collapse", 0) for row in rows)}
