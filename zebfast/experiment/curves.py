"""Learning curves of a run as a picture, from its metrics file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zebfast.learner.metrics import read_metrics

_GAMES, _STEPS = "games played by the worker", "optimizer steps"

#: Title, x axis, and the series by legend.
_PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "share of games won, 95 % intervals",
        _GAMES,
        {
            "against random": "eval/vs_random_win_rate",
            "against the heuristic": "eval/vs_heuristic_win_rate",
        },
    ),
    ("policy loss (cross-entropy)", _STEPS, {"training": "train/policy_loss"}),
    ("value loss (squared error)", _STEPS, {"training": "train/value_loss"}),
    ("hidden dominoes placed rightly", _STEPS, {"training": "train/belief_acc"}),
)
_X_AXIS = {_GAMES: "stats/total_games", _STEPS: "stats/optimizer_steps"}


def plot_curves(metrics_path: Path, png_path: Path, *, title: str) -> int:
    """Draw the curves of a metrics file into a PNG.

    Returns:
        Number of panels with data; panels without are left empty and say so.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    # Used here only: the drawing library is an extra that workers and learners do without.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = _with_axes(read_metrics(metrics_path))
    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    drawn = 0
    for axes, (heading, x_label, series) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        axes.set(title=heading, xlabel=x_label)
        axes.grid(alpha=0.3)
        lines = [_draw(axes, rows, _X_AXIS[x_label], y, legend) for legend, y in series.items()]
        if not any(lines):
            axes.text(0.5, 0.5, "no data", ha="center", transform=axes.transAxes)
            continue
        drawn += 1
        if len(series) > 1:
            axes.axhline(0.5, color="grey", linewidth=0.8, linestyle="--")
            axes.legend()
    figure.savefig(png_path, dpi=110)
    return drawn


def _with_axes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every row with both x values: evaluation rows take them from the cycle before."""
    known: dict[str, Any] = dict.fromkeys(_X_AXIS.values(), 0)
    out = []
    for row in rows:
        known |= {axis: row[axis] for axis in known if row.get(axis) is not None}
        out.append({**row, **known})
    return out


def _draw(axes: Any, rows: list[dict[str, Any]], x: str, y: str, legend: str) -> bool:
    """One line with its interval where the rows have one; False if there are no points."""
    points = [(row[x], row[y]) for row in rows if row.get(y) is not None]
    if not points:
        return False
    xs, ys = zip(*points, strict=True)
    axes.plot(xs, ys, marker="o" if len(points) < 40 else "", markersize=3, label=legend)
    ends = [y.replace("win_rate", end) for end in ("low", "high")]
    bands = [(row[x], *(row[end] for end in ends)) for row in rows if row.get(ends[0]) is not None]
    if bands and ends[0] != y:
        axes.fill_between(*zip(*bands, strict=True), alpha=0.2)
    return True
