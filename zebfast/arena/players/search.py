"""The search player: a tree on sampled worlds at every decision, and the play it comes to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from zebfast.arena.pairs import Dominoes, PlayRng, Rows
from zebfast.arena.players.base import ThinkingPlayer, slot_dominoes
from zebfast.core.engine import GameBatch
from zebfast.core.forest import Forest
from zebfast.core.options import SearchOptions
from zebfast.core.records import OBS_DTYPE
from zebfast.rules import Stream
from zebfast.selfplay.groups import SLICE_SECONDS, core_of

if TYPE_CHECKING:
    from zebfast.selfplay.groups import BatchEvaluator

LEAST_TREES = 32  # that a thread takes: fewer make batches that are not full
TREES = 256  # searched side by side; bounds memory and the evaluator's batches, not results


@dataclass(kw_only=True, eq=False)
class SearchPlayer(ThinkingPlayer):
    """Plays what a search of the position comes to.

    Attributes:
        name: what results are labelled with.
        evaluator: gives priors and values; it sees one row for each tree at a time.
        options: of every search; the play is the one that it makes at temperature 0.
        threads: that search side by side, where the evaluator is a network of the core.

    World i at ply p of game g is the i-th of stream EVAL_WORLDS of the match's seed, so that a
    choice depends on the game alone, not on what else is in the batch.
    """

    name: str
    evaluator: BatchEvaluator
    options: SearchOptions
    threads: int = 1
    at_once = TREES

    def _choose_open(self, batch: GameBatch, rows: Rows, rng: PlayRng) -> Dominoes:
        n_parts = min(self.threads, len(rows) // LEAST_TREES)
        if n_parts < 2 or core_of(self.evaluator) is None:
            return self._search(batch.take(rows), rng, lambda: False)
        parts, stopping = np.array_split(np.arange(len(rows)), n_parts), Event()
        with ThreadPoolExecutor(n_parts, "search") as threads:
            futures = [
                threads.submit(
                    self._search, batch.take(rows[part]), rng.take(part), stopping.is_set
                )
                for part in parts
            ]
            try:
                return np.concatenate([future.result() for future in futures])
            except BaseException:  # Ctrl-C lands here: let the threads stop before it goes on
                stopping.set()
                raise

    def _search(self, games: GameBatch, rng: PlayRng, should_stop: Callable[[], bool]) -> Dominoes:
        forest = Forest(
            games,
            options=self.options,
            seed=rng.seed,
            game_numbers=rng.games,
            stream=Stream.EVAL_WORLDS,
        )
        search(forest, self.evaluator, should_stop)
        return slot_dominoes(games.observe()["hand"], forest.choices().astype(np.intp))


def search(
    forest: Forest, evaluator: BatchEvaluator, should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Run every search of a forest to its end: in C, if the evaluator has a network there.

    Raises InterruptedError where it should stop, which is asked now and then in C.
    """
    obs = np.zeros(len(forest), OBS_DTYPE)
    evals = np.zeros((len(forest), 8), np.float32)
    core, more = core_of(evaluator), True
    while core is not None and more and not forest.waiting:
        more = forest.run(core, obs, evals, seconds=SLICE_SECONDS)
        if should_stop():
            raise InterruptedError("a search was stopped")
    # All of it without such a network; else what that has no finite answer to, which is then said.
    while n := forest.waiting or forest.select(obs):
        evaluator.evaluate(obs[:n], evals[:n])
        forest.update(evals[:n])
