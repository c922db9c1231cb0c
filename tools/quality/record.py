"""The record of tools/search_quality.py: one JSON file, added to piece by piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provenance import origin

from zebfast.arena.records import Format, Record, RecordError

PIECES = ("targets", "deeper", "equal", "arena", "selfplay")
FORMAT = Format("record of search quality")


class Pieces:
    """Everything measured so far, written to its file after every piece.

    The record's "results" map "method@network" to options and pieces.
    """

    def __init__(self, record: Record) -> None:
        self._record = record

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
        self._record.content["results"][f"{method}@{network}"] = entry
        self._record.save()

    def _entry(self, method: str, network: str) -> dict[str, Any]:
        found: dict[str, Any] = self._record.content["results"].get(f"{method}@{network}", {})
        return found


def open_pieces(
    path: Path,
    *,
    settings: Mapping[str, Any],
    networks: Mapping[str, Any],
    command: Sequence[str],
    resume: bool,
) -> Pieces:
    """A new record, or with `resume` the one in the file if there is one.

    Raises RecordError for a file that is there without `resume`, that is damaged, or that was
    measured with other settings or weights.
    """

    def check(old: Mapping[str, Any]) -> None:
        if old["settings"] != settings:
            raise RecordError(f"{path} was measured with other settings: {old['settings']}")
        kept = {**networks, **old["networks"]}
        if any(kept[name] != network for name, network in networks.items()):
            raise RecordError(f"{path} was measured with other weights of the same name")

    content = {
        **origin("python tools/search_quality.py", command),
        "settings": dict(settings),
        "networks": dict(networks),
        "results": {},
    }
    record = FORMAT.open(path, content, resume=resume, check=check)
    record.content["networks"] = {**networks, **record.content["networks"]}
    return Pieces(record)


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
