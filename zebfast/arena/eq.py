"""The E[Q] player: exact values of every legal play, averaged over worlds it thinks possible.

For each game it draws worlds (layouts of the hidden dominoes that agree with all it knows), solves
every legal play exactly in each with all hands open, and plays what is best on average. Where there
are no more worlds than it would draw, it takes them all, and the average is exact. Known as perfect
information Monte Carlo (Levy 1989; Ginsberg 2001 for bridge); its flaws, strategy fusion and
non-locality, are those of any average over open hands (Frank & Basin 1998).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.draws import PlayDraws
from zebfast.arena.eq_tally import Stakes, Tally
from zebfast.arena.heuristics import mask_bits
from zebfast.arena.posterior import log_likelihoods
from zebfast.arena.specs import OBJECTIVES
from zebfast.core.engine import GameBatch
from zebfast.core.solver_pool import SolverPool
from zebfast.core.worlds import WorldSet, sample_worlds, world_counts, world_positions
from zebfast.rules import Stream

PART_POSITIONS = 1 << 15  # positions solved in one call: keeps threads busy, and memory small
FIRST_SHARE = 10  # an adaptive player starts with one in so many of its worlds,
FEWEST_WORLDS = 8  # but with no fewer than these


@dataclass(frozen=True)
class EqDecisions:
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
    draws: PlayDraws
    stakes: Stakes

    def take(self, some: NDArray[np.intp]) -> _Task:
        return replace(
            self,
            rows=self.rows[some],
            at=self.at[some],
            draws=self.draws.take(some),
            stakes=self.stakes.take(some),
        )


class EqPlayer:
    """Plays the domino with the best exact value on average over sampled worlds.

    Args:
        name: what results are labelled with.
        n_worlds: worlds looked at for each play, at most.
        objective: "points" for the highest mean points of its side; "make" for the highest
            probability that the contract is made (its side declared) or set (it did not), points
            already taken counted. Ties fall to the other measure, then to the lowest domino id.
        adaptive: draw worlds in growing batches, and stop when the best play is clear.
        posterior: beta of posterior.py, in 1/points: worlds are weighted by how likely they make
            the plays so far; 0 = all alike.
        pool: solvers; the caller owns it.

    World i at ply p of game g is the i-th of stream EVAL_WORLDS of the match's seed, so that a
    choice depends on the game alone, not on what else is in the batch, threads or other players.
    """

    def __init__(
        self,
        *,
        name: str,
        n_worlds: int,
        pool: SolverPool,
        objective: str = "points",
        adaptive: bool = False,
        posterior: float = 0.0,
    ) -> None:
        if n_worlds < 1:
            raise ValueError(f"n_worlds is {n_worlds}, but must be 1 or more")
        if objective not in OBJECTIVES:
            raise ValueError(f"objective {objective!r} is none of {', '.join(OBJECTIVES)}")
        if not 0.0 <= posterior < np.inf:
            raise ValueError(f"posterior is {posterior}, but must be 0 or a positive number")
        self.name = name
        self.n_worlds = n_worlds
        self.objective = objective
        self.adaptive = adaptive
        self.posterior = posterior
        self.pool = pool

    def choose(
        self,
        batch: GameBatch,
        rows: NDArray[np.intp],
        draws: PlayDraws,
        bids: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """See Player.choose; of `draws` only seed and game numbers are used."""
        return self.decide(batch, rows, draws, bids).dominoes

    def decide(
        self,
        batch: GameBatch,
        rows: NDArray[np.intp],
        draws: PlayDraws,
        bids: NDArray[np.uint8],
    ) -> EqDecisions:
        """What `choose` plays, and why."""
        legal = mask_bits(batch.legal(rows))
        out = EqDecisions(
            dominoes=legal.argmax(axis=1).astype(np.uint8),
            n_worlds=np.zeros(len(rows), np.int64),
            points=np.full(legal.shape, np.nan),
            success=np.full(legal.shape, np.nan),
        )
        open_rows = np.flatnonzero(legal.sum(axis=1) > 1)
        if not len(open_rows):
            return out
        stakes = Stakes.of(batch, rows, legal=legal, bids=bids)
        everything = _Task(batch, rows, np.arange(len(rows)), draws, stakes)
        few = world_counts(batch, rows[open_rows]) <= self.n_worlds
        for part in self._parts(open_rows[few]):
            self._decide_all_worlds(everything.take(part), out)
        for part in self._parts(open_rows[~few]):
            self._decide_sampled(everything.take(part), out)
        return out

    def _parts(self, rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        positions_a_row = self.n_worlds * (28 if self.posterior else 1)
        size = max(1, PART_POSITIONS // positions_a_row)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _decide_all_worlds(self, task: _Task, out: EqDecisions) -> None:
        """Decide games with at most n_worlds worlds by all of them."""
        worlds = [WorldSet(task.batch, row).enumerate(self.n_worlds) for row in task.rows]
        counts = np.array([len(one) for one in worlds])
        # Shorter lists are filled up with worlds that are not looked at.
        hands = np.stack([np.resize(one, (counts.max(), 4)) for one in worlds])
        real = np.arange(counts.max()) < counts[:, None]
        self._record(task, self._evaluate(task, hands, real), out)

    def _decide_sampled(self, task: _Task, out: EqDecisions) -> None:
        """Decide games by worlds drawn for them: in stages where the player is adaptive."""
        tally: Tally | None = None
        for first, last in self._stages():
            hands = sample_worlds(
                task.batch,
                task.rows,
                last - first,
                seed=task.draws.seed,
                game_numbers=task.draws.games,
                stream=Stream.EVAL_WORLDS,
                first=first,
            )
            more = self._evaluate(task, hands, np.ones(hands.shape[:2], np.bool_))
            tally = more if tally is None else tally.joined(more)
            clear = np.full(len(task.rows), last == self.n_worlds)
            if last < self.n_worlds:
                clear = tally.clear(self.objective)
            done, still = np.flatnonzero(clear), np.flatnonzero(~clear)
            self._record(task.take(done), tally.take(done), out)
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
        values = np.zeros((*real.shape, 28), np.int8)
        values[real] = self.pool.play_values(positions[real])
        log_weights = np.where(real, 0.0, -np.inf)
        if self.posterior:
            log_weights += log_likelihoods(
                task.batch, task.rows, hands, real=real, beta=self.posterior, pool=self.pool
            )
        return Tally(stakes=task.stakes, values=values, log_weights=log_weights)

    def _record(self, task: _Task, tally: Tally, out: EqDecisions) -> None:
        if not len(task.at):
            return
        points, success = tally.means()
        out.dominoes[task.at] = tally.best(self.objective)
        out.n_worlds[task.at] = tally.n_worlds
        out.points[task.at], out.success[task.at] = points, success
