"""Labelled hands of whole games: auctions by the network, then play that a teacher labels.

The teacher is that of rollouts: a legal play is worth what comes of it when all four seats go on
with the network's favourites, each seeing its own hand and the contract. A label's balance is then
the chance of the contract, for the side of the seat that plays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zebfast.core.labelling import LabelledGames
from zebfast.selfplay.auctions import AuctionOptions, Auctions
from zebfast.selfplay.groups import BatchEvaluator, GroupedGames
from zebfast.selfplay.teaching import TeachingConfig
from zebfast.system.settings import SettingError

if TYPE_CHECKING:
    from zebfast.core.network import Network

_CHUNK = 256  # hands whose auctions are held together: some tenths of a second


@dataclass(frozen=True, kw_only=True)
class WholeHandsConfig(AuctionOptions, TeachingConfig):
    """What hands begin with, how they are labelled, and how many are played at once."""

    teacher: str = "rollout"

    def __post_init__(self) -> None:
        AuctionOptions.__post_init__(self)
        TeachingConfig.__post_init__(self)
        if self.teacher != "rollout":
            raise SettingError(f"teacher is {self.teacher}: expected rollout")


class WholeHands(GroupedGames):
    """An endless sequence of labelled hands, GAME_DTYPE with contracts, play values in ``policy``.

    Args:
        evaluator: the network; its weights may be swapped between calls of ``play``. Auctions that
            were held ahead of the play stay as they are.
        config: see WholeHandsConfig.
        seed: of all randomness (counter-based: nothing is consumed).
        first_game: number of the first hand.
    """

    def __init__(
        self,
        evaluator: BatchEvaluator,
        *,
        config: WholeHandsConfig,
        seed: int,
        first_game: int = 0,
    ) -> None:
        self.config = config
        super().__init__(
            evaluator,
            partial(AuctionedGames, evaluator=evaluator, config=config, seed=seed),
            n_parallel=config.n_parallel_games,
            n_groups=config.n_groups,
            first_game=first_game,
        )


class AuctionedGames:
    """LabelledGames of which each begins with what Auctions gives: an Engine.

    Args:
        n_games: side by side.
        evaluator: whose values price the calls; asked in the thread that runs the games.
    """

    def __init__(
        self,
        n_games: int,
        *,
        evaluator: BatchEvaluator,
        config: WholeHandsConfig,
        seed: int,
        first_game: int,
        stride: int,
    ) -> None:
        self._evaluator, self._n_games = evaluator, n_games
        self._limit = self._begun = self._n_priced = 0
        self._games = LabelledGames(
            n_games, options=config, seed=seed, first_game=first_game, stride=stride, given=True
        )
        self._auctions = Auctions(
            self._values, options=config, seed=seed, first_game=first_game, stride=stride
        )

    def _values(self, obs: NDArray[np.void]) -> NDArray[np.float32]:
        evals = np.zeros((len(obs), 8), np.float32)
        self._evaluator.evaluate(obs, evals)
        self._n_priced += len(obs)
        return evals[:, 7]

    def _feed(self) -> None:
        """Have auctions held for as many hands as may be begun soon."""
        while self._begun < self._limit and self._games.n_unstarted < self._n_games:
            n = min(_CHUNK, self._limit - self._begun)
            self._games.begin(self._auctions.starts(self._begun, n))
            self._begun += n

    @property
    def room(self) -> int:
        return self._games.room

    @property
    def waiting(self) -> int:
        return self._games.waiting

    @property
    def nbytes(self) -> int:
        return self._games.nbytes

    def allow(self, limit: int) -> None:
        self._limit = max(self._limit, limit)

    def select(self, obs: NDArray[np.void], /) -> int:
        while True:
            self._feed()
            n = self._games.select(obs)
            if n or self._begun == self._limit:
                return n

    def update(self, evals: NDArray[np.float32], /) -> None:
        self._games.update(evals)

    def run(
        self,
        network: Network,
        obs: NDArray[np.void],
        evals: NDArray[np.float32],
        *,
        seconds: float,
        until: int,
    ) -> tuple[bool, dict[str, float]]:
        self._feed()
        more, spent = self._games.run(network, obs, evals, seconds=seconds, until=until)
        return more or self._begun < self._limit, spent

    def clear_cache(self) -> None:
        self._games.clear_cache()

    def take(self) -> NDArray[np.void]:
        return self._games.take()

    def counts(self) -> dict[str, int]:
        counts = self._games.counts()
        return {**counts, "evaluations": counts["evaluations"] + self._n_priced}
