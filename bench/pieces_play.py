"""Pieces of play: self-play as a whole, matches, and the players that search or solve."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.pieces import SEED, Piece, Work
from bench.pieces_core import Constant


def selfplay(_folder: Path, *, n_games: int, worlds: str = "sampled", **search: Any) -> Work:
    """Whole games through `SelfPlay` with the constant evaluator: trees, threads, hand-over."""
    from zebfast.core.options import SearchOptions
    from zebfast.selfplay.config import SelfPlay, SelfPlayConfig

    config = SelfPlayConfig(
        n_parallel_games=n_games, n_groups=1, worlds=worlds, search=SearchOptions(**search)
    )

    def work() -> object:
        play = SelfPlay(Constant(), config=config, seed=SEED)
        games, stats = play.play(n_games, lookahead=False)
        return games, stats.simulations

    return work


def selfplay_network(_folder: Path) -> Work:
    """The same with a small v1 network; what is played may hang on its last bits."""
    from bench.pieces_net import evaluator
    from zebfast.core.options import SearchOptions
    from zebfast.selfplay.config import SelfPlay, SelfPlayConfig

    ready = evaluator("v1", "small")
    search = SearchOptions(n_simulations=3, exact_tricks=6, temperature=0)
    config = SelfPlayConfig(n_parallel_games=2, n_groups=1, search=search)

    def work() -> object:
        games, _ = SelfPlay(ready, config=config, seed=SEED).play(2, lookahead=False)
        return games["hands"]

    return work


def match(_folder: Path) -> Work:
    from zebfast.arena.match import play_match
    from zebfast.arena.players.base import plain_player

    players = plain_player("random"), plain_player("heuristic")

    def work() -> object:
        result = play_match(*players, n_games=1000, seed=SEED)
        return result.games, result.wins

    return work


def network_match(_folder: Path) -> Work:
    """A bare policy against random, what the learner's own evaluation plays."""
    from bench.pieces_net import evaluator
    from zebfast.arena.match import evaluate_network

    ready = evaluator("v1", "small")
    return lambda: evaluate_network(ready, n_games=4, seed=SEED).games


def exact_player(_folder: Path) -> Work:
    """E[Q] in its own games, two worlds a play."""
    from zebfast.arena.match import play_match
    from zebfast.arena.players.build import build_player
    from zebfast.arena.players.specs import parse_spec
    from zebfast.core.solver_pool import SolverPool

    player = build_player(parse_spec("eq:n=2"), pool=SolverPool(1))

    def work() -> object:
        result = play_match(player, player, n_games=2, seed=SEED)
        return result.games, result.wins

    return work


def replayed(_folder: Path) -> Work:
    """Batches drawn from a replay buffer that examples are added to."""
    from bench.pieces_core import finished_games
    from zebfast.cli.stages import learner_config
    from zebfast.core.observe import games_to_examples
    from zebfast.learner.data.mixture import ReplayMixture

    examples = games_to_examples(finished_games(64))
    config = learner_config(replay_buffer_size=4 * len(examples))

    def work() -> object:
        sources = ReplayMixture(config)
        for _ in range(8):
            sources.selfplay.add(examples)
        drawn = sources.draw(n_steps=32, batch_size=64, seed=SEED, step=0)
        return np.asarray(drawn.rows)

    return work


PIECES = (
    Piece(
        "selfplay_true",
        "16 games of self-play, true deals, constant evaluator",
        partial(selfplay, n_games=16, worlds="true", n_simulations=50, exact_tricks=0),
    ),
    Piece(
        "selfplay_exact",
        "4 games of self-play, sampled worlds, all solved",
        partial(selfplay, n_games=4, n_simulations=16, n_worlds=4, exact_tricks=7),
    ),
    Piece("selfplay_network", "2 games of self-play with a small network", selfplay_network),
    Piece("match", "a match of 1,000 games, random against heuristic", match),
    Piece("match_network", "a match of 4 games of a small network", network_match),
    Piece("match_exact", "a match of 2 games of E[Q] with 2 worlds", exact_player),
    Piece("replay", "8 files into the replay buffer, 32 batches out", replayed),
)
