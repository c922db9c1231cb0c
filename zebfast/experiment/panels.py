"""What is drawn of a run: its panels, the metrics in each, and what they are drawn over.

A run after a recipe has panels of its own: its strength by the arena against minutes and games, and
the losses of what its teachers say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zebfast.learner.recipe import BEST, Recipe

CYCLE, GAMES, MINUTES = "step", "stats/total_games", "stats/minutes"
#: Metrics that count games, by the stream that they come from: how they grow is the speed of play.
GAMES_BY_SOURCE = {"self-play": GAMES, "eval-aux": "stats/eval_aux_games"}
X_LABELS = {CYCLE: "cycle", GAMES: "games", MINUTES: "minutes"}
_ARENA = re.compile(r"eval/vs_(.+)_(win|contract)_rate")
_ENDS = re.compile(r"eval/vs_.+_(low|high)")


@dataclass(frozen=True)
class Panel:
    """One set of axes: its title, the metrics by legend, what it is drawn over.

    ``series`` None: the results of the arena, against whomever it was played.
    """

    title: str
    series: Mapping[str, str] | None
    x: str = CYCLE
    level: float | None = None


def _by_source(loss: str) -> dict[str, str]:
    return {
        "batches": f"train/{loss}_loss",
        "self-play": f"train/selfplay_{loss}_loss",
        "eval-aux": f"train/eval_aux_{loss}_loss",
    }


_STRENGTH = "share of games won, 95 % intervals"
_PANELS = (
    Panel(
        _STRENGTH,
        {
            "against random": "eval/vs_random_win_rate",
            "against the heuristic": "eval/vs_heuristic_win_rate",
        },
        x=GAMES,
        level=0.5,
    ),
    Panel("policy loss (cross-entropy)", _by_source("policy")),
    Panel("value loss (squared error)", _by_source("value")),
    Panel("belief loss (cross-entropy)", _by_source("belief")),
    Panel(
        "predicted rightly",
        {
            "hidden dominoes": "train/belief_acc",
            "most visited move": "train/policy_top1_accuracy",
        },
    ),
    Panel(
        "mix of the batches",
        {"self-play": "stats/selfplay_mix_ratio", "eval-aux": "stats/eval_aux_mix_ratio"},
    ),
    Panel(
        "examples in the replay buffers",
        {"self-play": "stats/replay_buffer_selfplay", "eval-aux": "stats/replay_buffer_eval_aux"},
    ),
    Panel("games counted", GAMES_BY_SOURCE),
    Panel(
        "draws of the average example",
        {"self-play": "stats/replay_reuse", "eval-aux": "stats/eval_aux_replay_reuse"},
    ),
)
_RECIPE_PANELS = (
    Panel(_STRENGTH, None, x=MINUTES, level=0.5),
    Panel(_STRENGTH, None, x=GAMES, level=0.5),
    Panel("games counted", {"games": GAMES}, x=MINUTES),
    Panel("play loss (squared error)", {"batches": "train/play_loss"}),
    Panel("points loss (cross-entropy)", {"batches": "train/points_loss"}),
    Panel("belief loss (cross-entropy)", {"batches": "train/belief_loss"}),
    Panel(
        "predicted rightly",
        {"hidden dominoes": "train/belief_acc", "best play": "train/policy_top1_accuracy"},
    ),
    Panel("learning rate", {"batches": "train/lr"}),
    Panel("draws of the average example", {"in the buffer": "stats/replay_reuse"}),
)


def panels_of(recipe: Recipe | None) -> Sequence[Panel]:
    """What is drawn of a run that follows this recipe, or none."""
    return _PANELS if recipe is None else _RECIPE_PANELS


def more_panels(recipe: Recipe | None) -> Sequence[Panel]:
    """What can be drawn of such a run besides, as of the losses and buffers of any other."""
    own = {name for panel in panels_of(recipe) for name in (panel.series or {}).values()}
    return [
        panel for panel in _PANELS
        if panel.series is not None and not own & set(panel.series.values())
        and not any(map(is_of_arena, panel.series.values()))
    ]  # fmt: skip


def series_of(panel: Panel, names: Iterable[str]) -> dict[str, str]:
    """Metrics of a panel by legend; of the arena those among ``names``, in their order."""
    if panel.series is not None:
        return dict(panel.series)
    found = (_ARENA.fullmatch(name) for name in names)
    return {_legend(*match.groups()): match[0] for match in found if match}


def is_of_arena(name: str) -> bool:
    """Is this a metric of the arena that is drawn, or an end of its interval?"""
    return _ARENA.fullmatch(name) is not None or _ENDS.fullmatch(name) is not None


def interval_of(name: str) -> tuple[str, str]:
    """Metrics of the ends of the interval around one; few metrics have them."""
    stem = name.removesuffix("win_rate").removesuffix("rate")
    return f"{stem}low", f"{stem}high"


def _legend(opponent: str, counted: str) -> str:
    """What a curve of the arena is called."""
    against = "the best so far" if opponent == BEST else opponent
    return f"against {against}" + (", by contract" if counted == "contract" else "")


def carried(rows: Iterable[Mapping[str, Any]], last: dict[str, float]) -> Iterator[dict[str, Any]]:
    """Every row with games and minutes: those without take them from the row before.

    ``last`` is what they were before the first row, and becomes what they are after the last.
    """
    for row in rows:
        last |= {name: row[name] for name in last if row.get(name) is not None}
        yield {**row, **last}


def no_rows_yet() -> dict[str, float]:
    """Games and minutes before the first row."""
    return {GAMES: 0, MINUTES: 0.0}
