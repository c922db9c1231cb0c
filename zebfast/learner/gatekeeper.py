"""Evaluates the network while it trains and keeps the best one, by matches and never by loss.

A candidate that is not worse than the best becomes the best. One that has collapsed is given up:
training goes on from the best. The best weights are in the training checkpoint, so that a kill at
any moment leaves them and what is known of them together, and in a file beside it for others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zebfast.learner.checkpoints import CheckpointManager
from zebfast.learner.config import LearnerConfig
from zebfast.learner.evaluation import (
    Evaluation,
    MatchEvaluator,
    decided_share,
    evaluation_seed,
)
from zebfast.learner.schedule import Schedule
from zebfast.learner.state import Progress
from zebfast.learner.train.trainer import Trainer
from zebfast.net import checkpoint as model_file
from zebfast.system.events import Evaluated, emit

_PLAIN = ("random", "heuristic")  # opponents of --eval-every


class Gatekeeper:
    """Evaluates for the loop. Close it to end its threads. StartError as MatchEvaluator."""

    def __init__(
        self,
        config: LearnerConfig,
        trainer: Trainer,
        schedule: Schedule,
        progress: Progress,
        checkpoints: CheckpointManager,
    ) -> None:
        self._config, self._trainer, self._schedule = config, trainer, schedule
        self._progress, self._checkpoints = progress, checkpoints
        self._arena = schedule.recipe.arena
        opponents = _PLAIN if config.eval_every else ()
        if self._arena is not None:
            opponents = (*opponents, *self._arena.opponents)
        self._matches = MatchEvaluator(config, trainer.net.config, opponents)
        if progress.best_weights is not None and self._arena is not None:
            self._write_best()  # a kill may have come between the checkpoint and this file

    @property
    def is_due(self) -> bool:
        """Is it time to choose, and has there been a step since the last time?

        The first time is before the first step.
        """
        if self._arena is None:
            return False
        saved = self._schedule.saved
        if saved.last is None:
            return True
        is_new = self._trainer.optimizer_steps > saved.last["optimizer_steps"]
        return is_new and saved.minutes - saved.looked_at >= self._arena.every_minutes

    def after_cycle(self) -> None:
        """Evaluate against plain players, every so many cycles; nothing is chosen by it."""
        step, every = self._progress.step, self._config.eval_every
        if not every or step % every:
            return
        found = self._matches.play(
            self._trainer.weights(),
            _PLAIN,
            n_games=self._config.eval_games,
            seed=self._config.seed,
        )
        assert found is not None  # nobody stops it
        row = found.row(self._progress.total_games)
        emit(Evaluated(cycle=step, results=found.told(), metrics=row))

    def choose(self, should_stop: Callable[[], bool], *, last: bool = False) -> None:
        """Evaluate and act on it; nothing happens where a stop comes first.

        The ``last`` one leaves the best network as what is published.

        Raises OSError, as saving does.
        """
        arena, progress, saved = self._arena, self._progress, self._schedule.saved
        assert arena is not None  # else it is never due
        weights, best = self._trainer.weights(), progress.best_weights
        found = self._matches.play(
            weights,
            arena.opponents,
            best=best,
            n_games=arena.n_games,
            seed=evaluation_seed(self._config.seed, saved.looks),
            should_stop=should_stop,
        )
        if found is None:
            return
        self._schedule.tick()
        saved.looks, saved.looked_at, saved.finished = saved.looks + 1, saved.minutes, last
        record, versus = self._record(found), found.versus_best
        emit(
            Evaluated(
                cycle=progress.step,
                results=found.told(),
                metrics=found.row(progress.total_games)
                | found.gate_row(saved.looks)
                | self._schedule.row(),
                number=saved.looks,
                outcome="first" if saved.best is None or versus is None else found.outcome,
                decided=None if versus is None else decided_share(versus),
                best_cycle=None if saved.best is None else saved.best["step"],
            )
        )
        saved.last = record
        if found.is_best:
            progress.best_weights, saved.best = weights, record
        elif best is not None and (found.is_collapse or last):
            self._trainer.go_on_from(best)
            # Readers take weights of a later step only.
            progress.step, progress.steps_into_cycle = progress.step + 1, 0
        self._checkpoints.publish()
        if progress.best_weights is not None:
            self._write_best()

    def close(self) -> None:
        self._matches.close()

    def _record(self, found: Evaluation) -> dict[str, Any]:
        progress, saved = self._progress, self._schedule.saved
        return {
            "look": saved.looks,
            "step": progress.step,
            "optimizer_steps": self._trainer.optimizer_steps,
            "games": progress.total_games,
            "minutes": round(saved.minutes, 3),
            "stage": self._schedule.stage.name,
            "results": found.to_json(),
        }

    def _write_best(self) -> None:
        weights, found = self._progress.best_weights, self._schedule.saved.best or {}
        assert weights is not None
        model_file.save(
            model_file.Checkpoint(
                config=self._trainer.net.config,
                weights=weights,
                epoch=int(found.get("step", 0)),
                total_games=int(found.get("games", 0)),
                provenance=model_file.provenance(
                    recipe=self._schedule.recipe.name,
                    seed=self._config.seed,
                    lineage=self._progress.lineage,
                    best=found,
                ),
            ),
            self._config.best_path,
        )
