"""How strong the network is while it trains: matches, every deal both ways; the best one is kept.

The candidate, which is what would be published, plays plain players and, in a recipe that ends, the
best network so far. Where a best network is chosen, every evaluation has a seed of its own, of a
stream that nothing is trained on and nothing else is measured on: a curve of many is no choice of
lucky deals. Elsewhere the deals are the same every time, so that points of a curve compare.

A candidate that is not worse than the best becomes the best, by matches and never by loss. One that
has collapsed is given up: training goes on from the best. The best weights are in the training
checkpoint, so that a kill at any moment leaves them and what is known of them together, and in a
file beside it for others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from zebfast.arena.match import play_match
from zebfast.arena.players.base import AimingPlayer, NetworkPlayer, Player
from zebfast.arena.players.build import build_player
from zebfast.arena.players.specs import parse_spec
from zebfast.arena.stats import MatchResult
from zebfast.core.solver_pool import SolverPool
from zebfast.exchange import Patience, StateDict
from zebfast.learner.checkpoints import CheckpointManager
from zebfast.learner.config import LearnerConfig
from zebfast.learner.metrics import MetricsRow
from zebfast.learner.recipe import BEST
from zebfast.learner.resume import StartError
from zebfast.learner.schedule import Schedule
from zebfast.learner.state import Progress
from zebfast.learner.train.trainer import Trainer
from zebfast.net import checkpoint as model_file
from zebfast.net.devices import open_evaluator
from zebfast.net.networks import AnyConfig
from zebfast.net.torch.runtime import threads
from zebfast.rules import Stream
from zebfast.rules.rng import bits, stream_key
from zebfast.system.events import Evaluated, emit
from zebfast.system.signals import Stopped, interrupting

#: A candidate that loses to the best by so many standard errors has collapsed: once in 30,000
#: evaluations of an equal one.
COLLAPSE_Z = -4.0

_NETWORK_DEALS = 256  # side by side, where no opponent wants fewer


@dataclass(frozen=True)
class Evaluation:
    """Results by opponent, and against the best network so far where there is one.

    ``contracts``: of further matches, in which the candidate, and the best network, knew the
    contract of every hand; by opponent, the best as BEST. They count by contract.
    """

    results: Mapping[str, MatchResult]
    versus_best: MatchResult | None = None
    contracts: Mapping[str, MatchResult] = field(default_factory=dict)

    @property
    def _won_and_lost(self) -> tuple[int, int]:
        """Games against the best that somebody has won, by points and by contract."""
        points, contracts = self.versus_best, self.contracts.get(BEST)
        won, lost = (0, 0) if points is None else (points.wins, points.losses)
        if contracts is not None:
            won += contracts.contract_wins
            lost += contracts.games - contracts.contract_wins
        return won, lost

    @property
    def z(self) -> float:
        """Decided games won less lost against the best, in standard errors.

        The two games of a deal lean against each other, so this errs on the small side.
        """
        won, lost = self._won_and_lost
        return (won - lost) / math.sqrt(won + lost) if won + lost else 0.0

    @property
    def is_best(self) -> bool:
        """Not worse than the best so far, by decided games."""
        won, lost = self._won_and_lost
        return won >= lost

    @property
    def outcome(self) -> Literal["best", "kept", "collapsed"]:
        """What becomes of the candidate that played."""
        if self.z <= COLLAPSE_Z:
            return "collapsed"
        return "best" if self.is_best else "kept"

    def to_json(self) -> dict[str, dict[str, Any]]:
        """By opponent: win_rate, low, high, decided, games, seed, as the published state has it.

        And contract_rate, contract_low, contract_high where contracts were played.
        """
        return {
            name: {
                **{key: round(value, 5) for key, value in _win_rates(result).items()},
                "decided": round(decided_share(result), 5),
                "games": result.games,
                "seed": result.seed,
                **{key: round(value, 5) for key, value in self._contract_rates(name).items()},
            }
            for name, result in self._with_best().items()
        }

    def row(self, total_games: int) -> MetricsRow:
        """The metrics of it; the games are there as the other x-axis of its curve."""
        row: MetricsRow = {"stats/total_games": total_games}
        for name, result in self._with_best().items():
            rates = _win_rates(result) | self._contract_rates(name)
            row |= {f"eval/vs_{name}_{key}": rate for key, rate in rates.items()}
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
            "arena/collapse": int(self.outcome == "collapsed"),
            "arena/z": self.z,
        }

    def told(self) -> dict[str, dict[str, float | int]]:
        """By opponent but the best: what an event tells of it."""
        return {
            name: {**_win_rates(result), "games": result.games}
            for name, result in self.results.items()
        }

    def _contract_rates(self, name: str) -> dict[str, float]:
        """Of an opponent that contracts were played against."""
        result = self.contracts.get(name)
        if result is None:
            return {}
        return {
            "contract_rate": result.contract_rate,
            "contract_low": result.contract_rate_low,
            "contract_high": result.contract_rate_high,
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
        self._pool = SolverPool(threads()) if needs_pool else None
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
        contracts: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
        stop: Callable[[], bool] = lambda: False,
    ) -> Evaluation | None:
        """The matches of ``weights`` on the deals of ``seed``; None where a stop came first.

        ``contracts``: every match is played once more, for the contracts of the deals.
        ``should_stop`` is asked before every ply; ``stop``, a StopFlag, is heard at any moment.
        """
        candidate = self._player("candidate", weights)
        best_player = None if best is None else self._player(BEST, best)

        def ask() -> None:
            if should_stop():
                raise Stopped

        def match(opponent: Player, deals_at_once: int, aims: bool = False) -> MatchResult:
            return play_match(
                AimingPlayer("candidate", candidate) if aims else candidate,
                opponent,
                n_games=n_games,
                seed=seed,
                deals_per_chunk=deals_at_once,
                on_ply=ask,
            )

        with suppress(Stopped), interrupting(stop):
            results = {text: match(*self._opponents[text]) for text in opponents}
            versus = None if best_player is None else match(best_player, _NETWORK_DEALS)
            if not contracts:
                return Evaluation(results, versus)
            for_contracts = {text: match(*self._opponents[text], aims=True) for text in opponents}
            if best_player is not None:
                aiming = AimingPlayer(BEST, best_player)
                for_contracts[BEST] = match(aiming, _NETWORK_DEALS, aims=True)
            return Evaluation(results, versus, for_contracts)
        return None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _player(self, name: str, weights: StateDict) -> Player:
        evaluator = open_evaluator(self._network, weights, device=self._device)
        evaluator.use_threads(threads())
        return NetworkPlayer(name=name, evaluator=evaluator)


# --- When, and what is done about it.

_PLAIN = ("random", "heuristic")  # opponents of --eval-every


class Gatekeeper:
    """Evaluates for the loop. Close it to end its threads. StartError as MatchEvaluator."""

    def __init__(
        self,
        config: LearnerConfig,
        trainer: Trainer,
        schedule: Schedule,
        progress: Progress,
        checkpoints: CheckpointManager,
        patience: Patience,
    ) -> None:
        self._config, self._trainer, self._schedule = config, trainer, schedule
        self._progress, self._checkpoints, self._patience = progress, checkpoints, patience
        self._arena = schedule.recipe.arena
        opponents = _PLAIN if config.eval_every else ()
        if self._arena is not None:
            opponents = (*opponents, *self._arena.opponents)
        self._matches = MatchEvaluator(config, trainer.net.config, opponents)
        if progress.best_weights is not None and self._arena is not None:
            self._write_best()  # a kill may have come between the checkpoint and this file

    @property
    def is_due(self) -> bool:
        """Is it time to choose, and has there been a step since the last time?

        The first time is before the first step.
        """
        if self._arena is None:
            return False
        saved = self._schedule.saved
        if saved.last is None:
            return True
        is_new = self._trainer.optimizer_steps > saved.last["optimizer_steps"]
        return is_new and saved.minutes - saved.looked_at >= self._arena.every_minutes

    def after_cycle(self, should_stop: Callable[[], bool]) -> None:
        """Evaluate against plain players, every so many cycles; nothing is chosen by it.

        Nothing is told where a stop comes first.
        """
        step, every = self._progress.step, self._config.eval_every
        if not every or step % every:
            return
        found = self._matches.play(
            self._trainer.weights(),
            _PLAIN,
            n_games=self._config.eval_games,
            seed=self._config.seed,
            should_stop=should_stop,
            stop=self._patience.stop,
        )
        if found is None:
            return
        row = found.row(self._progress.total_games)
        emit(Evaluated(cycle=step, results=found.told(), metrics=row))

    def choose(self, should_stop: Callable[[], bool], *, last: bool = False) -> None:
        """Evaluate and act on it; nothing happens where a stop comes first.

        The ``last`` one leaves the best network as what is published.

        Raises OSError, as saving does.
        """
        arena, progress, saved = self._arena, self._progress, self._schedule.saved
        assert arena is not None  # else it is never due
        weights, best = self._trainer.weights(), progress.best_weights
        found = self._matches.play(
            weights,
            arena.opponents,
            best=best,
            n_games=arena.n_games,
            seed=evaluation_seed(self._config.seed, saved.looks),
            contracts=arena.contracts,
            should_stop=should_stop,
            stop=self._patience.stop,
        )
        if found is None:
            return
        self._schedule.tick()
        number, versus = saved.looks + 1, found.versus_best
        # Told before it is counted: should that end the run, what is saved then has no look without
        # its row.
        emit(
            Evaluated(
                cycle=progress.step,
                results=found.told(),
                metrics=found.row(progress.total_games)
                | found.gate_row(number)
                | self._schedule.row(),
                number=number,
                outcome="first" if saved.best is None or versus is None else found.outcome,
                decided=None if versus is None else decided_share(versus),
                best_cycle=None if saved.best is None else saved.best["step"],
            )
        )
        saved.looks, saved.looked_at, saved.finished = number, saved.minutes, last
        saved.last = record = self._record(found)
        if found.is_best:
            progress.best_weights, saved.best = weights, record
        elif best is not None and (found.outcome == "collapsed" or last):
            self._give_up(best)
        self._checkpoints.publish()
        if progress.best_weights is not None:
            self._patience(self._write_best)

    def close(self) -> None:
        self._matches.close()

    def go_back(self) -> int | None:
        """After a divergence, train the best network on and publish it; the cycle it is of.

        None where there is none. Raises OSError, as saving does.
        """
        best, found = self._progress.best_weights, self._schedule.saved.best
        if best is None or found is None:
            return None
        self._give_up(best)
        self._checkpoints.publish()
        return int(found["step"])

    def _give_up(self, best: StateDict) -> None:
        """Go on from the best weights. Readers take those of a later step only."""
        self._trainer.go_on_from(best)
        progress = self._progress
        progress.step, progress.steps_into_cycle = progress.step + 1, 0

    def _record(self, found: Evaluation) -> dict[str, Any]:
        progress, saved = self._progress, self._schedule.saved
        return {
            "look": saved.looks,
            "step": progress.step,
            "optimizer_steps": self._trainer.optimizer_steps,
            "games": progress.total_games,
            "minutes": round(saved.minutes, 3),
            "stage": self._schedule.stage.name,
            "results": found.to_json(),
        }

    def _write_best(self) -> None:
        weights, found = self._progress.best_weights, self._schedule.saved.best or {}
        assert weights is not None
        model_file.save(
            model_file.Checkpoint(
                config=self._trainer.net.config,
                weights=weights,
                epoch=int(found.get("step", 0)),
                total_games=int(found.get("games", 0)),
                provenance=model_file.provenance(
                    recipe=self._schedule.recipe.name,
                    seed=self._config.seed,
                    lineage=self._progress.lineage,
                    best=found,
                ),
            ),
            self._config.best_path,
        )
