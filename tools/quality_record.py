"""The record of tools/search_quality.py: one JSON file, added to piece by piece."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from records import ROOT, machine, versions, write

import zebfast
from zebfast.system.machine import cpu_model

RECORDS = ROOT / "bench" / "records" / "quality"
PIECES = ("targets", "deeper", "equal", "arena", "selfplay")
_SEPARATOR = "@"  # between method and network in a key


class RecordError(ValueError):
    """A record that cannot be added to; the message is one sentence."""


class Record:
    """Everything measured so far, written to its file after every piece.

    content: as in the file; `results` maps "method@network" to options and pieces.
    """

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.content = content

    def has(self, method: str, network: str, piece: str) -> bool:
        """Whether this piece was measured."""
        return piece in self._entry(method, network)

    def add(
        self,
        method: str,
        network: str,
        piece: str,
        figures: Mapping[str, Any],
        *,
        options: Mapping[str, Any],
    ) -> None:
        """Keep one piece and write the file."""
        entry = {"options": dict(options), **self._entry(method, network), piece: dict(figures)}
        self.content["results"][key(method, network)] = entry
        write(self.path, self.content)

    def _entry(self, method: str, network: str) -> dict[str, Any]:
        found: dict[str, Any] = self.content["results"].get(key(method, network), {})
        return found


def key(method: str, network: str) -> str:
    """How a method with a network is called in a record."""
    return f"{method}{_SEPARATOR}{network}"


def entries(content: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Method, network and pieces of every result, in the order they were measured."""
    for name, entry in content["results"].items():
        method, _, network = name.partition(_SEPARATOR)
        yield method, network, entry


def open_record(
    path: Path,
    *,
    settings: Mapping[str, Any],
    networks: Mapping[str, Any],
    command: Sequence[str],
    resume: bool,
) -> Record:
    """A new record, or with `resume` the one in the file if there is one.

    Raises RecordError for a file that is there without `resume`, that is damaged, or that was
    measured with other settings or weights.
    """
    now = stamp()
    content: dict[str, Any] = {
        **now,
        "machine": here(),
        "versions": {"zebfast": zebfast.__version__, **versions()},
        "runs": [{**now, "command": shown(command)}],
        "settings": dict(settings),
        "networks": dict(networks),
        "results": {},
    }
    if not path.exists():
        return Record(path, content)
    if not resume:
        raise RecordError(f"{path} is there already; add to it with --resume, or name another file")
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        same = old["settings"] == content["settings"]
        kept = {**networks, **old["networks"]}
        results, runs = dict(old["results"]), [*old["runs"], *content["runs"]]
    except (ValueError, LookupError, TypeError) as error:
        raise RecordError(f"{path} is no record of search quality") from error
    if not same:
        raise RecordError(f"{path} was measured with other settings: {old['settings']}")
    if any(kept[name] != network for name, network in networks.items()):
        raise RecordError(f"{path} was measured with other weights of the same name")
    return Record(path, {**content, "runs": runs, "networks": kept, "results": results})


def shown(command: Sequence[str]) -> str:
    """A command line without the folders of this machine."""
    words = []
    for word in command[1:]:
        name, equals, value = word.partition("=")
        words.append(f"{name}={Path(value).name}" if equals else Path(name).name)
    return " ".join(["python tools/search_quality.py", *words])


def stamp() -> dict[str, Any]:
    """When this is, and which source it is measured with."""
    now = datetime.now(UTC)
    return {
        "date": now.strftime("%Y-%m-%d"),
        "time": now.strftime("%H:%M:%S"),
        "commit": _git("rev-parse", "HEAD") or None,
        "dirty": bool(_git("status", "--porcelain")),
    }


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def here() -> dict[str, Any]:
    """The machine, as records.machine says it."""
    info = {
        "cpu": {"brand_raw": cpu_model()},
        "system": platform.system(),
        "machine": platform.machine(),
        "python_version": platform.python_version(),
    }
    return machine({"machine_info": info})


def in_short(figures: Mapping[str, Any]) -> str:
    """What a line of progress says of a piece."""
    found = []
    if "n_simulations" in figures:
        found.append(f"{figures['n_simulations']} simulations, {figures['n_worlds']} worlds")
    for name in ("target_regret", "play_regret"):
        if name in figures:
            mean, error = figures[name]["mean"], figures[name]["se"]
            found.append(f"{name.replace('_', ' ')} {mean:.4f} ± {1.96 * error:.4f}")
    if "same_favourite" in figures:
        found.append(f"same favourite {100 * figures['same_favourite']['share']:.1f} %")
    if "ms" in figures:
        found.append(f"{figures['evaluations']:.1f} evaluations, {figures['ms']:.3f} ms a decision")
    won = figures.get("match", figures)
    if "won" in won:
        margin = f"{won['margin']['mean']:+.2f} ± {won['margin']['se']:.2f}"
        found.append(f"won {100 * won['won']['share']:.1f} %, margin {margin}")
    if "searches" in figures:
        found.append(f"{1 / figures['seconds_a_game']:.1f} games/s a core")
    return ", ".join(found)
