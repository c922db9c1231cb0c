"""The numbers of a run: one JSON line a cycle, and Weights & Biases when asked."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from zebfast.system.files import write_atomic

Row = dict[str, float | int | None]


class MetricsSink(Protocol):
    """Somewhere that rows of metrics go. ``step`` is the number of the cycle."""

    def log(self, step: int, row: Mapping[str, float | int | None]) -> None: ...

    def close(self) -> None: ...


class JsonlMetrics:
    """``metrics.jsonl``: a line per cycle, with ``step`` and ``time`` (unix seconds).

    Opening it drops what a killed run wrote beyond the checkpoint that training continues from
    (those cycles will run again) and any line that was cut short, so each cycle appears once.
    ``last_look`` does the same for the looks of a recipe, of which a cycle may have several.
    """

    def __init__(self, path: Path, *, last_step: int, last_look: int = 0) -> None:
        self.path = path
        _drop_rows_after(path, last_step, last_look)

    def log(self, step: int, row: Mapping[str, float | int | None]) -> None:
        """Append one line. Raises OSError."""
        finite = {k: v if v is None or math.isfinite(v) else None for k, v in row.items()}
        line = json.dumps({"step": step, "time": round(time.time(), 3), **finite})
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    def close(self) -> None:
        pass


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Rows of a metrics file in order; lines cut short by a crash are left out."""
    rows = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def _drop_rows_after(path: Path, last_step: int, last_look: int) -> None:
    if not path.exists():
        return
    rows = [row for row in read_metrics(path) if row["step"] <= last_step]
    kept = [row for row in rows if row.get("arena/look", 0) <= last_look]
    write_atomic(path, "".join(json.dumps(row) + "\n" for row in kept).encode())
