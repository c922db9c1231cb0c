"""Self-play as a whole: games a second with the published network, and what groups bring."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench import work
from bench.conftest import figure
from bench.gate import interleaved_ratio
from zebfast.cli import stages
from zebfast.cli.stages import Done, Stage, Work
from zebfast.core.options import SearchOptions
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig
from zebfast.system.machine import usable_cores

PUBLISHED = Path(__file__).resolve().parents[2] / "shared" / "peer" / "zeb-557k-1m.pt"
N_GAMES = 64


def whole_games(
    evaluator: Any,
    *,
    n_groups: int,
    n_games: int = N_GAMES,
    worlds: str = "true",
    exact_tricks: int = 0,
    n_simulations: int = stages.N_SIMULATIONS,
    root: str = "puct",
) -> Work:
    """Games side by side from first deal to last play."""
    config = SelfPlayConfig(
        n_parallel_games=n_games,
        n_groups=n_groups,
        search=SearchOptions(n_simulations=n_simulations, exact_tricks=exact_tricks, root=root),
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


def games_of(config: Any, weights: Any, n_games: int = N_GAMES, **search: Any) -> Work:
    """Games of one network as a worker plays them: a group a core, or two on a GPU."""
    import torch

    from zebfast.net.evaluator import Evaluator

    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    evaluator = Evaluator(config, weights, device=device, dtype="auto")
    n_groups = 2 if on_gpu else max(2, usable_cores())
    return whole_games(evaluator, n_groups=n_groups, n_games=n_games, **search)


def published(**search: Any) -> Work:
    """Games of the published medium network."""
    from zebfast.net import checkpoint

    found = checkpoint.load(PUBLISHED)
    return games_of(found.config, found.weights, **search)


def compact(**search: Any) -> Work:
    """Games of an untrained v2 medium network; many, because it wants large batches."""
    search["n_games"] *= 4
    return games_of(*stages.fresh_network(tokenizer="v2"), **search)


#: Of `whole_games`: what self-play is measured with.
SEARCHES: dict[str, dict[str, Any]] = {
    "200 simulations, true deals": {"n_games": 64},
    "200 simulations, sampled worlds, 4 tricks solved": {
        "n_games": 64, "worlds": "sampled", "exact_tricks": 4,
    },
    "200 simulations, sampled worlds, all solved": {
        "n_games": 512, "worlds": "sampled", "exact_tricks": 7,
    },
    "32 simulations at a gumbel root, sampled worlds, 4 tricks solved": {
        "n_games": 256, "worlds": "sampled", "exact_tricks": 4, "n_simulations": 32,
        "root": "gumbel",
    },
    "32 simulations at a gumbel root, sampled worlds, all solved": {
        "n_games": 512, "worlds": "sampled", "exact_tricks": 7, "n_simulations": 32,
        "root": "gumbel",
    },
}  # fmt: skip


def run_games(
    run_stage: Callable[..., None],
    benchmark: Any,
    network: str,
    play: Callable[..., Work],
    search: str,
) -> None:
    options = dict(SEARCHES[search])
    if benchmark.disabled:
        options["n_games"] = 8
    worlds, exact = options.get("worlds", "true"), options.get("exact_tricks", 0)
    root = "_gumbel" if "root" in options else ""
    key = f"selfplay_{network.split()[0]}_{worlds}_{exact}{root}"
    what = f"self-play, {network} network, {search}, all cores"
    run_stage(Stage(key, "games/s", what, partial(play, **options)), rounds=1)


@pytest.mark.benchmark(group="self-play")
@pytest.mark.parametrize("search", list(SEARCHES))
@pytest.mark.skipif(not PUBLISHED.is_file(), reason=f"{PUBLISHED.name} is not on this machine")
def test_published_selfplay_games(
    run_stage: Callable[..., None], benchmark: Any, search: str
) -> None:
    run_games(run_stage, benchmark, "published medium", published, search)


@pytest.mark.benchmark(group="self-play")
@pytest.mark.parametrize("search", list(SEARCHES))
def test_compact_selfplay_games(
    run_stage: Callable[..., None], benchmark: Any, search: str
) -> None:
    run_games(run_stage, benchmark, "compact v2 medium", compact, search)


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
def test_threads_scale(benchmark: Any) -> None:
    """Two threads with a forest each; no gate: what two cores give depends on the machine."""
    n_steps = 5 if benchmark.disabled else 500
    alone, *_ = works = [stages.simulations(n_trees=256, n_steps=n_steps) for _ in range(2)]
    with ThreadPoolExecutor(len(works)) as pool:

        def together() -> None:
            wait([pool.submit(work) for work in works])

        ratio = interleaved_ratio(together, alone, blocks=1 if benchmark.disabled else 10)
        benchmark.pedantic(together, rounds=1, iterations=1)
    figure(
        benchmark,
        key="scaling_two_threads",
        what="tree search, constant evaluator: each of two threads against one alone",
        unit="of 1",
        value=1 / ratio,
        detail={"cores": usable_cores()},
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
