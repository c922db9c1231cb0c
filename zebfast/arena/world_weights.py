"""Worlds for a search, and how likely each is, from what is known of the others' hands.

none   every world that agrees with what the seat knows is as likely as any other
head   drawn in proportion to the belief head's probabilities of who holds what
play   drawn alike, weighted by how likely the network would have made the others' plays there
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.draws import PlayDraws
from zebfast.core.engine import GameBatch
from zebfast.core.lanes import laid_out, rewound
from zebfast.core.records import OBS_DTYPE
from zebfast.core.worlds import sample_worlds
from zebfast.rules import Stream

if TYPE_CHECKING:
    from zebfast.selfplay.games import Evaluator

#: Chance that a play was none of the network's: keeps a world that it thinks absurd in the race.
SURPRISE = 0.02

#: For OBS_DTYPE[k]: probabilities f8[k, 28, 3] of who was dealt a domino: left, partner, right.
Belief = Callable[[np.ndarray], NDArray[np.float64]]


@dataclass(frozen=True)
class WorldSource:
    """Draws worlds of decisions; world i is the i-th of stream EVAL_WORLDS of the match's seed.

    Attributes:
        belief: one of rollout_options.BELIEFS.
        power: of the probabilities that `head` and `play` go by; 1 takes them as they are.
        evaluator: whose policy `play` asks.
        head: what `head` asks; None for the others.
    """

    belief: str
    power: float
    evaluator: Evaluator
    head: Belief | None = None

    def weights(self, games: GameBatch) -> NDArray[np.float64] | None:
        """What worlds are drawn by, f8[k, 28, 4] by domino and seat; None: all alike.

        A viewer's own column is not looked at.
        """
        if self.head is None:
            return None
        chances = np.maximum(self.head(games.observe()), SURPRISE) ** self.power
        out = np.ones((len(games), 28, 4))
        seats = (games.to_play[:, None] + np.arange(1, 4)) & 3
        np.put_along_axis(out, seats[:, None, :], chances, axis=2)
        return out

    def draw(
        self,
        games: GameBatch,
        draws: PlayDraws,
        first: int,
        last: int,
        weights: NDArray[np.float64] | None,
    ) -> tuple[GameBatch, NDArray[np.float64]]:
        """Worlds first..last-1 of every game as games, n a game, and their log weights f8[k, n].

        ``weights``: those of the games, which are worked out once however often worlds are drawn.
        """
        hands = sample_worlds(
            games,
            None,
            last - first,
            seed=draws.seed,
            game_numbers=draws.games,
            stream=Stream.EVAL_WORLDS,
            first=first,
            weights=weights,
        )
        worlds = laid_out(games, None, hands)
        logs = np.zeros(hands.shape[:2])
        if self.belief == "play":
            logs = self.power * past_log_likelihoods(worlds, self.evaluator).reshape(logs.shape)
        return worlds, logs


def past_log_likelihoods(worlds: GameBatch, evaluator: Evaluator) -> NDArray[np.float64]:
    """Log likelihood f8[m] of what the seats not to play have played so far, by a network's policy.

    A seat that saw the same in several worlds is asked about once.
    """
    viewers, n_plays, seats = worlds.to_play, worlds.n_plays, worlds.seats
    history = worlds.history
    out = np.zeros(len(worlds))
    for ply in range(int(n_plays.max(initial=0))):
        rows = np.flatnonzero((n_plays > ply) & (seats[:, ply] != viewers))
        if not len(rows):
            continue
        past = rewound(worlds.take(rows), ply)
        legal = past.legal()
        choice = np.flatnonzero(legal & (legal - np.uint32(1)))
        seen = past.observe(choice)
        if len(seen):
            out[rows[choice]] += _log_policy(seen, history[rows[choice], ply], evaluator)
    return out


def _log_policy(
    seen: np.ndarray, dominoes: NDArray[np.uint8], evaluator: Evaluator
) -> NDArray[np.float64]:
    """Log probabilities f8[m] of plays, whose seats saw OBS_DTYPE[m]."""
    whole = np.ascontiguousarray(seen).view(np.dtype((np.void, OBS_DTYPE.itemsize)))
    distinct, which = np.unique(whole, return_inverse=True)
    observations = distinct.view(OBS_DTYPE)
    evals = np.empty((len(observations), 8), np.float32)
    evaluator.evaluate(observations, evals)
    below = (np.uint32(1) << dominoes.astype(np.uint32)) - np.uint32(1)
    slots = np.bitwise_count(seen["hand"] & below)
    made = evals[which, slots].astype(np.float64)
    logs: NDArray[np.float64] = np.log((1.0 - SURPRISE) * made + SURPRISE / 7)
    return logs
