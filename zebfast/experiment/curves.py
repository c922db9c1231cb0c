"""Learning curves of a run as a picture, from its metrics file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zebfast.learner.metrics import read_metrics

_CYCLE, _GAMES = "step", "stats/total_games"
_X_LABELS = {_CYCLE: "cycle", _GAMES: "self-play games"}
_COLUMNS = 3
# Shorter curves show their points.
_FEW_POINTS = 40


@dataclass(frozen=True)
class _Panel:
    """One set of axes: its title, the metrics by legend, what it is drawn over."""

    title: str
    series: dict[str, str]
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


def plot_curves(metrics_path: Path, png_path: Path, *, title: str) -> int:
    """Draw the curves of a metrics file into a PNG.

    Returns:
        Number of panels with data; panels without are left empty and say so.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        OSError: the picture cannot be written.
    """
    # Used here only: the drawing library is an extra that workers and learners do without.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = _with_games(read_metrics(metrics_path))
    figure = Figure(figsize=(14, 11), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    grid = figure.subplots(len(_PANELS) // _COLUMNS, _COLUMNS).flat
    drawn = sum(_draw_panel(axes, rows, panel) for axes, panel in zip(grid, _PANELS, strict=True))
    figure.savefig(png_path, dpi=110)
    return drawn


def _with_games(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every row with the games counted: evaluation rows take them from the cycle before."""
    games, out = 0, []
    for row in rows:
        known = row.get(_GAMES)
        games = games if known is None else known
        out.append({**row, _GAMES: games})
    return out


def _draw_panel(axes: Any, rows: list[dict[str, Any]], panel: _Panel) -> bool:
    """False if there was nothing to draw."""
    axes.set(title=panel.title, xlabel=_X_LABELS[panel.x])
    axes.grid(alpha=0.3)
    drawn = [_draw(axes, rows, panel.x, y, legend) for legend, y in panel.series.items()]
    if not any(drawn):
        axes.text(0.5, 0.5, "no data", ha="center", transform=axes.transAxes)
        return False
    if panel.level is not None:
        axes.axhline(panel.level, color="grey", linewidth=0.8, linestyle="--")
    axes.legend()
    return True


def _draw(axes: Any, rows: list[dict[str, Any]], x: str, y: str, legend: str) -> bool:
    """One line with its interval where the rows have one; False if there are no points."""
    points = [(row[x], row[y]) for row in rows if row.get(y) is not None]
    if not points:
        return False
    xs, ys = zip(*points, strict=True)
    marker = "o" if len(points) < _FEW_POINTS else ""
    axes.plot(xs, ys, marker=marker, markersize=3, linewidth=1, label=legend)
    ends = [y.replace("win_rate", end) for end in ("low", "high")]
    bands = [(row[x], *(row[end] for end in ends)) for row in rows if row.get(ends[0]) is not None]
    if bands and ends[0] != y:
        axes.fill_between(*zip(*bands, strict=True), alpha=0.2)
    return True
