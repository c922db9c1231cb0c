"""Workloads of the compiled core: engine, search, solver, worlds, observations, examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zebfast.benchmark.workload import (
    EVERYWHERE,
    GATE,
    N_SIMULATIONS,
    RECORD,
    REPORT,
    SEED,
    Done,
    Missing,
    Work,
    finished_games,
    fresh_network,
    games_at,
    mixed_observations,
    run_out,
    workload,
)
from zebfast.core.observe import games_to_examples, uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.records import CONTRACT_DTYPE, OBS_DTYPE
from zebfast.core.selfplay import SelfPlayForest
from zebfast.core.solve import Solver
from zebfast.rules import (
    CALLS,
    HALF_POINTS,
    N_PLIES,
    N_SEATS,
    PHASES,
    HouseDeclaration,
    RuleSet,
)

TRUE: Mapping[str, Any] = {"worlds": "true", "exact_tricks": 0}
SAMPLED: Mapping[str, Any] = {"worlds": "sampled", "exact_tricks": 4}


def random_games(_folder: Path) -> Work:
    from zebfast.core.engine import random_games as play

    return lambda: Done(5000, trace=play(5000, seed=SEED))


def policy_games(_folder: Path, *, n: int = 2000) -> Work:
    """Games to their ends by a function that is called with what the seat sees, for every play."""
    from zebfast.core.policy import PolicyRun, play_out, random_policy

    policy, numbers = random_policy(), np.arange(n)

    def work() -> Done:
        games = games_at(0, n)
        play_out(
            policy, policy, games, first_team=0, bids=30, numbers=numbers, seed=SEED, stream=4,
            run=PolicyRun(),
        )  # fmt: skip
        return Done(n, trace=games.points)

    return work


def whole_games(_folder: Path) -> Work:
    from zebfast.core.whole_game_batch import random_whole_games as play

    return lambda: Done(1000, trace=play(1000, seed=SEED))


def whole_games_together(_folder: Path, *, n: int = 512) -> Work:
    """A table of games side by side, as matches play them: what is forced is done, the seats see,
    and everyone does what comes first; so many decisions, then the games begin anew."""
    from zebfast.core.whole_game_batch import WholeGameBatch

    games, numbers = WholeGameBatch(n, seed=SEED), np.arange(n)

    def work() -> Done:
        games.restart(numbers)
        for _ in range(40):
            games.act_forced()
            rows = np.flatnonzero(~games.over)
            playing = rows[games.phase[rows] == PHASES.index("play")]
            games.observe(playing)
            legal = games.legal(rows)
            lowest = legal & (~legal + np.uint32(1))
            games.act(np.log2(lowest).astype(np.uint8), rows)
        return Done(40 * n, trace=games.marks)

    return work


def house_plays(_folder: Path, *, n: int = 32) -> Work:
    """The first play of nello by a seat that sees its own hand, 20 layouts each."""
    from zebfast.core.house import plays_that_make_it
    from zebfast.core.whole_game_batch import WholeGameBatch

    games = WholeGameBatch(n, seed=SEED, rule_set=RuleSet(nello="own"))
    for action in (CALLS.index(42), 0, 0, 0, int(HouseDeclaration.NELLO)):
        games.act(np.full(n, action))
    numbers = np.arange(n)
    return lambda: Done(n, trace=plays_that_make_it(games, None, 20, seed=SEED, numbers=numbers))


def nello(_folder: Path, *, n: int = 100) -> Work:
    """First plays of nello, all hands open."""
    from zebfast.core.house import SeatHand, plays_that_make

    hand = SeatHand(HouseDeclaration.NELLO, bidder=0, leader=0, plays=[])
    held = games_at(0, n).held
    return lambda: Done(n, trace=plays_that_make(hand, held))


def simulations(_folder: Path, *, n_trees: int = 64, n_steps: int = 500) -> Work:
    """Trees alone: a constant evaluator, true deals, nothing solved; games never run out."""
    options = SearchOptions(n_simulations=N_SIMULATIONS, exact_tricks=0)
    forest = SelfPlayForest(n_trees, options=options, seed=SEED, worlds="true")
    leaves, evals = np.zeros(n_trees, OBS_DTYPE), np.zeros((n_trees, 8), np.float32)
    room = n_trees * (2 + n_steps // N_SIMULATIONS)  # a step starts at most one game a tree

    def work() -> Done:
        before, began = forest.counts(), time.thread_time()
        forest.allow(before["games"] + room)
        for _ in range(n_steps):
            n = forest.select(leaves)
            uniform_evaluate(leaves[:n], evals[:n])
            forest.update(evals[:n])
        forest.take()
        done = forest.counts()["simulations"] - before["simulations"]
        return Done(done, {"nanoseconds_each": 1e9 * (time.thread_time() - began) / done})

    return work


def whole_searches(
    _folder: Path, *, n_games: int, worlds: str, cache_mb: int = 0, **search: Any
) -> Work:
    """Games from first deal to last play with the constant evaluator, one tree each."""
    options = SearchOptions(**search)

    def work() -> Done:
        trees = SelfPlayForest(
            n_games, options=options, seed=SEED, worlds=worlds, cache_mb=cache_mb
        )
        run_out(trees, n_games)
        n_simulations = trees.counts()["simulations"]
        return Done(n_simulations, trace=(trees.take(), n_simulations))

    return work


def match_forest(_folder: Path) -> Work:
    """The forest of a player: one search for each game of a batch, on sampled worlds."""
    from zebfast.core.forest import Forest

    batch = games_at(4, 100)
    legal = batch.legal()
    batch = batch.take(np.flatnonzero(legal & (legal - np.uint32(1))))
    options = SearchOptions(n_simulations=64, n_worlds=8, exact_tricks=0)
    leaves, evals = np.zeros(len(batch), OBS_DTYPE), np.zeros((len(batch), 8), np.float32)

    def work() -> Done:
        forest = Forest(batch, options=options, seed=SEED)
        while n := forest.select(leaves):
            uniform_evaluate(leaves[:n], evals[:n])
            forest.update(evals[:n])
        return Done(len(batch), trace=forest.visits())

    return work


def lanes(_folder: Path, *, n_games: int = 8192) -> Work:
    """Whole games side by side with the constant evaluator: what rollouts cost but the network."""
    from zebfast.core.rollouts import RolloutGames

    games = games_at(0, n_games)
    observations, evals = np.empty(n_games, OBS_DTYPE), np.empty((n_games, 8), np.float32)

    def work() -> Done:
        running = RolloutGames(games)
        while n := running.advance(observations):
            uniform_evaluate(observations[:n], evals[:n])
            running.play_greedy(evals[:n])
        return Done(n_games)

    return work


def modelled_rollouts(_folder: Path, *, n_games: int = 1024) -> Work:
    """Whole games side by side of a medium v2 network against a function that is called."""
    from zebfast.core.network import Network
    from zebfast.core.policy import PolicyRun, random_policy
    from zebfast.core.rollouts import RolloutGames

    config, weights = fresh_network(tokenizer="v2")
    net = Network(config.width, config.n_blocks, config.belief_head, weights)
    games, players = games_at(0, n_games), np.zeros(n_games, np.uint8)
    model = (random_policy(), players, 30, PolicyRun())

    def work() -> Done:
        running = RolloutGames(games)
        while not running.run(net, seconds=60.0, model=model):
            pass
        return Done(n_games)

    return work


def worlds(_folder: Path, *, n_plays: int, n_games: int = 40, each: int = 5000) -> Work:
    """Worlds of some positions, many of each: what the call itself costs is shared by so many."""
    from zebfast.core.worlds import sample_worlds

    batch, rows = games_at(n_plays, n_games), np.arange(n_games)
    numbers = np.arange(n_games, dtype=np.uint64)

    def work() -> Done:
        drawn = sample_worlds(batch, rows, each, seed=SEED, game_numbers=numbers)
        return Done(n_games * each, trace=drawn)

    return work


def asker(question: str, tricks: int, n: int) -> Callable[[Solver], object]:
    """Puts one question about n positions at the start of a trick with so many left."""
    batch = games_at(N_PLIES - N_SEATS * tricks, n)
    positions = batch.positions()
    wins = HALF_POINTS + 1 - batch.points[:, 0].astype(np.int64)
    return {
        "points": lambda solver: solver.values(positions),
        "one threshold": lambda solver: solver.at_least(positions, wins),
        "all plays": lambda solver: solver.play_values(positions),
    }[question]


def solving(
    _folder: Path, *, tricks: int, n: int, question: str = "points", counted: str = "nodes"
) -> Work:
    """Questions to one solver, which keeps what it has learned of them."""
    asking, solver = asker(question, tricks, n), Solver()

    def work() -> Done:
        before = solver.nodes
        asking(solver)
        return Done(n, {counted: (solver.nodes - before) / n})

    return work


def solving_afresh(_folder: Path, *, tricks: int, n: int, question: str = "points") -> Work:
    """Questions to a new solver each time, which has to be made first."""
    asking = asker(question, tricks, n)
    return lambda: Done(n, trace=asking(Solver()))


def observations_packed(_folder: Path) -> Work:
    batch = games_at(13, 20_000)
    return lambda: Done(len(found := batch.observe()), trace=len(found))


def seat_planes(_folder: Path) -> Work:
    """What a seat of each game knows, and what may be played, for environments of others."""
    from zebfast.core.seat_planes import action_masks, batch_planes

    batch = games_at(13, 4096)

    def work() -> Done:
        found = batch_planes(batch, 0), action_masks(batch)
        return Done(len(batch), trace=found)

    return work


def features(_folder: Path) -> Work:
    from zebfast.core.features import feature_bits

    asked = mixed_observations(1000)
    return lambda: Done(len(asked), trace=feature_bits(asked))


def first_layer(_folder: Path) -> Work:
    """The first layer of a narrow v2 network.

    In memory that begins where a cache line does, as the network's own: NumPy's not always, which
    makes a tenth. Narrow, so that the table stays in the cache wherever it lies.
    """
    from zebfast.core.features import first_layer as layer

    asked, width = mixed_observations(256), 32
    out, bias = _aligned(np.zeros((256, width))), _aligned(np.zeros(width))
    table = _aligned(np.tile(np.linspace(-1, 1, width), (856, 1)))

    def work() -> Done:
        layer(asked, table, bias, out)
        return Done(len(asked), trace=out)

    return work


def first_gradient(_folder: Path) -> Work:
    """The gradient of that layer's table."""
    from zebfast.core.features import first_gradient as gradient_of

    asked, width = mixed_observations(256), 32
    table, gradient = _aligned(np.zeros((856, width))), _aligned(np.ones((256, width)))

    def work() -> Done:
        table[:] = 0
        gradient_of(asked, gradient, table)
        return Done(len(asked), trace=table)

    return work


def _aligned(values: np.ndarray) -> np.ndarray:
    """The same in float32, from the beginning of a cache line on."""
    room = np.empty(values.size + 16, np.float32)
    first = -room.ctypes.data % 64 // 4
    found = room[first : first + values.size].reshape(values.shape)
    found[:] = values
    return found


def answers(_folder: Path) -> Work:
    """Priors and values from a v2 network's last scores."""
    from zebfast.core.features import answers as answer

    asked = mixed_observations(1000)
    scores = np.random.default_rng(SEED).normal(0, 2, (1000, 71)).astype(np.float32)
    out = np.empty((1000, 8), np.float32)

    def work() -> Done:
        answer(asked, scores, out)
        return Done(len(asked), trace=out)

    return work


def network(_folder: Path, *, precision: str, rows: int, contract: bool = False) -> Work:
    """The medium v2 network in the core, so many rows at a time, of hands for points or for
    contracts. Missing where this processor has no instructions for the precision."""
    from zebfast.core.network import Network, kernels

    if all(of != precision or name.endswith("-baseline") for name, of, here in kernels() if here):
        raise Missing(f"this processor has no instructions for {precision}")
    config, weights = fresh_network(tokenizer="v2", contract=contract)
    net = Network(config.width, config.n_blocks, config.belief_head, weights, precision=precision)
    asked = mixed_observations(1024)
    if contract:
        asked["contract"] = np.array((31, 1, 3, 0x42, (1, 31, 30, 1)), CONTRACT_DTYPE)
    evals = np.empty((rows, 8), np.float32)

    def work() -> Done:
        for first in range(0, len(asked), rows):
            net.evaluate(asked[first : first + rows], evals)
        return Done(len(asked), trace=(len(asked), rows), how=net.kernel)

    return work


def examples_made(_folder: Path) -> Work:
    games = np.tile(finished_games(64), 16)
    return lambda: Done(N_PLIES * len(games), trace=games_to_examples(games))


# fmt: off
WORKLOADS = (
    workload(EVERYWHERE, "random_games", "games/s", "random games, one core", random_games),
    workload(GATE, "policy_games", "games/s", "games of a policy in C, one core", policy_games),
    workload(GATE, "whole_games", "games/s", "random games to seven marks, one core", whole_games),
    workload(GATE, "whole_games_together", "decisions/s",
             "512 whole games side by side, 40 decisions each, one core", whole_games_together),
    workload(GATE, "house_plays", "decisions/s",
             "first plays of nello by 20 layouts each, one core", house_plays),
    workload(GATE, "nello", "deals/s", "nello solved from the first play, one core", nello),
    workload(REPORT, "simulations", "simulations/s",
             f"tree search, constant evaluator, {N_SIMULATIONS} a play, one core", simulations),
    workload(GATE, "trees", "simulations/s", "16 games of search on true deals, 100 simulations",
             whole_searches, n_games=16, n_simulations=100, **TRUE),
    workload(GATE, "trees_worlds", "simulations/s",
             "8 games of search on 16 sampled worlds, 4 tricks solved",
             whole_searches, n_games=8, n_simulations=100, **SAMPLED),
    workload(GATE, "trees_gumbel", "simulations/s",
             "16 games of search from a gumbel root, 4 tricks solved",
             whole_searches, n_games=16, n_simulations=32, root="gumbel", **SAMPLED),
    workload(GATE, "trees_thrifty", "simulations/s",
             "16 games of search with everything that saves evaluations",
             whole_searches, n_games=16, n_simulations=100, cache_mb=1, early_stop=True,
             transpositions=True, skip_decided=True, full_share=0.5, fast_simulations=16,
             **SAMPLED),
    workload(GATE, "match_forest", "searches/s", "a search for each of 100 games, 8 worlds",
             match_forest),
    workload(RECORD, "lanes", "games/s", "games side by side with the constant evaluator, one core",
             lanes, rounds=5),
    workload(GATE, "modelled_rollouts", "games/s",
             "rollouts of a medium v2 network against a policy in C, one core", modelled_rollouts,
             rounds=5),
    workload(REPORT, "exact_deals", "deals/s", "whole deals solved exactly, one core",
             solving, tricks=7, n=100, counted="nodes_per_deal"),
    *(workload(RECORD, f"solve_{tricks}_{question.replace(' ', '_')}", "microseconds",
               f"solver, {tricks} tricks left, {question}, one core",
               solving, tricks=tricks, n=n, question=question, rounds=5)
      for tricks, n in ((7, 300), (6, 600), (5, 3000), (4, 10_000))
      for question in ("points", "one threshold", "all plays")),
    workload(GATE, "solver_deals", "deals/s", "whole deals solved", solving_afresh, tricks=7, n=8),
    workload(GATE, "solver_plays", "positions/s", "values of all plays, 5 tricks left",
             solving_afresh, tricks=5, n=100, question="all plays"),
    workload(REPORT, "worlds", "worlds/s", "worlds drawn at the first play, one core",
             worlds, n_plays=0),
    workload(RECORD, "worlds_0", "worlds/s", "worlds drawn at the first play, one core",
             worlds, n_plays=0),
    workload(RECORD, "worlds_9", "worlds/s", "worlds drawn with voids shown, one core",
             worlds, n_plays=9),
    workload(GATE, "worlds_first", "worlds/s", "24,000 worlds at the first play",
             worlds, n_plays=0, n_games=8, each=3000),
    workload(GATE, "worlds_voids", "worlds/s", "24,000 worlds with voids shown",
             worlds, n_plays=9, n_games=8, each=3000),
    workload(GATE, "observations", "observations/s", "20,000 observations packed",
             observations_packed),
    workload(GATE, "seat_planes", "seats/s", "4,096 seats' planes and masks", seat_planes),
    workload(EVERYWHERE, "features", "positions/s", "features for the v2 network, one core",
             features),
    workload(GATE, "first_layer", "positions/s", "the first layer of v2 over 256 observations",
             first_layer),
    workload(GATE, "first_gradient", "positions/s", "its gradient by 256 observations",
             first_gradient),
    workload(GATE, "answers", "positions/s", "a v2 network's answers from its scores", answers),
    *(workload(RECORD + (GATE if rows in (1, 64) else ()), f"network_{precision}_{rows}",
               "evaluations/s", f"medium v2 network in {precision}, {rows} at a time, one core",
               network, precision=precision, rows=rows, rounds=5)
      for precision in ("fp32", "bf16", "int8") for rows in (1, 64, 256, 1024)),
    workload(GATE, "network_contract", "evaluations/s",
             "medium v2 network in fp32 that sees contracts, 64 at a time, one core",
             network, precision="fp32", rows=64, contract=True, rounds=5),
    workload(GATE, "examples_made", "examples/s", "examples of 1,024 games", examples_made),
)
# fmt: on
