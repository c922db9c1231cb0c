"""Things measured in turns, one after the other on one core: the best of all turns counts, for
others load a machine, too. What they come to is printed, and kept as a record where asked."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
#: Returns how much was done or, where it is done elsewhere, that and in how many seconds.
Work = Callable[[], int | tuple[int, float]]
#: What it is, its unit, and the work.
Stages = Mapping[str, tuple[str, str, Work]]
#: A figure, another, and how many times that it is at least; None: nothing is wanted.
Wanted = Sequence[tuple[str, str, float | None]]


def measured(stages: Stages, turns: int) -> list[dict[str, Any]]:
    """A figure for each stage: the best of all turns, the first left out."""
    rates: dict[str, list[float]] = {key: [] for key in stages}
    for _ in range(turns + 1):
        for key, (_, _, work) in stages.items():
            began = time.perf_counter()
            done = work()
            if isinstance(done, tuple):
                rates[key].append(done[0] / done[1])
            else:
                rates[key].append(done / (time.perf_counter() - began))
    return [
        {"key": key, "what": what, "value": round(max(rates[key][1:]), 1),
         "unit": unit, "rounds": turns}
        for key, (what, unit, _) in stages.items()
    ]  # fmt: skip


def record(
    stages: Stages, wanted: Wanted, *, libraries: Sequence[str], turns: int, command: str
) -> dict[str, Any]:
    """All figures, and the ratios that are wanted."""
    import provenance

    figures = measured(stages, turns)
    value = {figure["key"]: figure["value"] for figure in figures}
    found = {name: metadata.version(name) for name in libraries}
    return {
        **provenance.stamp(),
        "machine": provenance.here(),
        "versions": {**provenance.versions(), **found},
        "libraries": list(libraries),
        "command": command,
        "figures": figures,
        "ratios": [
            {"of": above, "to": below, "wanted": least,
             "value": round(value[above] / value[below], 2)}
            for above, below, least in wanted
        ],
    }  # fmt: skip


def run(
    about: str, argv: list[str] | None, *, turns: int, make: Callable[[int], dict[str, Any]],
    parents: Sequence[argparse.ArgumentParser] = (),
) -> int:  # fmt: skip
    """Measure, print, and keep where that is asked; 1 where a ratio is too small.

    parents: what a script reads of its own, for the help.
    """
    parser = argparse.ArgumentParser(description=about.split("\n\n")[0], parents=parents)
    parser.add_argument("--turns", type=int, default=turns, help=f"(default: {turns})")
    parser.add_argument("--output", type=Path, help="file of the record")
    args = parser.parse_args(argv)
    found = make(args.turns)
    for figure in found["figures"]:
        print(f"{figure['what']:60} {figure['value']:>14,.0f} {figure['unit']}")
    small = [r for r in found["ratios"] if r["wanted"] is not None and r["value"] < r["wanted"]]
    for ratio in found["ratios"]:
        mark = "  too small" if ratio in small else ""
        print(f"{ratio['of']} / {ratio['to']}: {ratio['value']} (wanted: {ratio['wanted']}){mark}")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return int(bool(small))
