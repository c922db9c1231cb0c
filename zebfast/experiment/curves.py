"""Learning curves of a run as a picture, from its metrics file.

Of a run after a recipe the beginning of each stage is marked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zebfast.experiment.panels import (
    GAMES,
    X_LABELS,
    Panel,
    carried,
    interval_of,
    no_rows_yet,
    panels_of,
    series_of,
)
from zebfast.learner.metrics import read_metrics
from zebfast.learner.recipe import Recipe

_COLUMNS = 3
# Shorter curves show their points.
_FEW_POINTS = 40


def plot_curves(
    metrics_path: Path, png_path: Path, *, title: str, recipe: Recipe | None = None
) -> int:
    """Draw the curves of a metrics file into a PNG.

    Args:
        recipe: that the run followed, if it followed one.

    Returns:
        Number of panels with data; panels without are left empty and say so.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        OSError: the picture cannot be written.
    """
    # Used here only: the drawing library is an extra that workers and learners do without.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = list(carried(read_metrics(metrics_path), no_rows_yet()))
    panels = panels_of(recipe)
    figure = Figure(figsize=(14, 11), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    grid = figure.subplots(len(panels) // _COLUMNS, _COLUMNS).flat
    drawn = 0
    for axes, panel in zip(grid, panels, strict=True):
        drawn += _draw_panel(axes, rows, panel)
        if recipe is not None:
            _mark_stages(axes, rows, panel.x, recipe)
    figure.savefig(png_path, dpi=110)
    return drawn


def _mark_stages(axes: Any, rows: list[dict[str, Any]], x: str, recipe: Recipe) -> None:
    """A line with its name where each stage began; none where it has not begun."""
    across = axes.get_xaxis_transform()  # heights as parts of the axes
    for index, stage in enumerate(recipe.stages):
        first = recipe.first_games(index)
        begun = next((row[x] for row in rows if row[GAMES] >= first), None)
        if begun is None:
            return
        axes.axvline(begun, color="grey", linewidth=0.8, linestyle=":")
        axes.text(begun, 0.01, f" {stage.name}", transform=across, color="grey", fontsize=7,
                  rotation=90, va="bottom")  # fmt: skip


def _draw_panel(axes: Any, rows: list[dict[str, Any]], panel: Panel) -> bool:
    """Its lines, with intervals where the rows have some; False if there was nothing to draw."""
    axes.set(title=panel.title, xlabel=X_LABELS[panel.x])
    axes.grid(alpha=0.3)
    series = series_of(panel, (name for row in rows for name in row))
    drawn = False
    for legend, y in series.items():
        points = [(row[panel.x], row[y]) for row in rows if row.get(y) is not None]
        if not points:
            continue
        drawn = True
        xs, ys = zip(*points, strict=True)
        marker = "o" if len(points) < _FEW_POINTS else ""
        axes.plot(xs, ys, marker=marker, markersize=3, linewidth=1, label=legend)
        low, high = interval_of(y)
        bands = [(row[panel.x], row[low], row[high]) for row in rows if row.get(low) is not None]
        if bands:
            axes.fill_between(*zip(*bands, strict=True), alpha=0.2)
    if not drawn:
        axes.text(0.5, 0.5, "no data", ha="center", transform=axes.transAxes)
        return False
    if panel.level is not None:
        axes.axhline(panel.level, color="grey", linewidth=0.8, linestyle="--")
    axes.legend()
    return True
