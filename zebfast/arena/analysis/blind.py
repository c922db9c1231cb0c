"""What each play is worth to a seat that sees only what it sees.

Layouts of the hidden dominoes are drawn that agree with all that the seat knows, and weighed by
how likely the network would have made the others' plays in them (`world_weights`). In each of them
every legal domino is played, and then everybody plays the network's favourite to the end, from what
that seat knows. Nobody looks into another's hand, so that what comes out is what would have
happened among such players, up to chance, and no promise of open hands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.world_weights import WorldSource
from zebfast.arena.table.players import seen_game
from zebfast.core.engine import GameBatch, mask_of
from zebfast.core.masks import domino_bits
from zebfast.core.records import OBS_DTYPE
from zebfast.core.rollouts import RolloutGames
from zebfast.rules import N_DECLARATIONS, N_DOMINOES, N_SEATS, TOTAL_POINTS, SeatView
from zebfast.selfplay.groups import SLICE_SECONDS, core_of

if TYPE_CHECKING:
    from zebfast.selfplay.groups import BatchEvaluator

N_WORLDS = 96
#: What a point more is worth beside the chance of the contract, where plays are ranked.
POINT = 0.01


#: By how much the log odds of chances are taken back, by tricks that are complete: everybody plays
#: the favourites in every layout, and so chances come out too sure of themselves while much is
#: hidden. Fitted to 1,787 decisions of 45 games of network players (seed 43); `python -m bench.play
#: hints` holds what is shown against other games.
SURENESS = (0.55, 0.55, 0.75, 0.75, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Outlook:
    """What the plays of one decision came to; the first axis is the legal domino, in order.

    Attributes:
        dominoes: the legal ones, ascending.
        points: f8[k, n], final points of the seat's own side in each of n layouts.
        success: bool[k, n], whether its contract is made there, or for defenders set.
        weights: f8[n], of the layouts; their sum is 1.
        belief: f8[28, 4], how likely each seat holds a domino that the viewer cannot see.
        n_plays: that were made in the hand before.
    """

    dominoes: tuple[int, ...]
    points: NDArray[np.int64]
    success: NDArray[np.bool_]
    weights: NDArray[np.float64]
    belief: NDArray[np.float64]
    n_plays: int

    @property
    def stated(self) -> NDArray[np.float64]:
        """The chances f8[k] as they may be told: none certain, and no surer than they come true."""
        size = 1.0 / float((self.weights**2).sum())
        chances = (self.chances * size + 0.5) / (size + 1.0)
        odds = SURENESS[self.n_plays // N_SEATS] * np.log(chances / (1.0 - chances))
        found: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-odds))
        return found

    @property
    def chances(self) -> NDArray[np.float64]:
        """Chance f8[k] that the contract ends as the seat's side wants it."""
        found: NDArray[np.float64] = self.success @ self.weights
        return found

    @property
    def mean_points(self) -> NDArray[np.float64]:
        """Points f8[k] of the seat's side, on average."""
        found: NDArray[np.float64] = self.points @ self.weights
        return found

    @property
    def worth(self) -> NDArray[np.float64]:
        """What plays are ranked by, f8[k]: the chance, and POINT for every point."""
        return self.chances + POINT * self.mean_points

    @property
    def best(self) -> int:
        """The domino that is worth most, the lowest of equals."""
        return self.dominoes[int(np.argmax(self.worth))]

    def behind(self, domino: int) -> tuple[float, float]:
        """How much less a domino is worth than the best, and the standard error of that.

        In the same layouts: what both share cancels out.
        """
        at, best = self.dominoes.index(domino), self.dominoes.index(self.best)
        worth = self.success + POINT * self.points
        gap = (worth[best] - worth[at]).astype(np.float64)
        mean = float(gap @ self.weights)
        spread = float(((gap - mean) ** 2) @ self.weights)
        size = 1.0 / float((self.weights**2).sum())
        return mean, math.sqrt(spread / max(size - 1.0, 1.0))


class BlindSearch:
    """Tries plays out in layouts. Keeps nothing between calls; for one thread.

    Args:
        evaluator: the network whose favourites everybody plays.
        n_worlds: layouts that are drawn for a decision.
        seed: of the draws; a decision's own number follows from what its seat knows.
    """

    def __init__(
        self, evaluator: BatchEvaluator, *, n_worlds: int = N_WORLDS, seed: int = 0
    ) -> None:
        self._evaluator = evaluator
        self._worlds = WorldSource("play", 1.0, evaluator)
        self._n_worlds = n_worlds
        self._seed = seed

    def look(self, view: SeatView) -> Outlook:
        """The outlook of a seat that is to play a straight hand. ValueError for any other view."""
        if view.phase != "play" or view.decl is None or view.decl >= N_DECLARATIONS:
            raise ValueError("the seat is not to play a straight hand")
        games = _batch(view)
        number = np.array([mask_of(view.dealt) << 8 | view.hand_number & 0xFF], np.uint64)
        rng = PlayRng(seed=self._seed, games=number, plies=games.n_plays)
        worlds, logs = self._worlds.draw(games, rng, 0, self._n_worlds, None)
        weights = np.exp(logs[0] - logs[0].max())
        weights /= weights.sum()
        dominoes = tuple(sorted(view.legal))
        points = self._points(worlds, dominoes)[:, :, view.seat % 2]
        return Outlook(
            dominoes, points, _success(view, points), weights, _belief(worlds, weights, view),
            len(view.plays),
        )  # fmt: skip

    def _points(self, worlds: GameBatch, dominoes: Sequence[int]) -> NDArray[np.int64]:
        """Final points i8[k, n, 2] of both teams after each domino in each layout."""
        n, k = len(worlds), len(dominoes)
        games = worlds.take(np.tile(np.arange(n), k))
        games.play(np.repeat(np.array(dominoes, np.uint8), n))
        rollouts = RolloutGames(games)
        if (core := core_of(self._evaluator)) is not None:
            while not rollouts.run(core, seconds=SLICE_SECONDS):
                pass
        else:
            obs = np.empty(len(rollouts), OBS_DTYPE)
            evals = np.empty((len(rollouts), 8), np.float32)
            while asked := rollouts.advance(obs):
                self._evaluator.evaluate(obs[:asked], evals[:asked])
                rollouts.play_greedy(evals[:asked])
        return rollouts.games.points.reshape(k, n, 2).astype(np.int64)


def _batch(view: SeatView) -> GameBatch:
    game = seen_game(view)
    batch = GameBatch([game.dealt], [game.decl], [game.leader])
    for _, domino in game.plays:
        batch.play([domino])
    return batch


def _success(view: SeatView, points: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the contract ends well for the viewer's side that has so many points."""
    assert view.bidder is not None
    need = min(view.bid, TOTAL_POINTS)
    if view.seat % 2 == view.bidder % 2:
        return np.asarray(points >= need)
    return np.asarray(points > TOTAL_POINTS - need)


def _belief(worlds: GameBatch, weights: NDArray[np.float64], view: SeatView) -> NDArray[np.float64]:
    """Chances f8[28, 4] of where dominoes are that nobody has shown; 0 for the others."""
    held = domino_bits(worlds.held).astype(np.float64)  # layouts, seats, dominoes
    found: NDArray[np.float64] = np.tensordot(weights, held, axes=1).T.copy()
    found[list(view.hand)] = 0.0
    assert found.shape == (N_DOMINOES, N_SEATS)
    return found
