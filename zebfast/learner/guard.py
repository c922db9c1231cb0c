"""Keeps the best network of a run with a recipe, by arena and never by loss.

A candidate that is not worse than the best becomes the best. One that has collapsed is given up:
training goes on from the best. The best weights are in the training checkpoint, so that a kill at
any moment leaves them and what is known of them together, and in a file beside it for others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zebfast.learner.course import Course
from zebfast.learner.journal import Journal
from zebfast.learner.looks import Look, Spectator
from zebfast.learner.saving import Saver
from zebfast.learner.startup import Session
from zebfast.net import checkpoint as model_file


class Guard:
    """Takes looks for the loop. Close it to end its threads."""

    def __init__(self, session: Session, course: Course, journal: Journal, saver: Saver) -> None:
        self._session, self._course = session, course
        self._journal, self._saver = journal, saver
        self._spectator = Spectator(course.recipe.arena, session.config, session.trainer.net.config)
        if session.best is not None:
            self._write_best()  # a kill may have come between the checkpoint and this file

    @property
    def is_due(self) -> bool:
        """Is it time for a look, and has there been a step since the last one?

        The first look is before the first step.
        """
        saved, every = self._course.saved, self._course.recipe.arena.every_minutes
        if saved.last is None:
            return True
        is_new = self._session.trainer.optimizer_steps > saved.last["optimizer_steps"]
        return is_new and saved.minutes - saved.looked_at >= every

    def look(self, should_stop: Callable[[], bool], *, last: bool = False) -> None:
        """Take a look and act on it; nothing happens where a stop comes first.

        The ``last`` one leaves the best network as what is published.

        Raises OSError, as saving does.
        """
        session, saved = self._session, self._course.saved
        weights = session.trainer.weights()
        found = self._spectator.look(
            weights, session.best, number=saved.looks, should_stop=should_stop
        )
        if found is None:
            return
        self._course.tick()
        saved.looks, saved.looked_at, saved.finished = saved.looks + 1, saved.minutes, last
        record = self._record(found)
        self._journal.look(session.progress.step, saved.looks, found, saved)
        saved.last = record
        if found.is_best:
            session.best, saved.best = weights, record
        elif session.best is not None and (found.is_collapse or last):
            session.trainer.go_on_from(session.best)
            # Readers take weights of a later step only.
            session.progress.step, session.progress.steps_into_cycle = session.progress.step + 1, 0
        self._saver.publish()
        if session.best is not None:
            self._write_best()

    def close(self) -> None:
        self._spectator.close()

    def _record(self, look: Look) -> dict[str, Any]:
        progress, saved = self._session.progress, self._course.saved
        return {
            "look": saved.looks,
            "step": progress.step,
            "optimizer_steps": self._session.trainer.optimizer_steps,
            "games": progress.total_games,
            "minutes": round(saved.minutes, 3),
            "stage": self._course.stage.name,
            "results": look.to_json(),
        }

    def _write_best(self) -> None:
        session, best = self._session, self._course.saved.best
        assert session.best is not None
        found = best or {}
        model_file.save(
            model_file.Checkpoint(
                config=session.trainer.net.config,
                weights=session.best,
                epoch=int(found.get("step", 0)),
                total_games=int(found.get("games", 0)),
                provenance=model_file.provenance(
                    recipe=self._course.recipe.name,
                    seed=session.config.seed,
                    lineage=session.progress.lineage,
                    best=found,
                ),
            ),
            session.config.best_path,
        )
