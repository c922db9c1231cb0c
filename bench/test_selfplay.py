"""Self-play as a whole: games a second with the published network, and what groups bring."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench import work
from bench.conftest import figure
from bench.gate import interleaved_ratio
from zebfast.cli import stages
from zebfast.cli.machine import usable_cores
from zebfast.cli.stages import Done, Stage, Work
from zebfast.core.options import SearchOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.games import SelfPlay

PUBLISHED = Path(__file__).resolve().parents[2] / "shared" / "peer" / "zeb-557k-1m.pt"
N_GAMES = 64


def whole_games(
    evaluator: Any,
    *,
    n_groups: int,
    n_games: int = N_GAMES,
    worlds: str = "true",
    exact_tricks: int = 0,
) -> Work:
    """Games side by side from first deal to last play, 200 simulations a play."""
    config = SelfPlayConfig(
        n_parallel_games=n_games,
        n_groups=n_groups,
        search=SearchOptions(n_simulations=stages.N_SIMULATIONS, exact_tricks=exact_tricks),
        worlds=worlds,
    )

    def play() -> Done:
        selfplay = SelfPlay(evaluator, config=config, seed=stages.SEED)
        games, stats = selfplay.play(n_games, lookahead=False)
        busy = stats.tree_seconds + stats.evaluator_seconds
        return Done(
            len(games),
            {
                "evaluations_per_game": stats.evaluations / len(games),
                "simulations_per_game": stats.simulations / len(games),
                "reused_visits_per_game": stats.reused / len(games),
                "terminal_simulations_per_game": stats.terminals / len(games),
                "solved_simulations_per_game": stats.solved / len(games),
                "network_share": stats.evaluator_seconds / busy,
            },
        )

    return play


def published(n_games: int = N_GAMES, **search: Any) -> Work:
    """Games of the published medium network; a group a core, or two on a GPU."""
    import torch

    from zebfast.net import checkpoint
    from zebfast.net.evaluator import Evaluator

    found = checkpoint.load(PUBLISHED)
    on_gpu = torch.cuda.is_available()
    evaluator = Evaluator(found.config, found.weights, device="cuda" if on_gpu else "cpu")
    n_groups = 2 if on_gpu else max(2, usable_cores())
    return whole_games(evaluator, n_groups=n_groups, n_games=n_games, **search)


SEARCHES: dict[str, tuple[int, dict[str, Any]]] = {  # games, options
    "true deals": (64, {"worlds": "true"}),
    "sampled worlds, 4 tricks solved": (64, {"worlds": "sampled", "exact_tricks": 4}),
    "sampled worlds, all solved": (512, {"worlds": "sampled", "exact_tricks": 7}),
}


@pytest.mark.benchmark(group="self-play")
@pytest.mark.parametrize("search", list(SEARCHES))
@pytest.mark.skipif(not PUBLISHED.is_file(), reason=f"{PUBLISHED.name} is not on this machine")
def test_published_selfplay_games(run_stage: Callable[..., None], search: str) -> None:
    n_games, options = SEARCHES[search]
    what = f"self-play, published medium network, 200 simulations, {search}, all cores"
    key = f"selfplay_published_{options['worlds']}_{options.get('exact_tricks', 0)}"
    prepare = partial(published, n_games, **options)
    run_stage(Stage(key, "games/s", what, prepare), rounds=1, warmup_rounds=0)


@pytest.mark.benchmark(group="self-play")
def test_two_groups_against_one(benchmark: Any) -> None:
    """Trees alone, so that only the engine's own threads count; no gate: cores may be shared.

    Many games, because every step of a group costs a hand-over between threads.
    """
    n_games = 16 if benchmark.disabled else 512
    one, two = (whole_games(work.Constant(), n_groups=n, n_games=n_games) for n in (1, 2))
    one(), two()
    gain = 1 / interleaved_ratio(two, one, blocks=1 if benchmark.disabled else 3)
    done = benchmark.pedantic(two, rounds=1, iterations=1)
    figure(
        benchmark,
        key="ratio_two_groups",
        what=f"self-play, constant evaluator, {n_games} games, two groups against one",
        unit="times",
        value=gain,
        detail={**done.detail, "cores": usable_cores()},
    )


@pytest.mark.benchmark(group="self-play")
def test_bytes_per_node(benchmark: Any) -> None:
    """All memory of a forest, games included, over the nodes that it has room for."""
    n_nodes = N_GAMES * 512
    total = benchmark.pedantic(work.forest_bytes, args=(N_GAMES, 512), rounds=1, iterations=1)
    slope = (work.forest_bytes(N_GAMES, 1024) - total) / n_nodes
    figure(
        benchmark,
        key="bytes_per_node",
        what=f"forest of {N_GAMES} trees of 512 nodes, all memory per node",
        unit="bytes",
        value=total / n_nodes,
        detail={"each_further_node": slope},
    )
