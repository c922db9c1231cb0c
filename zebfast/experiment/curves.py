"""Learning curves of a run as a picture, from its metrics file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zebfast.learner.metrics import read_metrics

_PANELS = (
    ("eval/vs_random_win_rate", "share of games won against random", "games played by the worker"),
    ("train/policy_loss", "policy loss (cross-entropy)", "optimizer steps"),
    ("train/value_loss", "value loss (squared error)", "optimizer steps"),
    ("train/belief_acc", "hidden dominoes placed rightly", "optimizer steps"),
)
_X_AXIS = {
    "games played by the worker": "stats/total_games",
    "optimizer steps": "stats/optimizer_steps",
}


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
    for axes, (name, label, x_label) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        points = [(r[_X_AXIS[x_label]], r[name]) for r in rows if r.get(name) is not None]
        axes.set(title=label, xlabel=x_label)
        axes.grid(alpha=0.3)
        if not points:
            axes.text(0.5, 0.5, "no data", ha="center", transform=axes.transAxes)
            continue
        drawn += 1
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, marker="o" if len(points) < 40 else "", markersize=3)
        if name.startswith("eval/"):
            _draw_intervals(axes, rows)
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


def _draw_intervals(axes: Any, rows: list[dict[str, Any]]) -> None:
    x = _X_AXIS["games played by the worker"]
    names = ("eval/vs_random_low", "eval/vs_random_high")
    bands = [(r[x], *(r[n] for n in names)) for r in rows if r.get(names[0]) is not None]
    if bands:
        xs, low, high = zip(*bands, strict=True)
        axes.fill_between(xs, low, high, alpha=0.2)
    axes.axhline(0.5, color="grey", linewidth=0.8, linestyle="--")
