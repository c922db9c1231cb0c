"""OpenSpiel's search over information sets as a player: ISMCTS with random rollouts, in Python.

Cowling, Powley and Whitehouse, "Information Set Monte Carlo Tree Search", 2012; the bot is that of
`open_spiel.python.algorithms.ismcts`, and worlds come from our sampler. It is a yardstick that
others know, at equal time; what it plays is decided by its clock, and so not the same every time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zebfast.arena.openspiel import HandGame, HandState
from zebfast.arena.pairs import Bids, Dominoes, PlayRng, Rows
from zebfast.arena.players.specs import IsmctsOptions
from zebfast.core.engine import GameBatch
from zebfast.core.masks import has_choice, lowest_bits
from zebfast.rules import TOTAL_POINTS


@dataclass(kw_only=True, eq=False)
class IsmctsPlayer:
    """One search for each decision, until its time is up or its simulations are made.

    Attributes:
        clock: seconds, for options.seconds.
    """

    name: str
    options: IsmctsOptions
    clock: Callable[[], float] = time.perf_counter

    def choose(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        """See Player.choose."""
        legal = batch.legal(rows)
        dominoes = lowest_bits(legal)
        seeds = rng.bits()
        for i in np.flatnonzero(has_choice(legal)):
            dominoes[i] = self._search(batch, int(rows[i]), int(seeds[i]), int(bids[i]))
        return dominoes

    def _search(self, batch: GameBatch, row: int, seed: int, bid: int) -> int:
        from open_spiel.python.algorithms.ismcts import ISMCTSBot
        from open_spiel.python.algorithms.mcts import RandomRolloutEvaluator

        options, began = self.options, self.clock()
        hand = batch.game(row)
        aims = options.objective == "make"
        if hand.contract is not None:  # the side that leads first has it
            aims, bid = True, min(hand.contract.bid, TOTAL_POINTS)
        game = HandGame({"rewards": "contract" if aims else "win", "bid": bid})
        draws = np.random.RandomState(seed & 0xFFFFFFFF)
        rollouts = RandomRolloutEvaluator(n_rollouts=1, random_state=draws)
        bot = ISMCTSBot(game, rollouts, options.c, max_simulations=1, random_state=draws)
        state = game.state_like(hand)
        return _best(bot, state, self._more(began), draws)

    def _more(self, began: float) -> Callable[[int], bool]:
        """Whether to go on after so many simulations."""
        if self.options.seconds:
            ends = began + self.options.seconds
            return lambda done: self.clock() < ends
        return lambda done: done < self.options.n_simulations


def _best(bot: Any, state: HandState, more: Callable[[int], bool], draws: Any) -> int:
    """The most visited play; the bot's own loop, but that it ends when it is told.

    The bot's resampler draws from the system's randomness, so it is given ours.
    """
    bot.set_resampler(lambda of, player: of.resample_from_infostate(player, draws.uniform))
    bot.reset()
    bot._root_node = root = bot.create_new_node(state)
    done = 0
    while done < 2 or more(done):  # the first simulation only makes the root's node
        bot.run_simulation(bot.sample_root_state(state))
        done += 1
    visits = {int(action): float(child.visits) for action, child in root.child_info.items()}
    return max(visits, key=lambda action: (visits[action], -action))
