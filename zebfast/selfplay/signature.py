"""One integer that identifies behaviour: fixed seeds through rules, search and self-play.

A change that is meant to change nothing leaves it alone; any other states the new number in its
commit message and in tests/selfplay/test_signature.py. It needs no network and no float that could
differ between machines.
"""

from __future__ import annotations

import hashlib

import numpy as np

from zebfast.core.engine import Game, random_games
from zebfast.core.observe import games_to_examples, uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.games import SelfPlay

_SEED = 42


class _Uniform:
    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        uniform_evaluate(obs, out)


def signature() -> int:
    """The signature of this build, below 10**9: random games, perft, search counts, examples."""
    digest = hashlib.sha256()
    digest.update(random_games(10_000, seed=_SEED).tobytes())
    digest.update(repr([Game.deal(_SEED, i).perft(7) for i in range(10)]).encode())
    config = SelfPlayConfig(
        n_parallel_games=64, n_groups=1, search=SearchOptions(n_simulations=100)
    )
    games, stats = SelfPlay(_Uniform(), config=config, seed=_SEED).play(64, lookahead=False)
    digest.update(repr((stats.simulations, stats.evaluations, stats.terminals)).encode())
    digest.update(games_to_examples(games).tobytes())
    return int.from_bytes(digest.digest()[:8], "big") % 10**9
