"""Pieces of the compiled core: engine, trees, worlds, solver, observations, examples."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.pieces import SEED, Piece, Work
from zebfast.core.engine import GameBatch
from zebfast.core.observe import games_to_examples, uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.records import OBS_DTYPE
from zebfast.core.selfplay import SelfPlayForest
from zebfast.core.solve import Solver
from zebfast.rules import N_PLIES, N_SEATS


class Constant:
    """The constant evaluator as an object."""

    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        uniform_evaluate(obs, out)


def games_at(n_plays: int, n: int) -> GameBatch:
    """n random games, n_plays random plays into them."""
    batch = GameBatch.deal(n, seed=SEED)
    for _ in range(n_plays):
        batch.play_random(seed=SEED)
    return batch


def observations(n: int) -> np.ndarray:
    """OBS_DTYPE [n]: positions with a choice from random games, at every ply equally often."""
    found, batch = [], GameBatch.deal(max(n // 8, 1), seed=SEED)
    while not batch.over.all():
        observed = batch.observe()
        found.append(observed[np.bitwise_count(observed["legal"]) > 1])
        batch.play_random(seed=SEED)
    every = np.concatenate(found)
    return every[np.linspace(0, len(every) - 1, n).astype(np.int64)].copy()


def finished_games(n: int) -> np.ndarray:
    """GAME_DTYPE [n] with policy targets, from short searches without a network."""
    options = SearchOptions(n_simulations=16, exact_tricks=0)
    forest = SelfPlayForest(n, options=options, seed=SEED, worlds="true")
    forest.allow(n)
    leaves, evals = np.zeros(n, OBS_DTYPE), np.zeros((n, 8), np.float32)
    while k := forest.select(leaves):
        uniform_evaluate(leaves[:k], evals[:k])
        forest.update(evals[:k])
    return forest.take()


def random_games(_folder: Path) -> Work:
    from zebfast.core.engine import random_games as play

    return lambda: play(5000, seed=SEED)


def whole_searches(
    _folder: Path, *, n_games: int, forest: Mapping[str, Any], **search: Any
) -> Work:
    """Games from first deal to last play with the constant evaluator, one tree each."""
    options = SearchOptions(**search)
    leaves, evals = np.zeros(n_games, OBS_DTYPE), np.zeros((n_games, 8), np.float32)

    def work() -> object:
        trees = SelfPlayForest(n_games, options=options, seed=SEED, **forest)
        trees.allow(n_games)
        while n := trees.select(leaves):
            uniform_evaluate(leaves[:n], evals[:n])
            trees.update(evals[:n])
        return trees.take(), trees.counts()["simulations"]

    return work


def match_forest(_folder: Path) -> Work:
    """The forest of a player: one search for each game of a batch, on sampled worlds."""
    from zebfast.core.forest import Forest

    batch = games_at(4, 100)
    legal = batch.legal()
    batch = batch.take(np.flatnonzero(legal & (legal - np.uint32(1))))
    options = SearchOptions(n_simulations=64, n_worlds=8, exact_tricks=0)
    leaves, evals = np.zeros(len(batch), OBS_DTYPE), np.zeros((len(batch), 8), np.float32)

    def work() -> object:
        forest = Forest(batch, options=options, seed=SEED)
        while n := forest.select(leaves):
            uniform_evaluate(leaves[:n], evals[:n])
            forest.update(evals[:n])
        return forest.visits()

    return work


def worlds(_folder: Path, *, n_plays: int) -> Work:
    from zebfast.core.worlds import sample_worlds

    batch, rows = games_at(n_plays, 8), np.arange(8)
    numbers = np.arange(8, dtype=np.uint64)
    return lambda: sample_worlds(batch, rows, 3000, seed=SEED, game_numbers=numbers)


def solver(_folder: Path, *, tricks: int, n: int, question: str) -> Work:
    positions = games_at(N_PLIES - N_SEATS * tricks, n).positions()

    def work() -> object:
        fresh = Solver()
        return getattr(fresh, question)(positions)

    return work


def observe(_folder: Path) -> Work:
    batch = games_at(13, 20_000)
    return lambda: len(batch.observe())


def examples(_folder: Path) -> Work:
    games = finished_games(64)
    games = np.concatenate([games] * 16)
    return lambda: games_to_examples(games)


def feature_bits(_folder: Path) -> Work:
    from zebfast.core.features import feature_bits as bits

    asked = observations(1000)
    return lambda: bits(asked)


def first_layer(_folder: Path) -> Work:
    """The first layer of a narrow v2 network.

    In torch's memory, as the network's own is: it begins where a cache line does, and NumPy's not
    always, which makes a tenth. Narrow, so that the table stays in the cache wherever it lies.
    """
    import torch

    from zebfast.core.features import first_layer as layer

    asked, width = observations(256), 32
    out, bias = torch.zeros(256, width).numpy(), torch.zeros(width).numpy()
    table = torch.linspace(-1, 1, width).repeat(856, 1).numpy()

    def work() -> object:
        layer(asked, table, bias, out)
        return out

    return work


TRUE: Mapping[str, Any] = {"worlds": "true"}
SAMPLED: Mapping[str, Any] = {"worlds": "sampled"}
#: Every option that saves evaluations.
THRIFTY: Mapping[str, Any] = {
    "early_stop": True,
    "transpositions": True,
    "skip_decided": True,
    "full_share": 0.5,
    "fast_simulations": 16,
}

PIECES = (
    Piece("random_games", "5,000 random games", random_games),
    Piece(
        "trees",
        "16 games of search on true deals, 100 simulations",
        partial(whole_searches, n_games=16, forest=TRUE, n_simulations=100, exact_tricks=0),
    ),
    Piece(
        "trees_worlds",
        "8 games of search on 16 sampled worlds, 4 tricks solved",
        partial(whole_searches, n_games=8, forest=SAMPLED, n_simulations=100, exact_tricks=4),
    ),
    Piece(
        "trees_gumbel",
        "16 games of search from a gumbel root, 4 tricks solved",
        partial(
            whole_searches,
            n_games=16,
            forest=SAMPLED,
            root="gumbel",
            n_simulations=32,
            exact_tricks=4,
        ),
    ),
    Piece(
        "trees_thrifty",
        "16 games of search with everything that saves evaluations",
        partial(
            whole_searches,
            n_games=16,
            forest={**SAMPLED, "cache_mb": 1},
            n_simulations=100,
            exact_tricks=4,
            **THRIFTY,
        ),
    ),
    Piece("match_forest", "a search for each of 100 games, 8 worlds", match_forest),
    Piece("worlds_first", "24,000 worlds at the first play", partial(worlds, n_plays=0)),
    Piece("worlds_voids", "24,000 worlds with voids shown", partial(worlds, n_plays=9)),
    Piece("solver_deals", "whole deals solved", partial(solver, tricks=7, n=8, question="values")),
    Piece(
        "solver_plays",
        "values of all plays, 5 tricks left",
        partial(solver, tricks=5, n=100, question="play_values"),
    ),
    Piece("observations", "20,000 observations packed", observe),
    Piece("features", "v2 features of 1,000 observations", feature_bits),
    Piece("first_layer", "the first layer of v2 over 256 observations", first_layer),
    Piece("examples_made", "examples of 1,024 games", examples),
)
