"""Looks at how strong the network is while a recipe runs, and the guard against its getting worse.

The candidate, which is what would be published, plays each opponent of the recipe and the best
network so far, every deal both ways. Every look has a seed of its own, of a stream that nothing is
trained on and nothing else is measured on: a curve of many looks is no choice of lucky deals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from zebfast.arena.match import MatchProgress, evaluate_network, play_match
from zebfast.arena.players.base import NetworkPlayer, Player
from zebfast.arena.players.build import build_player
from zebfast.arena.players.specs import parse_spec
from zebfast.arena.stats import MatchResult
from zebfast.core.solver_pool import SolverPool
from zebfast.exchange import StateDict
from zebfast.learner.config import LearnerConfig
from zebfast.learner.recipe import BEST, ArenaPlan
from zebfast.learner.resume import StartError
from zebfast.learner.train.trainer import Trainer
from zebfast.net.evaluator import Evaluator
from zebfast.net.networks import AnyConfig
from zebfast.rules import Stream
from zebfast.rules.rng import bits, stream_key

#: A candidate that loses to the best by so many standard errors has collapsed: once in 30,000
#: looks at an equal one.
COLLAPSE_Z = -4.0

_NETWORK_DEALS = 256  # side by side, where no opponent wants fewer


class _Stopped(Exception):
    """A stop was asked for in the middle of a match."""


@dataclass(frozen=True)
class Look:
    """Results by opponent, and against the best so far, None at the first look."""

    results: Mapping[str, MatchResult]
    versus_best: MatchResult | None

    @property
    def z(self) -> float:
        """Decided games won less lost against the best, in standard errors.

        The two games of a deal lean against each other, so this errs on the small side.
        """
        result = self.versus_best
        decided = 0 if result is None else result.wins + result.losses
        return (result.wins - result.losses) / math.sqrt(decided) if result and decided else 0.0

    @property
    def is_best(self) -> bool:
        """Not worse than the best so far, by decided games."""
        return self.versus_best is None or self.versus_best.wins >= self.versus_best.losses

    @property
    def is_collapse(self) -> bool:
        return self.z <= COLLAPSE_Z

    def to_json(self) -> dict[str, dict[str, Any]]:
        """By opponent: win_rate, low, high, decided, games."""
        results = dict(self.results)
        if self.versus_best is not None:
            results[BEST] = self.versus_best
        return {name: result_to_json(result) for name, result in results.items()}


def result_to_json(result: MatchResult) -> dict[str, Any]:
    """What of a match is kept in the published state."""
    return {
        "win_rate": round(result.win_rate, 5),
        "low": round(result.win_rate_low, 5),
        "high": round(result.win_rate_high, 5),
        "decided": round(decided_share(result), 5),
        "games": result.games,
        "seed": result.seed,
    }


def decided_share(result: MatchResult) -> float:
    """Share of the decided games that were won; a half where none was."""
    decided = result.wins + result.losses
    return result.wins / decided if decided else 0.5


def look_seed(seed: int, number: int) -> int:
    """Seed of the matches of look ``number`` of a run: 63 bits of the stream LOOK."""
    return bits(stream_key(seed, Stream.LOOK, number), 0) >> 1


class Spectator:
    """Plays the matches of looks. Close it to end its threads.

    Raises:
        StartError: an opponent cannot be had.
    """

    def __init__(self, plan: ArenaPlan, config: LearnerConfig, network: AnyConfig) -> None:
        self._plan, self._config, self._network = plan, config, network
        self._pool = SolverPool(torch.get_num_threads())
        self._opponents: dict[str, tuple[Player, int]] = {}
        for text in plan.opponents:
            spec = parse_spec(text)
            try:
                player = build_player(spec, device=config.device, pool=self._pool)
            except ValueError as error:
                self.close()
                raise StartError(f"an opponent of the recipe cannot be had: {error}") from error
            self._opponents[text] = player, min(_NETWORK_DEALS, spec.deals_per_chunk)

    def look(
        self,
        weights: StateDict,
        best: StateDict | None,
        *,
        number: int,
        should_stop: Callable[[], bool],
    ) -> Look | None:
        """Play all matches of look ``number``; None where a stop came before they were over."""
        candidate = self._player("candidate", weights)
        seed = look_seed(self._config.seed, number)

        def match(opponent: Player, deals_at_once: int) -> MatchResult:
            def stop(_: MatchProgress) -> None:
                if should_stop():
                    raise _Stopped

            return play_match(
                candidate,
                opponent,
                n_games=self._plan.n_games,
                seed=seed,
                deals_per_chunk=deals_at_once,
                progress=stop,
            )

        with suppress(_Stopped):
            results = {text: match(*opponent) for text, opponent in self._opponents.items()}
            versus = None if best is None else match(self._player(BEST, best), _NETWORK_DEALS)
            return Look(results, versus)
        return None

    def close(self) -> None:
        self._pool.close()

    def _player(self, name: str, weights: StateDict) -> Player:
        evaluator = Evaluator(self._network, weights, device=self._config.device)
        return NetworkPlayer(name=name, evaluator=evaluator)


# --- How strong the network is now: matches against the plain players, every deal both ways.

OPPONENTS = ("random", "heuristic")


def evaluate(trainer: Trainer, config: LearnerConfig) -> dict[str, MatchResult]:
    """``config.eval_games`` games against each opponent, from deals fixed by ``config.seed``.

    The deals are the same at every evaluation, so that points of a curve compare. The network is
    evaluated as workers run it (published weights, folded, without dropout).
    """
    evaluator = Evaluator(trainer.net.config, trainer.weights(), device=config.device)
    return {
        name: evaluate_network(
            evaluator, opponent=name, n_games=config.eval_games, seed=config.seed
        )
        for name in OPPONENTS
    }
