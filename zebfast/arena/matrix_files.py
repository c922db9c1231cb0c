"""A matrix as files: a record that can be continued, CSV for other programs, and a picture.

The record is what `Matrix.as_dict` gives, with "points" in each pairing: those that A took. The
picture shows win rates by points and by contract, a coloured square for each pairing.
"""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from zebfast.arena.matrix import Matrix, MatrixConfig, Pair
from zebfast.arena.records import Format, Record, RecordError, pack_points, unpack_points
from zebfast.arena.stats import MatchResult
from zebfast.system.files import write_atomic

DPI = 110
_LABEL_LETTERS = 28
FORMAT = Format("matrix file; expected one that --output wrote", "zebfast-matrix")


def save_matrix(matrix: Matrix, path: Path) -> None:
    """Write what was played so far, whole or not at all. Raises OSError."""
    held = {**FORMAT.heading(), **matrix.as_dict()}
    played = [pair for pair in matrix.config.pairs if pair in matrix.points]
    for entry, pair in zip(held["pairs"], played, strict=True):
        entry["seconds"] = matrix.seconds[pair]
        entry["points"] = pack_points(matrix.points[pair])
    Record(path, held).save()


def load_matrix(path: Path, config: MatrixConfig) -> Matrix:
    """The matrix of `config` as far as `path` holds it.

    Raises RecordError if the file is damaged or its players, weights, deals, seed or bids are
    other ones, and OSError as the file system does.
    """
    held = FORMAT.read(path)
    for name, wanted in config.as_dict().items():
        if held.get(name) != wanted:
            raise RecordError(
                f"{path} holds another matrix ({name}: {held.get(name)!r}, not {wanted!r}); "
                "give the same arguments as then, or name another file"
            )
    matrix = Matrix(config)
    try:
        for entry in held["pairs"]:
            pair = _pair(config, entry)
            matrix.points[pair] = unpack_points(entry["points"], n_deals=config.n_deals)
            matrix.seconds[pair] = float(entry["seconds"])
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"{path} is damaged ({error}); start again without it") from error
    return matrix


def _pair(config: MatrixConfig, entry: dict[str, Any]) -> Pair:
    a, b = (config.players.index(entry[name]) for name in ("player_a", "player_b"))
    if a >= b:
        raise ValueError(f"{entry['player_a']!r} does not come before {entry['player_b']!r}")
    return a, b


def save_csv(matrix: Matrix, path: Path) -> None:
    """A row for each ordered pair with every figure of MatchResult, and both Elo ratings.

    Whole or not at all. Raises OSError; ValueError unless the matrix is complete.
    """
    names = [entry.name for entry in fields(MatchResult)]
    elo = {rating.player: rating.elo for rating in matrix.ratings}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*names, "elo_a", "elo_b"])
    players = range(len(matrix.config.players))
    for result in (matrix.result(a, b) for a in players for b in players if a != b):
        figures = result.as_dict()
        own, other = elo[result.player_a], elo[result.player_b]
        table.writerow([*(figures[name] for name in names), own, other])
    write_atomic(path, text.getvalue().encode())


def picture_size(n_players: int) -> tuple[int, int]:
    """Width and height in pixels of the picture of so many players."""
    side = 0.8 * n_players  # inches of one panel, without what is written around it
    return round((2 * side + 5.0) * DPI), round((side + 1.6) * DPI)


def save_heatmap(matrix: Matrix, path: Path) -> None:
    """Draw a PNG of `picture_size` pixels, whole or not at all.

    Raises ModuleNotFoundError: matplotlib is not installed; OSError; ValueError unless complete.
    """
    # Used here only: the drawing library is an extra that players and learners do without.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = picture_size(len(matrix.config.players))
    figure = Figure(figsize=(width / DPI, height / DPI), layout="constrained")
    FigureCanvasAgg(figure)
    bids = "random bids" if matrix.config.bid is None else f"bid {matrix.config.bid}"
    games = f"{matrix.config.games_per_pairing:,} games a pairing"
    figure.suptitle(f"% won by the row player against the column player: {games}, {bids}")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, title, name in zip(
        panels,
        ("by points (ties not won)", "by contract"),
        ("win_rate", "contract_rate"),
        strict=True,
    ):
        image = _draw(axes, matrix, name)
        axes.set_title(title)
    figure.colorbar(image, ax=panels, shrink=0.8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    write_atomic(path, picture.getvalue())


def _draw(axes: Any, matrix: Matrix, name: str) -> Any:
    """One panel; colours run from 0 to 100 % on both, so that they compare."""
    n = len(matrix.config.players)
    labels = [
        f"{i + 1}  {shorten(rating.player, _LABEL_LETTERS)}\nElo {rating.elo:+.0f}"
        for i, rating in enumerate(matrix.ratings)
    ]
    rates = np.full((n, n), np.nan)
    for a, b in matrix.config.pairs:
        rates[a, b] = 100 * getattr(matrix.result(a, b), name)
        rates[b, a] = 100 * getattr(matrix.result(b, a), name)
    image = axes.imshow(rates, cmap="RdYlBu", vmin=0.0, vmax=100.0)
    for (a, b), rate in np.ndenumerate(rates):
        if a != b:
            dark = abs(rate - 50.0) > 35.0
            colour = "white" if dark else "black"
            axes.text(b, a, f"{rate:.1f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(n), range(1, n + 1))
    axes.set_yticks(range(n), labels)
    return image


def shorten(text: str, letters: int) -> str:
    """At most so many letters; the middle goes first, for specs differ at both ends."""
    if len(text) <= letters:
        return text
    tail = (letters - 1) * 2 // 3
    return f"{text[: letters - 1 - tail]}…{text[-tail:]}"
