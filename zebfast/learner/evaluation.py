"""How strong the network is while it trains: matches, every deal both ways.

The candidate, which is what would be published, plays plain players and, in a recipe that ends, the
best network so far. Where a best network is chosen, every evaluation has a seed of its own, of a
stream that nothing is trained on and nothing else is measured on: a curve of many is no choice of
lucky deals. Elsewhere the deals are the same every time, so that points of a curve compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch

from zebfast.arena.match import MatchProgress, play_match
from zebfast.arena.players.base import NetworkPlayer, Player
from zebfast.arena.players.build import build_player
from zebfast.arena.players.specs import parse_spec
from zebfast.arena.stats import MatchResult
from zebfast.core.solver_pool import SolverPool
from zebfast.exchange import StateDict
from zebfast.learner.config import LearnerConfig
from zebfast.learner.metrics import MetricsRow
from zebfast.learner.recipe import BEST
from zebfast.learner.resume import StartError
from zebfast.net.evaluator import Evaluator
from zebfast.net.networks import AnyConfig
from zebfast.rules import Stream
from zebfast.rules.rng import bits, stream_key

#: A candidate that loses to the best by so many standard errors has collapsed: once in 30,000
#: evaluations of an equal one.
COLLAPSE_Z = -4.0

_NETWORK_DEALS = 256  # side by side, where no opponent wants fewer


class _Stopped(Exception):
    """A stop was asked for in the middle of a match."""


@dataclass(frozen=True)
class Evaluation:
    """Results by opponent, and against the best network so far where there is one."""

    results: Mapping[str, MatchResult]
    versus_best: MatchResult | None = None

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

    @property
    def outcome(self) -> Literal["best", "kept", "collapsed"]:
        """What becomes of the candidate that played."""
        if self.is_collapse:
            return "collapsed"
        return "best" if self.is_best else "kept"

    def to_json(self) -> dict[str, dict[str, Any]]:
        """By opponent: win_rate, low, high, decided, games, seed, as the published state has it."""
        return {
            name: {
                **{key: round(value, 5) for key, value in _win_rates(result).items()},
                "decided": round(decided_share(result), 5),
                "games": result.games,
                "seed": result.seed,
            }
            for name, result in self._with_best().items()
        }

    def row(self, total_games: int) -> MetricsRow:
        """The metrics of it; the games are there as the other x-axis of its curve."""
        row: MetricsRow = {"stats/total_games": total_games}
        for name, result in self._with_best().items():
            row |= {f"eval/vs_{name}_{key}": rate for key, rate in _win_rates(result).items()}
        return row

    def gate_row(self, number: int) -> MetricsRow:
        """The further metrics of one, the ``number``-th, that decides about the best network."""
        row: MetricsRow = {}
        for name, result in self._with_best().items():
            row |= {
                f"eval/vs_{name}_decided": decided_share(result),
                f"eval/vs_{name}_match_games": result.games,
            }
        return row | {
            "arena/look": number,
            "arena/is_best": int(self.is_best),
            "arena/collapse": int(self.is_collapse),
            "arena/z": self.z,
        }

    def told(self) -> dict[str, dict[str, float | int]]:
        """By opponent but the best: what an event tells of it."""
        return {
            name: {**_win_rates(result), "games": result.games}
            for name, result in self.results.items()
        }

    def _with_best(self) -> dict[str, MatchResult]:
        best = {} if self.versus_best is None else {BEST: self.versus_best}
        return {**self.results, **best}


def _win_rates(result: MatchResult) -> dict[str, float]:
    return {
        "win_rate": result.win_rate,
        "low": result.win_rate_low,
        "high": result.win_rate_high,
    }


def decided_share(result: MatchResult) -> float:
    """Share of the decided games that were won; a half where none was."""
    decided = result.wins + result.losses
    return result.wins / decided if decided else 0.5


def evaluation_seed(seed: int, number: int) -> int:
    """Seed of the matches of evaluation ``number`` of a run: 63 bits of the stream LOOK."""
    return bits(stream_key(seed, Stream.LOOK, number), 0) >> 1


class MatchEvaluator:
    """Plays the matches of evaluations. Close it to end its threads.

    Args:
        opponents: specs of all players that will be asked for.

    Raises:
        StartError: an opponent cannot be had.
    """

    def __init__(self, config: LearnerConfig, network: AnyConfig, opponents: Iterable[str]) -> None:
        self._device, self._network = config.device, network
        specs = {text: parse_spec(text) for text in opponents}
        needs_pool = any(spec.needs_pool for spec in specs.values())
        self._pool = SolverPool(torch.get_num_threads()) if needs_pool else None
        self._opponents: dict[str, tuple[Player, int]] = {}
        for text, spec in specs.items():
            try:
                player = build_player(spec, device=config.device, pool=self._pool)
            except ValueError as error:
                self.close()
                raise StartError(f"an opponent of the recipe cannot be had: {error}") from error
            self._opponents[text] = player, min(_NETWORK_DEALS, spec.deals_per_chunk)

    def play(
        self,
        weights: StateDict,
        opponents: Iterable[str],
        *,
        best: StateDict | None = None,
        n_games: int,
        seed: int,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Evaluation | None:
        """The matches of ``weights`` on the deals of ``seed``; None where a stop came first."""
        candidate = self._player("candidate", weights)

        def stop(_: MatchProgress) -> None:
            if should_stop():
                raise _Stopped

        def match(opponent: Player, deals_at_once: int) -> MatchResult:
            return play_match(
                candidate,
                opponent,
                n_games=n_games,
                seed=seed,
                deals_per_chunk=deals_at_once,
                progress=stop,
            )

        with suppress(_Stopped):
            results = {text: match(*self._opponents[text]) for text in opponents}
            versus = None if best is None else match(self._player(BEST, best), _NETWORK_DEALS)
            return Evaluation(results, versus)
        return None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _player(self, name: str, weights: StateDict) -> Player:
        evaluator = Evaluator(self._network, weights, device=self._device)
        return NetworkPlayer(name=name, evaluator=evaluator)
