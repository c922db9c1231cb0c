"""One integer that identifies behaviour: fixed seeds through rules, search and self-play.

A change that is meant to change nothing leaves it alone; any other states the new number in its
commit message and in tests/selfplay/test_signature.py. It needs no network and no float that could
differ between machines.
"""

from __future__ import annotations

import hashlib

import numpy as np

from zebfast.core.engine import Game, GameBatch, random_games
from zebfast.core.observe import games_to_examples, uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.records import (
    EXAMPLE_DTYPE,
    EXAMPLE_HAS_BELIEF,
    EXAMPLE_HAS_POLICY,
    laid_out_as,
    without_contract,
)
from zebfast.core.solve import Solver
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig

_SEED = 42


class _Uniform:
    def evaluate(self, obs: np.ndarray, evals: np.ndarray) -> None:
        uniform_evaluate(obs, evals)


def _selfplay(*, worlds: str, search: SearchOptions) -> bytes:
    """What 64 games of self-play counted and recorded."""
    config = SelfPlayConfig(n_parallel_games=64, n_groups=1, worlds=worlds, search=search)
    games, stats = SelfPlay(_Uniform(), config=config, seed=_SEED).play(64, lookahead=False)
    counts = [stats.simulations, stats.evaluations, stats.terminals]
    if search.exact_tricks:
        counts.append(stats.solved)
    examples = games_to_examples(games)
    examples["flags"] &= EXAMPLE_HAS_POLICY | EXAMPLE_HAS_BELIEF  # points follow from the plays
    plain = laid_out_as(examples, without_contract(EXAMPLE_DTYPE))  # none of them has one
    return repr(tuple(counts)).encode() + plain.tobytes()


def _solver() -> bytes:
    """Values of all plays of 20 whole deals, and the nodes that they took."""
    solver = Solver()
    values = solver.play_values(GameBatch.deal(20, seed=_SEED).positions())
    return repr(solver.nodes).encode() + values.tobytes()


def signature() -> int:
    """The signature of this build, below 10**9: random games, perft, solver, searches, examples.

    Self-play is in it twice: on the true deal without exact endings, and on sampled worlds with
    them, which adds the world sampler.
    """
    digest = hashlib.sha256()
    digest.update(random_games(10_000, seed=_SEED).tobytes())
    digest.update(repr([Game.deal(_SEED, i).perft(7) for i in range(10)]).encode())
    digest.update(_solver())
    plain = SearchOptions(n_simulations=100, exact_tricks=0)
    digest.update(_selfplay(worlds="true", search=plain))
    exact = SearchOptions(n_simulations=100, n_worlds=16, exact_tricks=4)
    digest.update(_selfplay(worlds="sampled", search=exact))
    return int.from_bytes(digest.digest()[:8], "big") % 10**9
