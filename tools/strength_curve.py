"""Strength against minutes and games of a training, from what its learner wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from strength_record import RecordError

from zebfast.learner.metrics import read_metrics
from zebfast.learner.recipe import BEST

_FIGURE = re.compile(r"eval/vs_(.+)_(win_rate|low|high|decided|match_games)")
_MINUTES, _GAMES, _STAGE = "stats/minutes", "stats/total_games", "stats/stage"


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
