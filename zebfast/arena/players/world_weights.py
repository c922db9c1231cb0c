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

from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.base import EVALUATION_ROWS
from zebfast.core.engine import GameBatch
from zebfast.core.masks import followers, has_choice
from zebfast.core.records import POSITION_DTYPE
from zebfast.core.rollouts import laid_out, past_choices
from zebfast.core.solve import NO_PLAY
from zebfast.core.solver_pool import SolverPool
from zebfast.core.worlds import sample_worlds
from zebfast.rules import N_DOMINOES, N_SEATS, Stream

if TYPE_CHECKING:
    from zebfast.net.checkpoint import Checkpoint
    from zebfast.selfplay.groups import BatchEvaluator

#: Chance that a play was none of the network's: keeps a world that it thinks absurd in the race.
SURPRISE = 0.02

_WORLDS_AT_ONCE = 2048  # whose past is looked at together; bounds memory

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
    evaluator: BatchEvaluator
    head: Belief | None = None

    def weights(self, games: GameBatch) -> NDArray[np.float64] | None:
        """What worlds are drawn by, f8[k, 28, 4] by domino and seat; None: all alike.

        A viewer's own column is not looked at.
        """
        if self.head is None:
            return None
        chances = np.maximum(self.head(games.observe()), SURPRISE) ** self.power
        out = np.ones((len(games), N_DOMINOES, N_SEATS))
        seats = (games.to_play[:, None] + np.arange(1, N_SEATS)) & 3
        np.put_along_axis(out, seats[:, None, :], chances, axis=2)
        return out

    def draw(
        self,
        games: GameBatch,
        rng: PlayRng,
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
            seed=rng.seed,
            game_numbers=rng.games,
            stream=Stream.EVAL_WORLDS,
            first=first,
            weights=weights,
        )
        worlds = laid_out(games, None, hands)
        logs = np.zeros(hands.shape[:2])
        if self.belief == "play":
            logs = self.power * past_log_likelihoods(worlds, self.evaluator).reshape(logs.shape)
        return worlds, logs


def past_log_likelihoods(worlds: GameBatch, evaluator: BatchEvaluator) -> NDArray[np.float64]:
    """Log likelihood f8[m] of what the seats not to play have played so far, by a network's policy.

    A seat that saw the same in several worlds is asked about once.
    """
    out = np.zeros(len(worlds))
    for first in range(0, len(worlds), _WORLDS_AT_ONCE):
        part = np.arange(first, min(first + _WORLDS_AT_ONCE, len(worlds)))
        out[part] = _log_likelihoods(*past_choices(worlds.take(part)), evaluator)
    return out


def _log_likelihoods(
    seen: np.ndarray, asked: NDArray[np.int32], evaluator: BatchEvaluator
) -> NDArray[np.float64]:
    """Of each of m worlds, f8[m], with what `past_choices` says of them."""
    evals = np.empty((len(seen), 8), np.float32)
    for first in range(0, len(seen), EVALUATION_ROWS):
        rows = slice(first, first + EVALUATION_ROWS)
        evaluator.evaluate(seen[rows], evals[rows])
    chose, logs = asked >= 0, np.zeros(asked.shape)
    made = evals.ravel()[asked[chose]].astype(np.float64)
    logs[chose] = np.log((1.0 - SURPRISE) * made + SURPRISE / 7)
    # In the order of plays, whatever else is asked: a world's likelihood hangs on that world alone.
    likelihoods: NDArray[np.float64] = logs.cumsum(axis=1)[:, -1]
    return likelihoods


@dataclass(frozen=True)
class _Decision:
    """One past play of one game, in those of its worlds where there was a choice.

    positions: POSITION_DTYPE[m]. game, worlds: where they belong in the answer, worlds intp[m].
    """

    positions: np.ndarray
    game: int
    worlds: NDArray[np.intp]
    seat: int
    domino: int


def log_likelihoods(
    batch: GameBatch,
    rows: NDArray[np.intp],
    hands: NDArray[np.uint32],
    *,
    real: NDArray[np.bool_],
    beta: float,
    pool: SolverPool,
) -> NDArray[np.float64]:
    """Log likelihood f8[k, n] of what the other seats have played, in n worlds of each game.

    hands u4[k, n, 4] are the layouts as they stand, seen by the seats to play, whose own plays do
    not count. Worlds that are not `real` bool[k, n] are left at 0.
    """
    out = np.zeros(hands.shape[:2], np.float64)
    decisions = [
        decision
        for game, row in enumerate(rows)
        for decision in _past_decisions(batch.take([row]), game, hands[game], real[game])
    ]
    if not decisions:
        return out
    values = pool.play_values(np.concatenate([one.positions for one in decisions]))
    ends = np.cumsum([len(one.positions) for one in decisions])[:-1]
    for one, found in zip(decisions, np.split(values, ends), strict=True):
        out[one.game, one.worlds] += _log_probabilities(found, one.seat, one.domino, beta)
    return out


def _past_decisions(
    game: GameBatch, number: int, hands: NDArray[np.uint32], real: NDArray[np.bool_]
) -> list[_Decision]:
    """The plays of seats other than the one to play, latest first, where a world gave a choice."""
    history, seats = game.history[0], game.seats[0]
    viewer, decl = int(game.to_play[0]), int(game.decl[0])
    held = hands.copy()  # as they were before the play looked at
    found = []
    for ply in reversed(range(int(game.n_plays[0]))):
        seat, domino = int(seats[ply]), int(history[ply])
        held[:, seat] |= np.uint32(1 << domino)
        if seat == viewer:
            continue
        first = ply - ply % N_SEATS
        table = history[first:ply]
        legal = held[:, seat]
        if len(table):
            following = legal & followers()[decl, table[0]]
            legal = np.where(following != 0, following, legal)
        worlds = np.flatnonzero(real & has_choice(legal))
        if not len(worlds):
            continue
        positions = np.zeros(len(worlds), POSITION_DTYPE)
        positions["hands"] = held[worlds]
        positions["decl"], positions["leader"] = decl, seats[first]
        positions["n_table"] = len(table)
        positions["table"][:, : len(table)] = table
        found.append(_Decision(positions, number, worlds, seat, domino))
    return found


def _log_probabilities(
    values: NDArray[np.int8], seat: int, domino: int, beta: float
) -> NDArray[np.float64]:
    """Log probability f8[m] of the play, from play values i1[m, 28] (team 0 minus team 1)."""
    # A point more for one side is a point less for the other: it moves the difference by two.
    own = values.astype(np.float64) * (-0.5 if seat & 1 else 0.5)
    own[values == NO_PLAY] = -np.inf
    scaled = beta * (own - own.max(axis=1, keepdims=True))
    logs: NDArray[np.float64] = scaled[:, domino] - np.log(np.exp(scaled).sum(axis=1))
    return logs


class BeliefHead:
    """Asks the belief head of a checkpoint, on the CPU in fp32.

    Raises ValueError (one sentence) for a network without one.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        if not checkpoint.config.belief_head:
            raise ValueError("belief=head needs a network with a belief head, which this one lacks")
        from zebfast.net.heads import open_heads

        self._ask = open_heads(checkpoint.config, checkpoint.weights)

    def __call__(self, observations: np.ndarray) -> NDArray[np.float64]:
        """Probabilities f8[k, 28, 3] that each domino was dealt to the left, partner or right."""
        from zebfast.net.heads import softmax

        logits = self._ask(observations).belief
        assert logits is not None
        return softmax(logits)
