"""Stages of self-play, for `zebfast bench` and bench/: games a second, and where the time goes.

Games are in full swing when the clock starts (see selfplay.trial): a figure is that of a worker
that has been running for a while, not of a batch with its beginning and end.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from zebfast.cli.stages import N_SIMULATIONS, SEED, SIZE, Done, Stage, Work, network
from zebfast.core.options import SearchOptions
from zebfast.rules import N_PLIES
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.stats import SelfPlayStats
from zebfast.selfplay.trial import Trial
from zebfast.system.machine import usable_cores

WINDOW = 0.75  # seconds of one piece of work

#: Parts of the time that a group's thread spends, in the order of the report.
PARTS = ("network", "trees", "python", "waiting")


def selfplay_games(
    n_games: int = 128, *, tokenizer: str = "v1", worlds: str = "sampled", exact_tricks: int = 7
) -> Work:
    """Self-play with so many games at once, a group a core (two for a GPU)."""
    import torch

    evaluator = network(tokenizer=tokenizer)
    on_gpu = torch.cuda.is_available()
    n_groups = 2 if on_gpu else max(usable_cores(), 2)
    search = SearchOptions(n_simulations=N_SIMULATIONS, exact_tricks=exact_tricks)
    config = SelfPlayConfig(
        n_parallel_games=max(n_games, n_groups), n_groups=n_groups, worlds=worlds, search=search
    )
    trial = Trial(evaluator, config=config, seed=SEED)
    seen = SelfPlayStats()

    def work() -> Done:
        nonlocal seen
        stats = trial.run(WINDOW)
        seen += stats
        return Done(stats.plays / N_PLIES, _detail(seen, on_gpu))

    return work


def _detail(stats: SelfPlayStats, on_gpu: bool) -> dict[str, float]:
    """Counts a game, and the shares of PARTS in the time of the groups' threads.

    A thread off the core is waiting: for the other groups, for what else runs on the machine. On a
    GPU all of the evaluator's time is the network's.
    """
    trees, network = stats.tree_cpu_seconds, stats.evaluator_cpu_seconds
    spent = {"trees": trees, "python": max(stats.thread_cpu_seconds - trees - network, 0.0)}
    spent["network"] = stats.evaluator_seconds if on_gpu else network
    spent["waiting"] = max(stats.thread_seconds - sum(spent.values()), 0.0)
    total = sum(spent.values())
    games = max(stats.plays, 1) / N_PLIES
    return {
        "simulations_per_game": stats.simulations / games,
        "evaluations_per_game": stats.evaluations / games,
        "solved_per_game": stats.solved / games,
        "tree_nanoseconds_per_simulation": 1e9 * trees / max(stats.simulations, 1),
        **{f"{part}_share": spent[part] / total for part in PARTS},
    }


def _stage(key: str, what: str, **options: Any) -> Stage:
    return Stage(
        key, "games/s", f"self-play, {what}, all cores", partial(selfplay_games, **options)
    )


STAGES = (
    _stage(
        "selfplay_published_way",
        f"{SIZE} network, true deals",
        worlds="true",
        exact_tricks=0,
    ),
    _stage("selfplay_games", f"{SIZE} network"),
    _stage(
        "selfplay_v2_published_way",
        f"{SIZE} v2 network, true deals",
        tokenizer="v2",
        worlds="true",
        exact_tricks=0,
    ),
    _stage("selfplay_v2", f"{SIZE} v2 network", tokenizer="v2"),
)
