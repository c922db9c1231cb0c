"""The search player: a tree on sampled worlds at every decision, and the play it comes to."""

from __future__ import annotations

from dataclasses import dataclass
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

TREES = 256  # searched side by side; bounds memory and the evaluator's batches, not results


@dataclass(kw_only=True, eq=False)
class SearchPlayer(ThinkingPlayer):
    """Plays what a search of the position comes to.

    Attributes:
        name: what results are labelled with.
        evaluator: gives priors and values; it sees one row for each tree at a time.
        options: of every search; the play is the one that it makes at temperature 0.

    World i at ply p of game g is the i-th of stream EVAL_WORLDS of the match's seed, so that a
    choice depends on the game alone, not on what else is in the batch.
    """

    name: str
    evaluator: BatchEvaluator
    options: SearchOptions
    at_once = TREES

    def _choose_open(self, batch: GameBatch, rows: Rows, rng: PlayRng) -> Dominoes:
        games = batch.take(rows)
        forest = Forest(
            games,
            options=self.options,
            seed=rng.seed,
            game_numbers=rng.games,
            stream=Stream.EVAL_WORLDS,
        )
        search(forest, self.evaluator)
        return slot_dominoes(games.observe()["hand"], forest.choices().astype(np.intp))


def search(forest: Forest, evaluator: BatchEvaluator) -> None:
    """Run every search of a forest to its end: in C, if the evaluator has a network there."""
    obs = np.zeros(len(forest), OBS_DTYPE)
    evals = np.zeros((len(forest), 8), np.float32)
    core, more = core_of(evaluator), True
    while core is not None and more and not forest.waiting:
        more = forest.run(core, obs, evals, seconds=SLICE_SECONDS)
    # All of it without such a network; else what that has no finite answer to, which is then said.
    while n := forest.waiting or forest.select(obs):
        evaluator.evaluate(obs[:n], evals[:n])
        forest.update(evals[:n])
