"""Flags of `zebfast worker` that only one of its modes looks at; those of the self-play search."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from zebfast.cli.run import Decorated
from zebfast.cli.worker_config import EVAL_AUX, EXACT, RECIPE, ROLLOUT, SELFPLAY
from zebfast.core.forest import (
    MAX_CACHE_MB,
    MAX_NODES,
    MAX_VISITS,
    MAX_WORLDS,
    MIN_NODES,
    N_TRICKS,
    ROOTS,
    WORLDS,
)
from zebfast.core.options import SearchOptions
from zebfast.selfplay.teaching import TeachingConfig

POSITIVE = click.IntRange(min=1)
AT_LEAST_0 = click.FloatRange(min=0)
ABOVE_0 = click.FloatRange(min=0, min_open=True)
_SHARE = click.FloatRange(0, 1)
_VISITS = click.IntRange(1, MAX_VISITS)


class ModeOption(click.Option):
    """An option that only some modes look at."""

    def __init__(self, *args: Any, modes: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.modes = modes


def _own(
    modes: tuple[str, ...],
    name: str,
    kind: Any,
    default: Any,
    text: str,
    env: str | None = None,
) -> Callable[[Decorated], Decorated]:
    """An option of some modes that shows its default, and the variable that it can come from."""
    return click.option(
        name,
        cls=ModeOption,
        modes=modes,
        type=kind,
        default=default,
        show_default=default is not None,
        help=text,
        envvar=env,
        show_envvar=env is not None,
    )


selfplay_option, eval_aux_option = partial(_own, (SELFPLAY,)), partial(_own, (EVAL_AUX,))
#: Of all that play games of the network against itself.
games_option = partial(_own, (SELFPLAY, EXACT, ROLLOUT, RECIPE))
_teaching_option = partial(_own, (EXACT, ROLLOUT))
_solved_option = partial(_own, (SELFPLAY, ROLLOUT))
_played_option = partial(_own, (SELFPLAY, EXACT, ROLLOUT))

_SEARCH = [
    selfplay_option(
        "--n-simulations", POSITIVE, 200, "Visits of the root that end the search of a play."
    ),
    selfplay_option(
        "--max-mcts-nodes",
        click.IntRange(MIN_NODES, MAX_NODES),
        512,
        "Positions a tree can hold, 64 bytes each.",
    ),
    _played_option(
        "--temperature",
        AT_LEAST_0,
        1.0,
        "Of plays drawn from visits, or with a teacher from the policy; 0 = best.",
    ),
    selfplay_option("--c-puct", ABOVE_0, 1.4, "Weight of priors in the search."),
    selfplay_option("--noise-fraction", _SHARE, 0.0, "Share of Dirichlet noise at the root."),
    selfplay_option("--noise-alpha", ABOVE_0, 0.5, "Parameter of that noise."),
    selfplay_option(
        "--worlds",
        click.Choice(WORLDS),
        "sampled",
        "What a tree searches: worlds drawn from "
        "what the seat to play knows, or the true deal, as published.",
    ),
    selfplay_option(
        "--n-worlds", click.IntRange(1, MAX_WORLDS), 16, "Worlds drawn for each searched play."
    ),
    _solved_option(
        "--exact-tricks",
        click.IntRange(0, N_TRICKS),
        None,
        "Positions with at most this many tricks left are valued by the solver, not by the "
        f"network; 0 = none.  [default: {SearchOptions().exact_tricks}; "
        f"rollout: {TeachingConfig().exact_tricks}]",
    ),
    selfplay_option(
        "--root",
        click.Choice(ROOTS),
        "puct",
        "How a root's simulations are shared out: by visits "
        "and priors, or by sequential halving, meant for 16 to 64 of them.",
    ),
    selfplay_option(
        "--gumbel-scale",
        AT_LEAST_0,
        1.0,
        "Of the noise that the gumbel root explores by; 0 = none.",
    ),
    selfplay_option(
        "--early-stop/--no-early-stop",
        bool,
        False,
        "End a search whose most visited play can no longer be overtaken (puct root).",
    ),
    selfplay_option(
        "--full-share",
        click.FloatRange(0, 1, min_open=True),
        1.0,
        "Share of plays searched in full and "
        "recorded; the others get --fast-simulations and no policy target.",
    ),
    selfplay_option(
        "--fast-simulations", _VISITS, 16, "Simulations of plays that are not recorded."
    ),
    selfplay_option(
        "--skip-decided/--no-skip-decided",
        bool,
        False,
        "Play out hands that one side has won at random, without search and policy targets.",
    ),
    selfplay_option(
        "--transpositions/--no-transpositions",
        bool,
        False,
        "Orders of play that lead to the same start of a trick share one node in a world.",
    ),
    selfplay_option(
        "--cache-mb",
        click.IntRange(0, MAX_CACHE_MB),
        0,
        "MiB of evaluations that each group remembers by what a seat knows; 0 = none.",
    ),
]


_TEACHING = [
    _teaching_option(
        "--label-share",
        click.FloatRange(0, 1, min_open=True),
        TeachingConfig().label_share,
        "Share of the decisions that the teacher labels.",
    ),
    _teaching_option(
        "--label-worlds",
        click.IntRange(0, MAX_WORLDS),
        TeachingConfig().n_worlds,
        "Worlds that a label is the mean over; 0 = the deal itself, which is one of them.",
    ),
    _teaching_option(
        "--explore", _SHARE, TeachingConfig().explore, "Share of random plays in a game."
    ),
]


def teaching_options(command: Decorated) -> Decorated:
    """The options of --mode exact and rollout, in the order of the help."""
    for option in reversed(_TEACHING):
        command = option(command)
    return command


def search_options(command: Decorated) -> Decorated:
    """The options of self-play's search, in the order of the help."""
    for option in reversed(_SEARCH):
        command = option(command)
    return command
