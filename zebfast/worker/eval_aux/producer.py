"""E[Q] against the network, every deal both ways: outcomes and beliefs of strong play as labels.

Game 2i and 2i + 1 are deal i of stream LABEL_DEAL of the seed, E[Q] as team 0 in the first and as
team 1 in the second. A game depends on (seed, its number, weights, config) alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.labels import label_games, slot_values
from zebfast.arena.pairs import Bids, Dominoes, PairedGames, PlayRng, Rows
from zebfast.arena.players.base import NetworkPlayer
from zebfast.arena.players.pimc import PimcPlayer
from zebfast.arena.players.specs import solver_deals_per_chunk
from zebfast.arena.stats import MatchTally, PlayedDeals
from zebfast.core.engine import GameBatch
from zebfast.core.records import GAME_DTYPE
from zebfast.core.solver_pool import SolverPool
from zebfast.rules import HAND_SIZE, N_PLIES, Stream
from zebfast.selfplay.groups import BatchEvaluator
from zebfast.selfplay.producer_kinds import EVAL_AUX
from zebfast.system.signals import Stopped, interrupting
from zebfast.worker.config import EvalAuxConfig
from zebfast.worker.producer import Batch

OBJECTIVE = "points"


class EvalAuxProducer:
    """Games of E[Q] against a network's bare policy, taken in order of their number.

    Args:
        evaluator: the network; its weights may be swapped between calls of ``play``.
        config: see EvalAuxConfig.
        seed: of deals, worlds and the network's draws (counter-based: nothing is consumed).
        first_game: number of the first game; an odd one is rounded up to the next deal.
    """

    source = EVAL_AUX.source

    def __init__(
        self, evaluator: BatchEvaluator, *, config: EvalAuxConfig, seed: int, first_game: int = 0
    ) -> None:
        self.config, self.seed = config, seed
        self.next_game = first_game + first_game % 2
        self._pool = SolverPool(config.n_threads)
        name = f"eq:n={config.n_samples}"
        self._eq = PimcPlayer(
            name=name, n_worlds=config.n_samples, objective=OBJECTIVE, pool=self._pool
        )
        self._network = NetworkPlayer(
            name="network", evaluator=evaluator, temperature=config.zeb_temperature
        )

    def describe(self) -> str:
        threads = self.config.n_threads
        return f"against E[Q] over {self.config.n_samples} worlds ({threads} threads)"

    def play(
        self,
        n_games: int,
        *,
        should_stop: Callable[[], bool],
        on_step: Callable[[int], None],
    ) -> Batch:
        """The next ``n_games`` (even) games. Told to stop, it gives those of finished deals.

        Raises:
            ValueError: n_games is odd: a deal would be played one way only.
        """
        if n_games < 2 or n_games % 2:
            raise ValueError(f"{n_games} games: expected an even number, each deal is two games")
        began, parts, tally = time.perf_counter(), [np.zeros(0, GAME_DTYPE)], MatchTally()
        while tally.games < n_games:
            n_deals = min(
                solver_deals_per_chunk(self.config.n_samples), (n_games - tally.games) // 2
            )
            played = self._play_deals(n_deals, should_stop)
            if played is None:
                break
            games, results = played
            parts.append(games)
            tally.add(results)
            self.next_game += len(games)
            on_step(tally.games)
        games = np.concatenate(parts)
        return Batch(
            games=games,
            n_examples=N_PLIES * len(games),
            finished=tally.games,
            seconds=time.perf_counter() - began,
            facts=self._facts(tally),
            remark=f", eq_win_rate={tally.wins / max(tally.games, 1):.3f}",
        )

    def _play_deals(
        self, n_deals: int, should_stop: Callable[[], bool]
    ) -> tuple[NDArray[np.void], PlayedDeals] | None:
        """The next deals both ways, all side by side; None when told to stop on the way."""
        paired = PairedGames(
            seed=self.seed,
            first_deal=self.next_game // 2,
            n_deals=n_deals,
            stream=Stream.LABEL_DEAL,
        )
        values = np.full((2 * n_deals, N_PLIES, HAND_SIZE), np.nan)

        def choose_eq(batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
            decided = self._eq.decide(batch, rows, rng, bids)
            values[rows, rng.plies] = slot_values(batch, rows, decided.points)
            return decided.dominoes

        try:
            with interrupting(should_stop):  # a play of all these games can take a minute
                while not paired.over:
                    if should_stop():
                        return None
                    paired.advance(choose_eq, self._network.choose)
        except Stopped:
            return None
        known = values if self.config.eq_policy_targets else None
        temperature = self.config.target_temperature
        return label_games(paired.batch, values=known, temperature=temperature), paired.played()

    def _facts(self, tally: MatchTally) -> dict[str, Any]:
        config = self.config
        targets: dict[str, Any] = {"policy_targets": "actor"}
        if config.eq_policy_targets:
            temperature = config.target_temperature
            targets = {"policy_targets": "eq", "target_temperature": temperature}
        return {
            "n_samples": config.n_samples,
            "objective": OBJECTIVE,
            "zeb_temperature": config.zeb_temperature,
            **targets,
            "eq_wins": tally.wins,
            "eq_losses": tally.losses,
            "eq_ties": tally.ties,
            "eq_mean_margin": tally.margin_sum / max(tally.games, 1),
        }

    def close(self) -> None:
        self._pool.close()
