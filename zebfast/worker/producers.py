"""What the worker's loop knows of whoever plays the games; self-play and teaching producers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zebfast.core.selfplay import SelfPlayForest
from zebfast.rules import N_PLIES
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig
from zebfast.selfplay.groups import BatchEvaluator, GroupedGames
from zebfast.selfplay.producer_kinds import BY_MODE, GAME, SELFPLAY
from zebfast.selfplay.stats import SelfPlayStats
from zebfast.selfplay.teaching import Teaching, TeachingConfig
from zebfast.selfplay.whole_hands import WholeHands, WholeHandsConfig
from zebfast.system.settings import encode
from zebfast.worker.config import EvalAuxConfig
from zebfast.worker.opponent import Opponent
from zebfast.worker.producer import Batch, Producer

_Config = TypeVar("_Config", SelfPlayConfig, TeachingConfig)


class _GroupsProducer(ABC, Generic[_Config]):
    """Games that are played in groups on this machine."""

    def __init__(self, config: _Config, games: GroupedGames) -> None:
        self._config: _Config = config
        self._games = games

    @property
    def next_game(self) -> int:
        """See Producer."""
        return self._games.next_game

    def play(
        self,
        n_games: int,
        *,
        should_stop: Callable[[], bool],
        on_step: Callable[[int], None],
    ) -> Batch:
        """See Producer."""
        return self._batch(*self._games.play(n_games, should_stop=should_stop, on_step=on_step))

    @abstractmethod
    def _batch(self, games: NDArray[np.void], stats: SelfPlayStats) -> Batch:
        """What is handed on of these games."""

    def close(self) -> None:
        """See Producer."""
        self._games.close()


class SelfPlayProducer(_GroupsProducer[SelfPlayConfig]):
    """The network against itself, by search, and against an opponent where there is one."""

    source = SELFPLAY.source

    def __init__(
        self, config: SelfPlayConfig, games: SelfPlay, opponent: Opponent | None = None
    ) -> None:
        super().__init__(config, games)
        self._opponent = opponent

    def describe(self) -> str:
        text = f"{self._games.nbytes / 2**20:.0f} MiB of trees"
        if (other := self._opponent) is not None:
            text += f", against {other.facts['opponent']} in {other.share:.0%} of the games"
        return text

    def _batch(self, games: NDArray[np.void], stats: SelfPlayStats) -> Batch:
        facts = {
            **encode(self._config.search),
            "worlds": self._config.worlds,
            "evaluations": stats.evaluations,
            "cache_hits": stats.cache_hits,
            "solved": stats.solved,
            **(self._opponent.facts if self._opponent else {}),
        }
        return Batch(
            games=games,
            n_examples=N_PLIES * len(games),
            finished=stats.finished,
            seconds=stats.seconds,
            facts=facts,
        )


class TeachingProducer(_GroupsProducer[TeachingConfig]):
    """The bare network against itself; a teacher says what the plays of its decisions are worth."""

    @property
    def source(self) -> str:
        """See Producer."""
        is_whole = isinstance(self._config, WholeHandsConfig)
        return GAME.source if is_whole else BY_MODE[self._config.teacher].source

    def describe(self) -> str:
        config = self._config
        labels = "exact values" if config.teacher == "exact" else "rollouts"
        where = f"{config.n_worlds} worlds" if config.n_worlds else "the deal itself"
        text = f"{labels} of {config.label_share:.0%} of the decisions on {where}"
        if isinstance(config, WholeHandsConfig):
            text += f", auctions in {config.auction_share:.0%} of the hands"
        return text

    def _batch(self, games: NDArray[np.void], stats: SelfPlayStats) -> Batch:
        config = self._config
        n_labels = int(games["policy"].any(axis=2).sum())
        facts = {
            **encode(config),
            "labels": n_labels,
            "evaluations": stats.evaluations,
            "rollouts": stats.rollouts,
            "solver_calls": stats.solver_calls,
        }
        return Batch(
            games=games,
            n_examples=n_labels,
            finished=stats.finished,
            seconds=stats.seconds,
            facts=facts,
            remark=f", {n_labels / max(len(games), 1):.1f} labels a game",
        )


def open_producer(
    config: SelfPlayConfig | EvalAuxConfig | TeachingConfig,
    evaluator: BatchEvaluator,
    *,
    seed: int,
    first_game: int,
    opponent: Opponent | None = None,
) -> Producer:
    """The producer that ``config`` is of; ``opponent``: of self-play."""
    if isinstance(config, SelfPlayConfig):
        forest = SelfPlayForest if opponent is None else opponent.forest
        games = SelfPlay(evaluator, config=config, seed=seed, first_game=first_game, forest=forest)
        return SelfPlayProducer(config, games, opponent)
    if isinstance(config, WholeHandsConfig):
        hands = WholeHands(evaluator, config=config, seed=seed, first_game=first_game)
        return TeachingProducer(config, hands)
    if isinstance(config, TeachingConfig):
        labelled = Teaching(evaluator, config=config, seed=seed, first_game=first_game)
        return TeachingProducer(config, labelled)
    from zebfast.worker.eval_aux.producer import EvalAuxProducer

    return EvalAuxProducer(evaluator, config=config, seed=seed, first_game=first_game)
