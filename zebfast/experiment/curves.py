"""Learning curves of a run as a picture, from its metrics file.

A run after a recipe has panels of its own: its strength by the arena against minutes and games, and
the losses of what its teachers say, with the beginning of each stage marked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zebfast.learner.metrics import read_metrics
from zebfast.learner.recipe import BEST, Recipe

_CYCLE, _GAMES, _MINUTES = "step", "stats/total_games", "stats/minutes"
_X_LABELS = {_CYCLE: "cycle", _GAMES: "games", _MINUTES: "minutes"}
_ARENA = re.compile(r"eval/vs_(.+)_(win|contract)_rate")
_COLUMNS = 3
# Shorter curves show their points.
_FEW_POINTS = 40


@dataclass(frozen=True)
class _Panel:
    """One set of axes: its title, the metrics by legend, what it is drawn over.

    ``series`` None: the results of the arena, against whomever it was played.
    """

    title: str
    series: Mapping[str, str] | None
    x: str = _CYCLE
    level: float | None = None


def _by_source(loss: str) -> dict[str, str]:
    return {
        "batches": f"train/{loss}_loss",
        "self-play": f"train/selfplay_{loss}_loss",
        "eval-aux": f"train/eval_aux_{loss}_loss",
    }


_PANELS = (
    _Panel(
        "share of games won, 95 % intervals",
        {
            "against random": "eval/vs_random_win_rate",
            "against the heuristic": "eval/vs_heuristic_win_rate",
        },
        x=_GAMES,
        level=0.5,
    ),
    _Panel("policy loss (cross-entropy)", _by_source("policy")),
    _Panel("value loss (squared error)", _by_source("value")),
    _Panel("belief loss (cross-entropy)", _by_source("belief")),
    _Panel(
        "predicted rightly",
        {
            "hidden dominoes": "train/belief_acc",
            "most visited move": "train/policy_top1_accuracy",
        },
    ),
    _Panel(
        "mix of the batches",
        {"self-play": "stats/selfplay_mix_ratio", "eval-aux": "stats/eval_aux_mix_ratio"},
    ),
    _Panel(
        "examples in the replay buffers",
        {"self-play": "stats/replay_buffer_selfplay", "eval-aux": "stats/replay_buffer_eval_aux"},
    ),
    _Panel("games counted", {"self-play": _GAMES, "eval-aux": "stats/eval_aux_games"}),
    _Panel(
        "draws of the average example",
        {"self-play": "stats/replay_reuse", "eval-aux": "stats/eval_aux_replay_reuse"},
    ),
)


_STRENGTH = "share of games won, 95 % intervals"
_RECIPE_PANELS = (
    _Panel(_STRENGTH, None, x=_MINUTES, level=0.5),
    _Panel(_STRENGTH, None, x=_GAMES, level=0.5),
    _Panel("games counted", {"games": _GAMES}, x=_MINUTES),
    _Panel("play loss (squared error)", {"batches": "train/play_loss"}),
    _Panel("points loss (cross-entropy)", {"batches": "train/points_loss"}),
    _Panel("belief loss (cross-entropy)", {"batches": "train/belief_loss"}),
    _Panel(
        "predicted rightly",
        {"hidden dominoes": "train/belief_acc", "best play": "train/policy_top1_accuracy"},
    ),
    _Panel("learning rate", {"batches": "train/lr"}),
    _Panel("draws of the average example", {"in the buffer": "stats/replay_reuse"}),
)


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

    rows = _carried(read_metrics(metrics_path))
    panels = _PANELS if recipe is None else _RECIPE_PANELS
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


def _legend(opponent: str, counted: str) -> str:
    """What a curve of the arena is called."""
    against = "the best so far" if opponent == BEST else opponent
    return f"against {against}" + (", by contract" if counted == "contract" else "")


def _carried(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every row with games and minutes: those without take them from the row before."""
    last, out = {_GAMES: 0, _MINUTES: 0.0}, []
    for row in rows:
        last |= {name: row[name] for name in last if row.get(name) is not None}
        out.append(row | last)
    return out


def _mark_stages(axes: Any, rows: list[dict[str, Any]], x: str, recipe: Recipe) -> None:
    """A line with its name where each stage began; none where it has not begun."""
    across = axes.get_xaxis_transform()  # heights as parts of the axes
    for index, stage in enumerate(recipe.stages):
        first = recipe.first_games(index)
        begun = next((row[x] for row in rows if row[_GAMES] >= first), None)
        if begun is None:
            return
        axes.axvline(begun, color="grey", linewidth=0.8, linestyle=":")
        axes.text(begun, 0.01, f" {stage.name}", transform=across, color="grey", fontsize=7,
                  rotation=90, va="bottom")  # fmt: skip


def _draw_panel(axes: Any, rows: list[dict[str, Any]], panel: _Panel) -> bool:
    """Its lines, with intervals where the rows have some; False if there was nothing to draw."""
    axes.set(title=panel.title, xlabel=_X_LABELS[panel.x])
    axes.grid(alpha=0.3)
    series = panel.series
    if series is None:  # metrics of the arena, in the order in which they came
        found = (_ARENA.fullmatch(name) for row in rows for name in row)
        series = {_legend(*match.groups()): match[0] for match in found if match}
    drawn = False
    for legend, y in series.items():
        points = [(row[panel.x], row[y]) for row in rows if row.get(y) is not None]
        if not points:
            continue
        drawn = True
        xs, ys = zip(*points, strict=True)
        marker = "o" if len(points) < _FEW_POINTS else ""
        axes.plot(xs, ys, marker=marker, markersize=3, linewidth=1, label=legend)
        stem = y.removesuffix("win_rate").removesuffix("rate")
        low, high = (f"{stem}{end}" for end in ("low", "high"))
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
