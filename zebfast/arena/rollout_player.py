"""The rollout player: the best response, in worlds it thinks possible, to seats that play like the
network. See rollouts.py for what a play is worth, and race.py for how worlds are shared out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.draws import PlayDraws
from zebfast.arena.heuristics import mask_bits
from zebfast.arena.players import ThinkingPlayer
from zebfast.arena.race import Race
from zebfast.arena.rollout_options import RolloutOptions
from zebfast.arena.rollouts import Rollouts
from zebfast.arena.world_weights import WorldSource
from zebfast.core.engine import GameBatch
from zebfast.selfplay.play_values import TAU

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
        out = np.zeros((len(seen), 28))
        logits = np.log(np.maximum(evals[:, :7].astype(np.float64), _LEAST_PRIOR))
        out[mask_bits(seen["hand"])] = TAU * logits.ravel()
        return out

    def _utilities(self, worlds: GameBatch, alive: NDArray[np.bool_]) -> NDArray[np.float32]:
        """What the plays alive bool[k, 28] are worth in n worlds of each decision, f4[k, n, 28]."""
        masks = (alive << np.arange(28, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
        n = len(worlds) // len(alive)
        found = self.rollouts.utilities(worlds, np.repeat(masks, n))
        return found.reshape(len(alive), n, 28)

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
