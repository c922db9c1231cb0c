"""The rollout player: the best response, in worlds it thinks possible, to seats that play like the
network.

`Rollouts` say what a play comes to in given worlds; a `Race` decides which play is best on average
and which have lost already; `RolloutPlayer` shares out worlds until the race is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import LOWEST_BID, Dominoes, PlayRng, Rows
from zebfast.arena.players.base import ThinkingPlayer
from zebfast.arena.players.options import RolloutOptions
from zebfast.arena.players.world_weights import WorldSource
from zebfast.arena.policies.guard import guarded
from zebfast.arena.policies.policy import NoAnswer, PolicyStuck, renumbered
from zebfast.core.engine import GameBatch
from zebfast.core.masks import domino_bits
from zebfast.core.policy import IllegalAnswer, PolicyRun
from zebfast.core.records import OBS_DTYPE
from zebfast.core.rollouts import RolloutGames
from zebfast.rules import N_DOMINOES, N_PLIES, N_SEATS, bits
from zebfast.selfplay.groups import SLICE_SECONDS, core_of
from zebfast.selfplay.play_values import EPSILON, TAU

if TYPE_CHECKING:
    from zebfast.arena.policies.asking import Asked
    from zebfast.core.network import Network
    from zebfast.core.solve import Solver
    from zebfast.core.solver_pool import SolverPool
    from zebfast.selfplay.groups import BatchEvaluator

#: Thought about side by side: full batches. Without a limit of time it has no influence on what is
#: played; with one it is how many decisions share theirs.
DECISIONS, TIMED_DECISIONS = 64, 16
PART_WORLDS = 1 << 14  # of all decisions side by side, unless time bounds them; bounds memory
FIRST_WORLDS = 8  # of every decision; then as many again as there were, until there are enough
LEAST_ROLLOUTS = 64  # that a thread takes: fewer make batches that are not full
LEAST_WORLDS = 2  # worth another stage in what time is left
_LEAST_PRIOR = 1e-6
#: Whose value ends rollouts, once how many plays are made, and where it goes: u1[n], u1[n], f4[n].
Values = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]
DROP_ERRORS = 2.0  # standard errors behind the best at which a play has lost
RACE_FROM_WORLDS = 8  # before which no play has


@dataclass(frozen=True)
class Rollouts:
    """Games in which everyone plays the network's favourites, until hands are opened and solved.

    A play is worth the sign of the final margin and EPSILON for each point of it, as in what
    networks learn. In a game with a contract it is worth 1 where that is made (or set), else -1.

    Attributes:
        evaluator: whose favourites are played.
        pool: solves the rest once hands are open; the caller owns it. Its threads roll out, too,
            where the evaluator is a network of the core and the model, if there is one, compiled.
        exact_tricks: hands are open for so many last tricks, 0..7.
        depth: hands are opened after so many tricks, the one on the table counted; None for no
            such limit.
        model: by which the opponents of the player play, in place of the network. Its random number
            is made of what the seat sees in the layout: the same sight, the same number.
    """

    evaluator: BatchEvaluator
    pool: SolverPool
    exact_tricks: int
    depth: int | None = None
    model: Asked | None = None

    def utilities(self, worlds: GameBatch, plays: NDArray[np.uint32]) -> NDArray[np.float32]:
        """What each play is worth to the side to play.

        Args:
            worlds: m games that are not over, every hand as it is in a world.
            plays: u4[m], masks of legal dominoes to be tried in each.

        Returns:
            f4[m, 28] by domino, NaN for dominoes that are not tried.

        NoAnswer, with the row of `worlds`, where the model gives none that is legal.
        """
        tried = domino_bits(plays)
        at, dominoes = np.nonzero(tried)
        games = worlds.take(at)
        players, before = games.to_play, games.n_plays.astype(np.int64)
        games.play(dominoes.astype(np.uint8))
        out = np.full(tried.shape, np.nan, np.float32)
        with renumbered(at):
            out[at, dominoes] = self._worth(games, players, before)
        return out

    def _worth(
        self, games: GameBatch, players: NDArray[np.uint8], before: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Utilities f4[n] for the sides of players u1[n], whose play came after `before` i8[n]."""
        worth = np.empty(len(games), np.float32)

        def part(solver: Solver | SolverPool, rows: slice) -> None:
            some = games.take(np.arange(len(games))[rows])
            with renumbered(range(rows.start, rows.stop)):
                worth[rows] = self._part(some, players[rows], before[rows], solver)

        if self.core is None:  # it is asked in one thread, and wants full batches
            part(self.pool, slice(0, len(games)))
        else:
            self.pool.share(len(games), part, least=LEAST_ROLLOUTS)
        return worth

    def _part(
        self,
        games: GameBatch,
        players: NDArray[np.uint8],
        before: NDArray[np.int64],
        solver: Solver | SolverPool,
    ) -> NDArray[np.float32]:
        """The same of some of them, f4[m], with what solves the rest."""
        rollouts = RolloutGames(games, until=np.minimum(self._opened(games), self._depth(before)))
        self._roll_out(rollouts, players)
        return _worth_of(rollouts.games, players, solver, np.float32(EPSILON))

    def _opened(self, games: GameBatch) -> NDArray[np.int64]:
        """Plays i8[n] after which hands are open for the last tricks."""
        return np.full(len(games), N_PLIES - N_SEATS * self.exact_tricks)

    def _depth(self, before: NDArray[np.int64]) -> NDArray[np.int64]:
        """Plays i8[n] after `depth` tricks from the one that the play after `before` is in."""
        tricks = N_PLIES if self.depth is None else self.depth
        return N_SEATS * (before // N_SEATS + tricks)

    @property
    def core(self) -> Network | None:
        """The network of the core that does all of it; None where something is asked in Python."""
        if self.model is not None and self.model.function is None:
            return None
        return core_of(self.evaluator)

    def _roll_out(
        self, rollouts: RolloutGames, players: NDArray[np.uint8], values: Values | None = None
    ) -> None:
        """Until all are done: in C if the evaluator has a network there, else batch by batch.

        ``values``: as `RolloutGames.run` takes them.
        """
        if core := self.core:
            with suppress(FloatingPointError):  # asked again below, the evaluator has the sentence
                self._run(rollouts, core, players, values)
        obs = np.empty(len(rollouts), OBS_DTYPE)
        evals = np.empty((len(rollouts), 8), np.float32)
        while n := rollouts.advance(obs):
            self._evaluate(rollouts, players, obs[:n], evals[:n])
            stay = np.ones(n, np.bool_)
            if values is not None:
                _, since, worth = values
                at = rollouts.waiting
                stay = (rollouts.games.to_play[at] != players[at]) | (
                    obs["n_plays"][:n] < since[at]
                )
                worth[at[~stay]] = evals[:n][~stay, 7]
                rollouts.leave(~stay)
            rollouts.play_greedy(evals[:n][stay])

    def _run(
        self, rollouts: RolloutGames, core: Network, players: NDArray[np.uint8],
        values: Values | None,
    ) -> None:  # fmt: skip
        """All of it in C. NoAnswer, with its row, where the model gives none that is legal.

        Twin: `_evaluate`, which asks one batch at a time.
        """
        if (model := self.model) is None:
            while not rollouts.run(core, seconds=SLICE_SECONDS, values=values):
                pass
            return
        assert model.function is not None
        run = PolicyRun()
        told = (model.function, players, LOWEST_BID, run)

        def roll() -> bool:
            return rollouts.run(core, seconds=SLICE_SECONDS, values=values, model=told)

        def stuck() -> PolicyStuck:
            return model.stuck("a rollout", row=run.at)

        try:
            while not guarded(roll, run, seconds=model.options.seconds, stuck=stuck):
                pass
        except IllegalAnswer:
            games, at = rollouts.games, np.array([run.at])
            rng = PlayRng(0, sights(games.observe(at)), games.n_plays[at])
            raise model.unusable(run.answer, games, run.at, rng, LOWEST_BID) from None

    def _evaluate(
        self, rollouts: RolloutGames, players: NDArray[np.uint8], obs: np.ndarray,
        evals: NDArray[np.float32],
    ) -> None:  # fmt: skip
        """What those who wait would play: of the network or, where a model plays, its choice."""
        if self.model is None:
            self.evaluator.evaluate(obs, evals)
            return
        at, games = rollouts.waiting, rollouts.games
        theirs = (games.to_play[at] ^ players[at]) & 1 == 1
        ours = np.flatnonzero(~theirs)
        if len(ours):
            found = np.empty((len(ours), 8), np.float32)
            self.evaluator.evaluate(obs[ours], found)
            evals[ours] = found
        some = np.flatnonzero(theirs)
        if len(some):
            rng = PlayRng(0, sights(obs[some]), obs["n_plays"][some])
            bids = np.full(len(some), LOWEST_BID, np.uint8)
            dominoes = self.model.plays(games, at[some], rng, bids)
            slots = domino_bits(obs["hand"][some]).cumsum(axis=1)[np.arange(len(some)), dominoes]
            evals[some] = 0.0
            evals[some, slots - 1] = 1.0


def sights(obs: np.ndarray) -> NDArray[np.uint64]:
    """Numbers u8[k] that tell apart what seats see, OBS_DTYPE [k]."""
    raw = np.ascontiguousarray(obs).view(np.uint8).reshape(len(obs), -1)
    words = np.zeros((len(obs), 6), np.uint64)
    words.view(np.uint8).reshape(len(obs), -1)[:, : raw.shape[1]] = raw
    found = np.zeros(len(obs), np.uint64)
    for word in words.T:
        found = cast(NDArray[np.uint64], bits(cast(Any, found + word), 0))
    return found


def _worth_of(
    games: GameBatch,
    players: NDArray[np.uint8],
    solver: Solver | SolverPool,
    epsilon: np.float32,
) -> NDArray[np.float32]:
    """What ends f4[n] are worth to the players' sides, what is to come solved: the sign of the
    margin and epsilon for each point of it, or whether they have their way with the contract."""
    worth, is_played_for = np.empty(len(games), np.float32), games.contracts["bid"] > 0
    for_points, for_contracts = np.flatnonzero(~is_played_for), np.flatnonzero(is_played_for)
    if len(for_points):
        margins = _margins(games.take(for_points), players[for_points], solver)
        worth[for_points] = np.sign(margins) + epsilon * margins
    if len(for_contracts):
        some = games.take(for_contracts)
        needed = some.aims[:, 0, 0].astype(np.int64) - some.points[:, 0]
        team0 = needed <= 0
        rest = np.flatnonzero(~some.over)
        if len(rest):
            team0[rest] = solver.at_least(some.positions(rest), needed[rest])
        worth[for_contracts] = np.where(team0 == (players[for_contracts] & 1 == 0), 1.0, -1.0)
    return worth


def _margins(
    games: GameBatch, players: NDArray[np.uint8], solver: Solver | SolverPool
) -> NDArray[np.float32]:
    """Final points f4[n] of the player's side less the other's, what is to come solved."""
    points = games.points.astype(np.float32)
    margins: NDArray[np.float32] = points[:, 0] - points[:, 1]
    rest = np.flatnonzero(~games.over)
    if len(rest):
        margins[rest] += solver.values(games.positions(rest))
    return np.where(players & 1 == 0, margins, -margins)


class ValuedRollouts(Rollouts):
    """Rollouts that the network's value ends: of the player's first choice after `depth` tricks.

    One that ends before, or is solved, is worth the sign of the margin alone, which is what a value
    is a mean of.
    """

    def _part(
        self,
        games: GameBatch,
        players: NDArray[np.uint8],
        before: NDArray[np.int64],
        solver: Solver | SolverPool,
    ) -> NDArray[np.float32]:
        rollouts = RolloutGames(games, until=self._opened(games))
        worth = np.full(len(games), np.nan, np.float32)
        since = self._depth(before).astype(np.uint8)
        self._roll_out(rollouts, players, (players, since, worth))
        rest = np.flatnonzero(np.isnan(worth))
        worth[rest] = _worth_of(rollouts.games.take(rest), players[rest], solver, np.float32(0.0))
        return worth


@dataclass
class Race:
    """The plays of k decisions.

    Attributes:
        alive: bool[k, 28], plays still in the race.
        prior: f8[k, 28], their utilities as the network sees them, up to a constant a decision.
        prior_worlds: worlds that the prior counts for.
        utilities: f4[k, n, 28], of the worlds so far; what it says of plays not alive is not read.
        log_weights: f8[k, n], of those worlds.
    """

    alive: NDArray[np.bool_]
    prior: NDArray[np.float64]
    prior_worlds: float
    utilities: NDArray[np.float32]
    log_weights: NDArray[np.float64]

    @classmethod
    def start(
        cls, legal: NDArray[np.bool_], prior: NDArray[np.float64], *, prior_worlds: float
    ) -> Race:
        """A race of the legal bool[k, 28] plays before any world."""
        k = len(legal)
        empty = np.zeros((k, 0, N_DOMINOES), np.float32)
        return cls(legal.copy(), prior, prior_worlds, empty, np.zeros((k, 0)))

    @property
    def open(self) -> NDArray[np.intp]:
        """Decisions in which more than one play is alive, intp[m]."""
        return np.flatnonzero(self.alive.sum(axis=1) > 1)

    def take(self, rows: NDArray[np.intp]) -> Race:
        """A race of some of the decisions."""
        alive, prior, utilities = self.alive[rows], self.prior[rows], self.utilities[rows]
        return Race(alive, prior, self.prior_worlds, utilities, self.log_weights[rows])

    def add(self, utilities: NDArray[np.float32], log_weights: NDArray[np.float64]) -> None:
        """More worlds: f4[k, m, 28] and f8[k, m]. Drops what has lost."""
        self.utilities = np.concatenate([self.utilities, utilities], axis=1)
        self.log_weights = np.concatenate([self.log_weights, log_weights], axis=1)
        for stale in ("_weights", "_means"):
            self.__dict__.pop(stale, None)
        if self.utilities.shape[1] >= RACE_FROM_WORLDS:
            self.alive &= ~self._lost()

    def best(self) -> NDArray[np.uint8]:
        """The best play u1[k], the lowest domino among equals."""
        mean = np.where(self.alive, self._means, -np.inf)
        dominoes: NDArray[np.uint8] = mean.argmax(axis=1).astype(np.uint8)
        return dominoes

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """Weights f8[k, n] of the worlds that add up to the number of worlds they are worth."""
        if not self.log_weights.shape[1]:
            return np.zeros_like(self.log_weights)
        weights = np.exp(self.log_weights - self.log_weights.max(axis=1, keepdims=True))
        total = weights.sum(axis=1, keepdims=True)
        worth = total**2 / (weights**2).sum(axis=1, keepdims=True)
        scaled: NDArray[np.float64] = weights * (worth / total)
        return scaled

    @cached_property
    def _means(self) -> NDArray[np.float64]:
        """Means f8[k, 28] over worlds and prior; of plays that are not alive they mean nothing."""
        weights = self._weights
        values = np.where(self.alive[:, None], self.utilities, 0.0)
        total = np.matmul(weights[:, None], values)[:, 0] + self.prior_worlds * self.prior
        worth = weights.sum(axis=1, keepdims=True) + self.prior_worlds
        means: NDArray[np.float64] = total / np.maximum(worth, np.finfo(np.float64).tiny)
        return means

    def _lost(self) -> NDArray[np.bool_]:
        """Plays bool[k, 28] that are clearly behind the best."""
        weights, means = self._weights, self._means
        best = self.best().astype(np.intp)[:, None]
        values = np.where(self.alive[:, None], self.utilities, 0.0)
        behind = np.take_along_axis(values, best[:, None], axis=2) - values
        gap = np.take_along_axis(means, best, axis=1) - means
        worth = weights.sum(axis=1, keepdims=True)
        squares = np.matmul(weights[:, None], behind**2)[:, 0] / worth
        average = np.matmul(weights[:, None], behind)[:, 0] / worth
        variance = np.maximum(squares - average**2, 0.0) * worth / np.maximum(worth - 1.0, 1.0)
        error = np.sqrt(variance / (worth + self.prior_worlds))
        lost: NDArray[np.bool_] = (gap > DROP_ERRORS * error) & (gap > 0.0)
        return lost


@dataclass(kw_only=True, eq=False)
class RolloutPlayer(ThinkingPlayer):
    """Plays what rollouts of every play come to.

    Attributes:
        name: what results are labelled with.
        rollouts, worlds: what is asked.
        options: how much of it.
        clock: seconds, for options.seconds.
    """

    name: str
    rollouts: Rollouts
    worlds: WorldSource
    options: RolloutOptions
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        many = min(DECISIONS, max(1, PART_WORLDS // self.options.n_worlds))
        self.at_once = TIMED_DECISIONS if self.options.seconds else many

    def _choose_open(self, batch: GameBatch, rows: Rows, rng: PlayRng) -> Dominoes:
        began = self.clock()
        games = batch.take(rows)
        legal = domino_bits(games.legal())
        dominoes = np.empty(len(rows), np.uint8)
        race = Race.start(legal, self._prior(games), prior_worlds=self.options.prior_worlds)
        weights = self.worlds.weights(games)
        at = np.arange(len(rows))
        for first, last in self._stages(began, len(rows)):
            own = None if weights is None else weights[at]
            worlds, logs = self.worlds.draw(games.take(at), rng.take(at), first, last, own)
            try:
                race.add(self._utilities(worlds, race.alive), logs)
            except NoAnswer as error:
                i = int(at[error.row])
                error.row = int(rows[i])
                where = f"a rollout of game {int(rng.games[i])}, play {int(rng.plies[i]) + 1}"
                raise error.at(where) from None
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
        out[domino_bits(seen["hand"])] = TAU * logits.ravel()
        return out

    def _utilities(self, worlds: GameBatch, alive: NDArray[np.bool_]) -> NDArray[np.float32]:
        """What the plays alive bool[k, 28] are worth in n worlds of each decision, f4[k, n, 28].

        NoAnswer, with the row of the decision, where a model gives none that is legal.
        """
        masks = (alive << np.arange(N_DOMINOES, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
        n = len(worlds) // len(alive)
        with renumbered(np.arange(len(worlds)) // n):
            found = self.rollouts.utilities(worlds, np.repeat(masks, n))
        return found.reshape(len(alive), n, N_DOMINOES)

    def _stages(self, began: float, n_decisions: int) -> Iterator[tuple[int, int]]:
        """First and last + 1 of the worlds of each stage, each as many as all before it.

        Where time is limited, a stage is cut to what is left of it at the pace of the last one,
        and there is none if that is less than LEAST_WORLDS. Decisions that are made together
        share their time.
        """
        ends = began + self.options.seconds * n_decisions
        first, last = 0, min(FIRST_WORLDS, self.options.n_worlds)
        while first < last:
            before = self.clock()
            yield first, last
            after = self.clock()
            size, first = last - first, last
            last = min(2 * first, self.options.n_worlds)
            if self.options.seconds:
                room = int(size * (ends - after) / max(after - before, 1e-9))
                last = min(last, first + room) if room >= LEAST_WORLDS else first
