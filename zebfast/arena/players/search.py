"""The rollout player: the best response, in worlds it thinks possible, to seats that play like the
network. See rollouts.py for what a play is worth, and race.py for how worlds are shared out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import PlayDraws
from zebfast.arena.players.base import ThinkingPlayer, slot_dominoes
from zebfast.arena.players.heuristics import mask_bits
from zebfast.arena.players.options import RolloutOptions
from zebfast.arena.players.pimc import Race
from zebfast.arena.players.world_weights import WorldSource
from zebfast.core.engine import GameBatch
from zebfast.core.forest import Forest
from zebfast.core.options import SearchOptions
from zebfast.core.records import OBS_DTYPE
from zebfast.core.rollouts import RolloutGames
from zebfast.rules import N_DOMINOES, N_PLIES, N_SEATS, Stream
from zebfast.selfplay.play_values import EPSILON, TAU

if TYPE_CHECKING:
    from zebfast.core.solver_pool import SolverPool
    from zebfast.selfplay.config import Evaluator

# --- Rollouts: what every legal play of a decision leads to in worlds that its player thinks
# possible.


@dataclass(frozen=True)
class Rollouts:
    """How games are played on, and what they are worth.

    A game is worth its sign and EPSILON for each point ahead, as in what networks learn; a rollout
    truncated by value the network's value, or else the sign alone, which is what that is a mean of.

    Attributes:
        evaluator: whose favourites are played.
        pool: solves the rest once hands are open; the caller owns it.
        exact_tricks: hands are open for so many last tricks, 0..7.
        depth: tricks from the one on the table on, which counts, that are played before hands are
            opened, or before a choice of the player is valued; None for no such limit.
        by_value: which of the two.
    """

    evaluator: Evaluator
    pool: SolverPool
    exact_tricks: int
    depth: int | None = None
    by_value: bool = False

    def utilities(self, worlds: GameBatch, plays: NDArray[np.uint32]) -> NDArray[np.float32]:
        """What each play is worth to the side to play.

        Args:
            worlds: m games that are not over, every hand as it is in a world.
            plays: u4[m], masks of legal dominoes to be tried in each.

        Returns:
            f4[m, 28] by domino, NaN for dominoes that are not tried.
        """
        tried = mask_bits(plays)
        at, dominoes = np.nonzero(tried)
        games = worlds.take(at)
        players, before = games.to_play, games.n_plays.astype(np.int64)
        games.play(dominoes.astype(np.uint8))
        out = np.full(tried.shape, np.nan, np.float32)
        out[at, dominoes] = self._worth(games, players, before)
        return out

    def _worth(
        self, games: GameBatch, players: NDArray[np.uint8], before: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Utilities f4[n] for the sides of players u1[n], whose play came after `before` i8[n]."""
        last = np.full(len(games), N_PLIES - N_SEATS * self.exact_tricks)
        limit = last
        if self.depth is not None:
            limit = np.minimum(last, N_SEATS * (before // N_SEATS + self.depth))
        if not self.by_value:
            ended, _ = self._played_on(games, limit)
            margins = self._margins(ended, players)
            ahead: NDArray[np.float32] = np.sign(margins) + np.float32(EPSILON) * margins
            return ahead
        ended, values = self._played_on(games, last, (players, limit))
        rest = np.flatnonzero(np.isnan(values))
        values[rest] = np.sign(self._margins(ended.take(rest), players[rest]))
        return values

    def _margins(self, games: GameBatch, players: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Final points f4[n] of the player's side less the other's, what is to come solved."""
        points = games.points.astype(np.float32)
        margins: NDArray[np.float32] = points[:, 0] - points[:, 1]
        rest = np.flatnonzero(~games.over)
        if len(rest):
            margins[rest] += self.pool.values(games.positions(rest))
        return np.where(players & 1 == 0, margins, -margins)

    def _played_on(
        self,
        games: GameBatch,
        until: NDArray[np.int64],
        valued: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None,
    ) -> tuple[GameBatch, NDArray[np.float32]]:
        """The games with favourites played until so many plays are made, int64[n].

        `valued`: seats u1[n] whose first choice from so many plays on, int64[n], ends their game.

        Returns:
            The games, and the network's values f4[n] of those choices, NaN where none was met.
        """
        rollouts = RolloutGames(games, until=until)
        values = np.full(len(games), np.nan, np.float32)
        observations = np.empty(len(games), OBS_DTYPE)
        evals = np.empty((len(games), 8), np.float32)
        while n := rollouts.advance(observations):
            self.evaluator.evaluate(observations[:n], evals[:n])
            answers = evals[:n]
            if valued is not None:
                seats, since = valued
                at, plays = rollouts.waiting, observations["n_plays"][:n]
                met = (rollouts.games.to_play[at] == seats[at]) & (plays >= since[at])
                values[at[met]] = answers[met, 7]
                rollouts.leave(met)
                answers = answers[~met]
            rollouts.play_greedy(answers)
        return rollouts.games, values


#: Thought about side by side: full batches. Without a limit of time it has no influence on what is
#: played; with one it is how many decisions share theirs.
DECISIONS, TIMED_DECISIONS = 64, 16
PART_WORLDS = 1 << 14  # of all decisions side by side, unless time bounds them; bounds memory
FIRST_WORLDS = 8  # of every decision; then as many again as there were, until there are enough
_LEAST_PRIOR = 1e-6


class RolloutPlayer(ThinkingPlayer):
    """Plays what rollouts of every play come to.

    Args:
        name: what results are labelled with.
        rollouts, worlds: what is asked.
        options: how much of it.
        clock: seconds, for options.seconds.
    """

    def __init__(
        self,
        *,
        name: str,
        rollouts: Rollouts,
        worlds: WorldSource,
        options: RolloutOptions,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.name = name
        self.rollouts = rollouts
        self.worlds = worlds
        self.options = options
        self._clock = clock
        many = min(DECISIONS, max(1, PART_WORLDS // options.n_worlds))
        self.at_once = TIMED_DECISIONS if options.seconds else many

    def _choose_open(
        self, batch: GameBatch, rows: NDArray[np.intp], draws: PlayDraws
    ) -> NDArray[np.uint8]:
        began = self._clock()
        games = batch.take(rows)
        legal = mask_bits(games.legal())
        dominoes = np.empty(len(rows), np.uint8)
        race = Race.start(legal, self._prior(games), prior_worlds=self.options.prior_worlds)
        weights = self.worlds.weights(games)
        at = np.arange(len(rows))
        for first, last in self._stages(began, len(rows)):
            own = None if weights is None else weights[at]
            worlds, logs = self.worlds.draw(games.take(at), draws.take(at), first, last, own)
            race.add(self._utilities(worlds, race.alive), logs)
            dominoes[at] = race.best()
            still = race.open
            if not len(still):
                break
            race, at = race.take(still), at[still]
        return dominoes

    def _prior(self, games: GameBatch) -> NDArray[np.float64]:
        """What the network itself thinks of the plays, f8[k, 28], 0 where it has no slot."""
        seen = games.observe()
        evals = np.empty((len(seen), 8), np.float32)
        self.rollouts.evaluator.evaluate(seen, evals)
        out = np.zeros((len(seen), N_DOMINOES))
        logits = np.log(np.maximum(evals[:, :7].astype(np.float64), _LEAST_PRIOR))
        out[mask_bits(seen["hand"])] = TAU * logits.ravel()
        return out

    def _utilities(self, worlds: GameBatch, alive: NDArray[np.bool_]) -> NDArray[np.float32]:
        """What the plays alive bool[k, 28] are worth in n worlds of each decision, f4[k, n, 28]."""
        masks = (alive << np.arange(N_DOMINOES, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
        n = len(worlds) // len(alive)
        found = self.rollouts.utilities(worlds, np.repeat(masks, n))
        return found.reshape(len(alive), n, N_DOMINOES)

    def _stages(self, began: float, n_decisions: int) -> Iterator[tuple[int, int]]:
        """First and last + 1 of the worlds of each stage, each as many as all before it.

        Where time is limited, a stage is cut to what is left of it at the pace of the last one,
        and there is none if that is less than FIRST_WORLDS. Decisions that are made together
        share their time.
        """
        ends = began + self.options.seconds * n_decisions
        first, last = 0, min(FIRST_WORLDS, self.options.n_worlds)
        while first < last:
            before = self._clock()
            yield first, last
            after = self._clock()
            size, first = last - first, last
            last = min(2 * first, self.options.n_worlds)
            if self.options.seconds:
                room = int(size * (ends - after) / max(after - before, 1e-9))
                last = min(last, first + room) if room >= FIRST_WORLDS else first


# --- The search player: a tree on sampled worlds at every decision, and the play it comes to.

TREES = 256  # searched side by side; bounds memory and the evaluator's batches, not results


class SearchPlayer(ThinkingPlayer):
    """Plays what a search of the position comes to.

    Args:
        name: what results are labelled with.
        evaluator: gives priors and values; it sees one row for each tree at a time.
        options: of every search; the play is the one that it makes at temperature 0.

    World i at ply p of game g is the i-th of stream EVAL_WORLDS of the match's seed, so that a
    choice depends on the game alone, not on what else is in the batch.
    """

    at_once = TREES

    def __init__(self, *, name: str, evaluator: Evaluator, options: SearchOptions) -> None:
        self.name = name
        self.evaluator = evaluator
        self.options = options

    def _choose_open(
        self, batch: GameBatch, rows: NDArray[np.intp], draws: PlayDraws
    ) -> NDArray[np.uint8]:
        games = batch.take(rows)
        forest = Forest(
            games,
            options=self.options,
            seed=draws.seed,
            game_numbers=draws.games,
            stream=Stream.EVAL_WORLDS,
        )
        search(forest, self.evaluator)
        return slot_dominoes(games.observe()["hand"], forest.choices().astype(np.intp))


def search(forest: Forest, evaluator: Evaluator) -> None:
    """Run every search of a forest to its end."""
    leaves = np.zeros(len(forest), OBS_DTYPE)
    evals = np.zeros((len(forest), 8), np.float32)
    while n := forest.select(leaves):
        evaluator.evaluate(leaves[:n], evals[:n])
        forest.update(evals[:n])
