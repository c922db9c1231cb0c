"""The PIMC player (spec `eq:`): exact values of every legal play, averaged over sampled worlds.

Perfect information Monte Carlo (Levy 1989; Ginsberg 2001 for bridge): for each game it draws worlds
(layouts of the hidden dominoes that agree with all it knows), solves every legal play exactly in
each with all hands open, and plays what is best on average, E[Q]. Where there are no more worlds
than it would draw, it takes them all, and the average is exact. Its flaws, strategy fusion and
non-locality, are those of any average over open hands (Frank & Basin 1998).

A `Tally` makes of values in many worlds one play: means, ties, and when the best play is clear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import Bids, Dominoes, PlayRng, Rows
from zebfast.arena.players.specs import OBJECTIVES
from zebfast.arena.players.world_weights import log_likelihoods
from zebfast.core.engine import GameBatch
from zebfast.core.masks import domino_bits
from zebfast.core.solver_pool import SolverPool
from zebfast.core.worlds import WorldSet, sample_worlds, world_counts, world_positions
from zebfast.rules import N_DOMINOES, N_SEATS, TOTAL_POINTS, Stream

CLEAR_ERRORS = 2.5  # a play is clearly better by so many standard errors of the difference
EQUAL_WORLDS = 20  # plays that were equal in so many worlds are taken to be equal
PART_POSITIONS = 1 << 15  # positions solved in one call: keeps threads busy, and memory small
FIRST_SHARE = 10  # an adaptive player starts with one in so many of its worlds,
FEWEST_WORLDS = 8  # but with no fewer than these
_DIGITS = 9  # means that agree to so many decimals are equal: sums in another order stay ties


@dataclass(frozen=True)
class Stakes:
    """What k games are about, for the seats to play.

    legal: bool[k, 28]. sign: int64[k], +1 where team 0 is to play, -1 where team 1. to_come:
    int64[k], points of both sides still to come. needed: int64[k], the points to come with which
    the side to play gets its way with the contract: makes it if it declared, sets it if not.
    """

    legal: NDArray[np.bool_]
    sign: NDArray[np.int64]
    to_come: NDArray[np.int64]
    needed: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        batch: GameBatch,
        rows: NDArray[np.intp],
        *,
        legal: NDArray[np.bool_],
        bids: NDArray[np.uint8],
    ) -> Stakes:
        """The stakes of the games in `rows`, of their contracts or of bids of those who led."""
        points = batch.points[rows].astype(np.int64)
        team = batch.to_play[rows].astype(np.int64) & 1
        declarer = batch.leader[rows].astype(np.int64) & 1
        to_come = TOTAL_POINTS - points.sum(axis=1)
        aim = np.where(team == declarer, bids, TOTAL_POINTS + 1 - bids.astype(np.int64))
        by_contract = batch.aims[rows, team, 0]
        aim = np.where(batch.contracts["bid"][rows] > 0, by_contract, aim)
        needed = aim - np.take_along_axis(points, team[:, None], 1)[:, 0]
        return cls(legal, 1 - 2 * team, to_come, needed)

    def take(self, some: NDArray[np.intp]) -> Stakes:
        """The stakes of a subset of the games."""
        return Stakes(self.legal[some], self.sign[some], self.to_come[some], self.needed[some])


@dataclass(frozen=True)
class Tally:
    """Exact values of every play of k games in n worlds each.

    values: int8[k, n, 28], team 0 minus team 1 to come. log_weights: f8[k, n], -inf = not a world.
    """

    stakes: Stakes
    values: NDArray[np.int8]
    log_weights: NDArray[np.float64]

    def take(self, some: NDArray[np.intp]) -> Tally:
        """The tally of a subset of the games."""
        return Tally(self.stakes.take(some), self.values[some], self.log_weights[some])

    def joined(self, more: Tally) -> Tally:
        """This tally with more worlds of the same games."""
        return replace(
            self,
            values=np.concatenate([self.values, more.values], axis=1),
            log_weights=np.concatenate([self.log_weights, more.log_weights], axis=1),
        )

    @property
    def n_worlds(self) -> NDArray[np.int64]:
        """Worlds of each game, int64[k]."""
        counts: NDArray[np.int64] = np.isfinite(self.log_weights).sum(axis=1)
        return counts

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weights f8[k, n] of the worlds, the largest of a game 1."""
        top = self.log_weights.max(axis=1, keepdims=True)
        weights: NDArray[np.float64] = np.exp(self.log_weights - top)
        return weights

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """Points to come of the side to play, f8[k, n, 28], a whole number each."""
        own = self.values * self.stakes.sign[:, None, None]
        return (own + self.stakes.to_come[:, None, None]) / 2

    @cached_property
    def success(self) -> NDArray[np.float64]:
        """1 where the side to play gets its way with the contract, else 0: f8[k, n, 28].

        A side that can take so many points by best play for points can force them whatever the
        other aims at, so that this is exact, too.
        """
        return (self.points >= self.stakes.needed[:, None, None]).astype(np.float64)

    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weighted means of points and success, f8[k, 28] each; NaN where not legal."""
        points, success = self._mean(self.points), self._mean(self.success)
        points[~self.stakes.legal] = success[~self.stakes.legal] = np.nan
        return points, success

    def best(self, objective: str) -> NDArray[np.uint8]:
        """The best play u1[k]: by the objective, then the other measure, then the lowest id."""
        among = self.stakes.legal
        for measure in self._measures(objective):
            mean = np.where(among, self._mean(measure).round(_DIGITS), -np.inf)
            among = among & (mean == mean.max(axis=1, keepdims=True))
        dominoes: NDArray[np.uint8] = among.argmax(axis=1).astype(np.uint8)
        return dominoes

    def clear(self, objective: str) -> NDArray[np.bool_]:
        """Whether more worlds are unlikely to change the best play, bool[k].

        Every other play must be worse by CLEAR_ERRORS standard errors of the paired difference, or
        equal in every one of EQUAL_WORLDS worlds or more; then the other measure decides likewise.
        """
        best = self.best(objective).astype(np.intp)[:, None, None]
        first, second = (self._compared(m, best) for m in self._measures(objective))
        settled = first[0] | (first[1] & (second[0] | second[1]))
        clear: NDArray[np.bool_] = np.logical_and.reduce(settled | ~self.stakes.legal, axis=1)
        return clear

    def _compared(
        self, measure: NDArray[np.float64], best: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where the best play is clearly better than each other, and where equal: bool[k, 28]."""
        ahead = np.take_along_axis(measure, best, axis=2) - measure
        mean = self._mean(ahead)
        squares = self.weights[:, :, None] ** 2 * (ahead - mean[:, None, :]) ** 2
        error = np.sqrt(squares.sum(axis=1)) / self.weights.sum(axis=1)[:, None]
        equal = (self._mean(np.abs(ahead)) == 0) & (self.n_worlds >= EQUAL_WORLDS)[:, None]
        return (mean > CLEAR_ERRORS * error) & (mean > 0), equal

    def _measures(self, objective: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        both = (self.points, self.success)
        return both if objective == "points" else both[::-1]

    def _mean(self, measure: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted mean over worlds, f8[k, 28] from f8[k, n, 28]."""
        total = np.matmul(self.weights[:, None, :], measure)[:, 0]
        mean: NDArray[np.float64] = total / self.weights.sum(axis=1)[:, None]
        return mean


@dataclass(frozen=True)
class PimcDecisions:
    """What the player thinks of k games. Forced plays are made without a thought: no worlds, NaN.

    dominoes: u1[k], its choice. n_worlds: int64[k], worlds looked at. points, success: f8[k, 28]
    by domino, NaN where illegal: mean points to come for the side to play, and the share of worlds
    in which that side gets its way with the contract (made if it declared, set if not).
    """

    dominoes: NDArray[np.uint8]
    n_worlds: NDArray[np.int64]
    points: NDArray[np.float64]
    success: NDArray[np.float64]


@dataclass(frozen=True)
class _Task:
    """Games to be decided together; `at` intp[k] is where they belong in the answer."""

    batch: GameBatch
    rows: NDArray[np.intp]
    at: NDArray[np.intp]
    rng: PlayRng
    stakes: Stakes

    def take(self, some: NDArray[np.intp]) -> _Task:
        return replace(
            self,
            rows=self.rows[some],
            at=self.at[some],
            rng=self.rng.take(some),
            stakes=self.stakes.take(some),
        )


@dataclass(kw_only=True, eq=False)
class PimcPlayer:
    """Plays the domino with the best exact value on average over sampled worlds.

    Attributes:
        name: what results are labelled with.
        n_worlds: worlds looked at for each play, at most.
        objective: "points" for the highest mean points of its side; "make" for the highest
            probability that the contract is made (its side declared) or set (it did not), points
            already taken counted, as in every game that has a contract. Ties fall to the other
            measure, then to the lowest domino id.
        adaptive: draw worlds in growing batches, and stop when the best play is clear.
        posterior: beta of world_weights.log_likelihoods, in 1/points: worlds are weighted by how
            likely they make the plays so far; 0 = all alike.
        pool: solvers; the caller owns it.

    World i at ply p of game g is the i-th of stream EVAL_WORLDS of the match's seed, so that a
    choice depends on the game alone, not on what else is in the batch, threads or other players.
    """

    name: str
    n_worlds: int
    pool: SolverPool
    objective: str = "points"
    adaptive: bool = False
    posterior: float = 0.0

    def __post_init__(self) -> None:
        if self.n_worlds < 1:
            raise ValueError(f"n_worlds is {self.n_worlds}, but must be 1 or more")
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective {self.objective!r} is none of {', '.join(OBJECTIVES)}")
        if not 0.0 <= self.posterior < np.inf:
            raise ValueError(f"posterior is {self.posterior}, but must be 0 or a positive number")

    def choose(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        """See Player.choose; of `rng` only seed and game numbers are used."""
        return self.decide(batch, rows, rng, bids).dominoes

    def decide(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> PimcDecisions:
        """What `choose` plays, and why."""
        legal = domino_bits(batch.legal(rows))
        out = PimcDecisions(
            dominoes=legal.argmax(axis=1).astype(np.uint8),
            n_worlds=np.zeros(len(rows), np.int64),
            points=np.full(legal.shape, np.nan),
            success=np.full(legal.shape, np.nan),
        )
        open_rows = np.flatnonzero(legal.sum(axis=1) > 1)
        if not len(open_rows):
            return out
        stakes = Stakes.of(batch, rows, legal=legal, bids=bids)
        everything = _Task(batch, rows, np.arange(len(rows)), rng, stakes)
        few = world_counts(batch, rows[open_rows]) <= self.n_worlds
        is_played_for = batch.contracts["bid"][rows[open_rows]] > 0
        for objective, some in (("make", is_played_for), (self.objective, ~is_played_for)):
            for part in self._parts(open_rows[some & few]):
                self._decide_all_worlds(everything.take(part), objective, out)
            for part in self._parts(open_rows[some & ~few]):
                self._decide_sampled(everything.take(part), objective, out)
        return out

    def _parts(self, rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        positions_a_row = self.n_worlds * (N_DOMINOES if self.posterior else 1)
        size = max(1, PART_POSITIONS // positions_a_row)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _decide_all_worlds(self, task: _Task, objective: str, out: PimcDecisions) -> None:
        """Decide games with at most n_worlds worlds by all of them."""
        worlds = [WorldSet(task.batch, row).enumerate(self.n_worlds) for row in task.rows]
        counts = np.array([len(one) for one in worlds])
        # Shorter lists are filled up with worlds that are not looked at.
        hands = np.stack([np.resize(one, (counts.max(), N_SEATS)) for one in worlds])
        real = np.arange(counts.max()) < counts[:, None]
        self._record(task, self._evaluate(task, hands, real), objective, out)

    def _decide_sampled(self, task: _Task, objective: str, out: PimcDecisions) -> None:
        """Decide games by worlds drawn for them: in stages where the player is adaptive."""
        tally: Tally | None = None
        for first, last in self._stages():
            hands = sample_worlds(
                task.batch,
                task.rows,
                last - first,
                seed=task.rng.seed,
                game_numbers=task.rng.games,
                stream=Stream.EVAL_WORLDS,
                first=first,
            )
            more = self._evaluate(task, hands, np.ones(hands.shape[:2], np.bool_))
            tally = more if tally is None else tally.joined(more)
            clear = np.full(len(task.rows), last == self.n_worlds)
            if last < self.n_worlds:
                clear = tally.clear(objective)
            done, still = np.flatnonzero(clear), np.flatnonzero(~clear)
            self._record(task.take(done), tally.take(done), objective, out)
            task, tally = task.take(still), tally.take(still)
            if not len(still):
                return

    def _stages(self) -> Iterator[tuple[int, int]]:
        """First and last + 1 of the world numbers of each stage: each doubles what there is."""
        first = 0
        last = max(FEWEST_WORLDS, self.n_worlds // FIRST_SHARE) if self.adaptive else self.n_worlds
        while first < self.n_worlds:
            yield first, min(last, self.n_worlds)
            first, last = last, 2 * last

    def _evaluate(self, task: _Task, hands: NDArray[np.uint32], real: NDArray[np.bool_]) -> Tally:
        """Exact values of every play in the `real` bool[k, n] of the worlds u4[k, n, 4]."""
        positions = world_positions(task.batch, task.rows, hands)
        values = np.zeros((*real.shape, N_DOMINOES), np.int8)
        values[real] = self.pool.play_values(positions[real])
        log_weights = np.where(real, 0.0, -np.inf)
        if self.posterior:
            log_weights += log_likelihoods(
                task.batch, task.rows, hands, real=real, beta=self.posterior, pool=self.pool
            )
        return Tally(stakes=task.stakes, values=values, log_weights=log_weights)

    def _record(self, task: _Task, tally: Tally, objective: str, out: PimcDecisions) -> None:
        if not len(task.at):
            return
        points, success = tally.means()
        out.dominoes[task.at] = tally.best(objective)
        out.n_worlds[task.at] = tally.n_worlds
        out.points[task.at], out.success[task.at] = points, success
