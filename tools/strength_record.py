"""The records of tools/strength.py: one JSON file for each kind of evidence, added to as it grows.

Every record says when, which commit, which machine and which commands; every figure in it has its
number of games, and all figures of a record have one seed. `check` is what tells a record that may
be shown from one that may not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quality_record import here, stamp
from records import ROOT, versions, write

import zebfast

RECORDS = ROOT / "bench" / "records" / "strength"
FORMAT = "zebfast-strength"
VERSION = 1
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
}
TUNING = 1_000_000
_SAID = ("date", "time", "commit", "machine", "versions", "runs")


class RecordError(ValueError):
    """A record that cannot be read, added to or shown; the message is one sentence."""


class Record:
    """A record in memory, written whole or not at all by `save`. content: as in the file."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.content = content

    def save(self) -> None:
        """Write the file. OSError as the file system raises it."""
        write(self.path, self.content)


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
    now = stamp()
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        **now,
        "machine": here(),
        "versions": {"zebfast": zebfast.__version__, **versions()},
        "runs": [{**now, "machine": here(), "command": shown(command)}],
        "settings": dict(settings),
        "complete": False,
    }
    if not path.exists():
        return Record(path, content)
    if not resume:
        raise RecordError(f"{path} is there already; add to it with --resume, or name another file")
    old = read_record(path, kind)
    if old["settings"] != content["settings"]:
        raise RecordError(
            f"{path} was measured with other settings: {old['settings']}, not {dict(settings)}"
        )
    return Record(path, {**old, "runs": [*old["runs"], *content["runs"]], "complete": False})


def read_record(path: Path, kind: str | None = None) -> dict[str, Any]:
    """The content of a record. RecordError if it is none, or not of this kind."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"{path} does not exist") from None
    except ValueError as error:
        raise RecordError(f"{path} does not hold JSON") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RecordError(f"{path} is no record of tools/strength.py")
    if content.get("version") != VERSION:
        raise RecordError(f"{path} has version {content.get('version')!r}; this reads {VERSION}")
    if kind is not None and content.get("kind") != kind:
        raise RecordError(f"{path} is a record of {content.get('kind')!r}, not of {kind!r}")
    return content


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
        if content.get("format") == FORMAT and content.get("complete"):
            found[content["kind"]] = path
    return found


def shown(command: Sequence[str]) -> str:
    """A command line without the folders of this machine."""
    words = [without_folders(word) for word in command[1:]]
    quoted = [f"'{word}'" if re.search(r"[\s;&|<>*?()]", word) else word for word in words]
    return " ".join(["python tools/strength.py", *quoted])


def without_folders(text: str) -> str:
    """A spec or an argument with bare names of files."""
    return re.sub(r"[^=,:\s]*/", "", text)
