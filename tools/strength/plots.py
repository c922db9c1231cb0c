"""Pictures of the records of tools/strength.py, each with the digest of the record it shows.

The digest stands in the PNG as text, so that a check finds a picture of an older record without
drawing again: the same figures give other bytes with another version of the drawing library.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from strength.measure import as_matrix
from strength.pairs import Pairings
from strength.record import read_record
from zebfast.arena.matrix_files import DPI, save_heatmap
from zebfast.system.files import write_atomic

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEY = b"record-sha256\x00"
_HEADER = len(_SIGNATURE) + 25  # the first chunk, which has one size


def picture_of(record: Path) -> Path:
    """Where the picture of a record is."""
    return record.with_suffix(".png")


def draw(record: Path) -> None:
    """Draw the picture of a record, where its kind has one. ModuleNotFoundError: matplotlib."""
    content = read_record(record)
    path = picture_of(record)
    if content["kind"] == "matrix":
        pairings = Pairings(
            [], n_deals=content["n_deals"], seed=content["settings"]["seed"],
            entries=content["pairs"],
        )  # fmt: skip
        save_heatmap(as_matrix(content, pairings), path)
        picture = path.read_bytes()
    elif content["kind"] in _PLOTS:
        picture = _drawn(_PLOTS[content["kind"]], content)
    else:
        return
    write_atomic(path, marked(picture, record))


def is_current(record: Path) -> bool:
    """Whether the picture beside a record is of it."""
    path = picture_of(record)
    return path.exists() and mark_of(path.read_bytes()) == digest(record)


def has_picture(content: Mapping[str, Any]) -> bool:
    """Whether records of this kind have a picture."""
    return content["kind"] == "matrix" or content["kind"] in _PLOTS


def digest(record: Path) -> bytes:
    """What pictures of a record carry."""
    return hashlib.sha256(record.read_bytes()).hexdigest().encode()


def marked(picture: bytes, record: Path) -> bytes:
    """A PNG with the digest of its record in a text chunk behind its header."""
    body = b"tEXt" + _KEY + digest(record)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return picture[:_HEADER] + chunk + picture[_HEADER:]


def mark_of(picture: bytes) -> bytes | None:
    """The digest that a PNG carries, or None."""
    if not picture.startswith(_SIGNATURE) or picture[_HEADER + 4 : _HEADER + 8] != b"tEXt":
        return None
    (size,) = struct.unpack(">I", picture[_HEADER : _HEADER + 4])
    text = picture[_HEADER + 8 : _HEADER + 8 + size]
    return text[len(_KEY) :] if text.startswith(_KEY) else None


def _drawn(plot: Callable[[Any, Mapping[str, Any]], None], content: Mapping[str, Any]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    plot(figure, content)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    return picture.getvalue()


def _times(figure: Any, content: Mapping[str, Any]) -> None:
    """Share of decided games against milliseconds a decision, a line for each opponent."""
    axes = figure.subplots()
    opponents = dict.fromkeys(pair["player_b"] for pair in content["pairs"])
    for opponent in opponents:
        rows = sorted(
            (content["alone"][pair["player_a"]]["mean_ms"], pair)
            for pair in content["pairs"]
            if pair["player_b"] == opponent
        )
        ms = [row[0] for row in rows]
        share = [100 * row[1]["decided_share"] for row in rows]
        low = [100 * (row[1]["decided_share"] - row[1]["decided_low"]) for row in rows]
        axes.errorbar(ms, share, yerr=low, marker="o", capsize=3, label=f"against {opponent}")
        for at, value, row in zip(ms, share, rows, strict=True):
            axes.annotate(row[1]["player_a"], (at, value), xytext=(4, 4), fontsize=7,
                          textcoords="offset points")  # fmt: skip
    axes.axhline(50, color="grey", lw=0.8)
    axes.set(xscale="log", xlabel="ms a decision, one game at a time, one core",
             ylabel="won of the decided games, %")  # fmt: skip
    for formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        formatter("{x:g}")
    axes.legend()


def _curve(figure: Any, content: Mapping[str, Any]) -> None:
    """What was won against minutes and against games: colours are opponents, strokes runs."""
    panels = figure.subplots(1, 2, sharey=True)
    trainings = content["trainings"]
    opponents = sorted(
        {o for run in trainings.values() for p in run["points"] for o in p["against"]}
    )
    for axes, x, label in zip(
        panels, ("minutes", "games"), ("minutes from nothing", "games"), strict=True
    ):
        for stroke, (name, run) in enumerate(trainings.items()):
            for colour, opponent in enumerate(opponents):
                seen = [p for p in run["points"] if opponent in p["against"]]
                axes.plot(
                    [p[x] for p in seen],
                    [100 * p["against"][opponent]["win_rate"] for p in seen],
                    linestyle=("-", "--", ":", "-.")[stroke % 4],
                    color=f"C{colour}",
                    label=f"{name}, against {opponent}",
                )
        axes.set(xlabel=label)
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="won by points, %")
    panels[0].legend(fontsize=7)


def _calibration(figure: Any, content: Mapping[str, Any]) -> None:
    """Reliability: what was said across, what happened up, a panel for each forecast."""
    results = content["results"]
    names = list(dict.fromkeys(what for result in results.values() for what in result["forecasts"]))
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    titles = {"won": "the game is won by points", "contract": "the contract goes the own way"}
    for axes, what in zip(panels, names, strict=True):
        axes.plot([0, 100], [0, 100], color="grey", lw=0.8)
        for key, result in results.items():
            if what in result["forecasts"]:
                bins = result["forecasts"][what]["bins"]
                axes.errorbar(
                    [100 * one["said"] for one in bins],
                    [100 * one["happened"] for one in bins],
                    yerr=[196 * one["se"] for one in bins],
                    marker="o", ms=3, lw=1, capsize=2, label=key,
                )  # fmt: skip
        axes.set(title=titles[what], xlabel="said, %", ylabel="happened, %", aspect="equal")
        axes.legend(fontsize=7)


def _belief(figure: Any, content: Mapping[str, Any]) -> None:
    """Accuracy on dominoes not known, by trick, a panel for each network."""
    results = content["results"]
    panels = figure.subplots(1, len(results), squeeze=False, sharey=True)[0]
    for axes, (name, result) in zip(panels, results.items(), strict=True):
        for answer, figures in result["answers"].items():
            rows = figures["tricks"]
            axes.plot(
                [row["trick"] for row in rows],
                [100 * row["accuracy"] for row in rows],
                marker="o", ms=3, label=answer,
            )  # fmt: skip
        axes.set(title=name, xlabel="trick", ylabel="hidden dominoes placed right, %")
        axes.legend(fontsize=7)


_PLOTS: Mapping[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "time": _times,
    "curve": _curve,
    "calibration": _calibration,
    "belief": _belief,
}
