"""Turns one run of the speed suite into a record: bench/records/<date>-<slug>.json.

    pytest bench --benchmark-json=build/bench.json
    python tools/records.py build/bench.json --slug first

A record is data, never edited by hand: when, which commit, machine, versions and command, and the
figures. The table of docs/performance.md is generated from the records by tools/readme.py.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from generated import ROOT
from provenance import machine, versions

from zebfast.arena.records import Record

RECORDS = ROOT / "bench" / "records"
COMMAND = "make record"
FIGURE_KEYS = ("key", "what", "value", "unit")


def figures(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures that benchmarks attached to their results, in the order of the run."""
    found = []
    for benchmark in run["benchmarks"]:
        extra = benchmark["extra_info"]
        if not all(key in extra for key in FIGURE_KEYS):
            continue
        figure = {key: extra[key] for key in FIGURE_KEYS}
        figure["value"] = round(figure["value"], 3)
        figure["rounds"] = benchmark["stats"]["rounds"]
        detail = {name: round(value, 4) for name, value in extra.get("detail", {}).items()}
        found.append({**figure, "detail": detail} if detail else figure)
    return found


def record(run: dict[str, Any], *, command: str) -> dict[str, Any]:
    """A whole record from pytest-benchmark's JSON.

    Raises ValueError if no benchmark of the run carries a figure.
    """
    found = figures(run)
    if not found:
        raise ValueError("no benchmark in this run carries a figure")
    return {
        "date": run["datetime"][:10],
        "time": run["datetime"][11:19],
        "commit": run["commit_info"].get("id"),
        "dirty": run["commit_info"].get("dirty"),
        "machine": machine(run["machine_info"]),
        "versions": versions(),
        "command": command,
        "figures": found,
    }


def newest_figures(folder: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """key -> (figure, its record), from the newest record that has the key.

    Newest by date, time of day, file name.
    """
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    paths = folder.glob("*.json")
    records = [{**json.loads(path.read_text()), "name": path.stem} for path in paths]
    for record in sorted(records, key=lambda r: (r["date"], r.get("time", ""), r["name"])):
        for figure in record["figures"]:
            found[figure["key"]] = (figure, record)
    return found


def number(value: float) -> str:
    """Three significant digits, thousands separated."""
    if value >= 1000:
        digits = max(len(str(int(value))) - 3, 0)
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Keep a run of the speed suite as a record.")
    parser.add_argument("run", type=Path, help="file written by pytest --benchmark-json")
    parser.add_argument("--slug", required=True, help="a few words for the file name: a-z 0-9 -")
    parser.add_argument("--command", default=COMMAND, help="the command that printed the figures")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of the records")
    args = parser.parse_args(argv)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", args.slug):
        parser.error(f"--slug {args.slug!r}: expected small letters, digits and single dashes")
    try:
        content = record(json.loads(args.run.read_text()), command=args.command)
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {args.run} is not a usable benchmark run: {error}", file=sys.stderr)
        return 1
    path = args.records / f"{content['date']}-{args.slug}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    Record(path, content).save()
    print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
