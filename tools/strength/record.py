"""The records of tools/strength.py: one JSON file for each kind of evidence, added to as it grows.

Every record says when, which commit, which machine and which commands; every figure in it has its
number of games, and all figures of a record have one seed. `check` is what tells a record that may
be shown from one that may not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generated import ROOT
from provenance import origin

from zebfast.arena.records import Format, Record, RecordError

RECORDS = ROOT / "bench" / "records" / "strength"
FORMAT = Format("record of tools/strength.py", "zebfast-strength")
#: Kind -> the seed of all that is reported of it; a curve has those of its trainings. Deals are
#: those of matches (stream EVAL_DEAL), which no training draws from, and settings are tuned on
#: seeds from TUNING on.
SEEDS: Mapping[str, int] = {
    "matrix": 420_101,
    "time": 420_102,
    "ablation": 420_103,
    "calibration": 420_104,
    "belief": 420_105,
    "training": 420_106,
    "marks": 420_107,
    "bids": 420_108,
}
TUNING = 1_000_000
_SAID = ("date", "time", "commit", "machine", "versions", "runs")


def open_record(
    path: Path,
    kind: str,
    *,
    settings: Mapping[str, Any],
    command: Sequence[str],
    resume: bool,
) -> Record:
    """A new record, or with `resume` the one in the file if there is one.

    settings: what all figures have in common; "seed" is among them. Raises RecordError for a file
    that is there without `resume`, that is damaged, or that was measured with other settings.
    """

    def check_old(old: Mapping[str, Any]) -> None:
        _check_kind(path, old, kind)
        if old["settings"] != settings:
            raise RecordError(
                f"{path} was measured with other settings: {old['settings']}, not {dict(settings)}"
            )

    content = {
        "kind": kind,
        **origin("python tools/strength.py", command),
        "settings": dict(settings),
        "complete": False,
    }
    record = FORMAT.open(path, content, resume=resume, check=check_old)
    record.content["complete"] = False
    return record


def read_record(path: Path, kind: str | None = None) -> dict[str, Any]:
    """The content of a record. RecordError if it is none, or not of this kind."""
    content = FORMAT.read(path)
    if kind is not None:
        _check_kind(path, content, kind)
    return content


def _check_kind(path: Path, content: Mapping[str, Any], kind: str) -> None:
    if content.get("kind") != kind:
        raise RecordError(f"{path} is a record of {content.get('kind')!r}, not of {kind!r}")


def check(path: Path) -> dict[str, Any]:
    """The content of a record that may be shown.

    Raises RecordError unless it says when, where, on which commit and by which commands it was
    measured, and with the seed of what is reported.
    """
    content = read_record(path)
    if missing := [name for name in _SAID if not content.get(name)]:
        raise RecordError(f"{path} does not say its {missing[0]}")
    if not all(run.get("command") and run.get("commit") for run in content["runs"]):
        raise RecordError(f"{path} has a run without its command or commit")
    seed, wanted = content["settings"].get("seed"), SEEDS.get(content["kind"])
    if seed != wanted:
        raise RecordError(
            f"{path} was measured with seed {seed}; what is shown has seed {wanted}, so that "
            "nothing is tuned on it"
        )
    return content


def what_of(path: Path) -> str:
    """A record's name without its date."""
    return path.stem[11:]


def complete_records(folder: Path | None = None) -> dict[str, Path]:
    """The newest complete record of each kind, by the dates in their names."""
    found: dict[str, Path] = {}
    for path in sorted((folder or RECORDS).glob("[0-9]*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") == FORMAT.name and content.get("complete"):
            found[content["kind"]] = path
    return found
