"""What a recipe adds to the loop: new stages are told, looks taken, training kept in step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zebfast.learner.evaluation import Look, Spectator
from zebfast.learner.schedule import Course
from zebfast.learner.session import Account, Journal, Saver, Session
from zebfast.net import checkpoint as model_file

# --- Keeps the best network of a run with a recipe, by arena and never by loss.


class Guard:
    """Takes looks for the loop. Close it to end its threads."""

    def __init__(self, session: Session, course: Course, journal: Journal, saver: Saver) -> None:
        self._session, self._course = session, course
        self._journal, self._saver = journal, saver
        assert course.recipe.arena is not None
        self._arena = course.recipe.arena
        self._spectator = Spectator(self._arena, session.config, session.trainer.net.config)
        if session.best is not None:
            self._write_best()  # a kill may have come between the checkpoint and this file

    @property
    def is_due(self) -> bool:
        """Is it time for a look, and has there been a step since the last one?

        The first look is before the first step.
        """
        saved, every = self._course.saved, self._arena.every_minutes
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


# Fewer steps than batches are drawn for at once are waited for: each call costs the device a wait.
_WORTHWHILE_STEPS = 32


class Unguided:
    """A run without a recipe: it trains as it can, and nothing but a stop ends it."""

    @property
    def has_news(self) -> bool:
        """Has a stage begun, so that training is to pause?"""
        return False

    @property
    def has_all_games(self) -> bool:
        """Are no more examples to come?"""
        return False

    @property
    def is_done(self) -> bool:
        """Is all trained?"""
        return False

    def tick(self) -> None:
        """Time has passed."""

    def between_cycles(self, should_stop: Callable[[], bool]) -> None:
        """Tell of a stage that has begun; see how strong the network is where that is due.

        Raises OSError, as saving does.
        """

    def n_steps(self, rest: int) -> int:
        """Steps to take now, of ``rest`` that are left of the cycle; 0 while that is hardly any."""
        return rest

    def last_look(self, should_stop: Callable[[], bool]) -> None:
        """The look at the end, if it has not been taken. Raises OSError."""

    def last_line(self) -> str | None:
        """What there is to be said of the end of a run that is done."""
        return None

    def close(self) -> None:
        """End the threads."""


class Guided(Unguided):
    """Follows the course of a session with a recipe."""

    def __init__(
        self, session: Session, course: Course, account: Account, journal: Journal, saver: Saver
    ) -> None:
        self._session, self._account, self._saver = session, account, saver
        self._course = course
        self._guard = Guard(session, course, journal, saver)
        self._told: dict[str, Any] | None = None

    @property
    def has_news(self) -> bool:
        return self._course.entered

    @property
    def has_all_games(self) -> bool:
        return self._course.has_all_games

    @property
    def is_done(self) -> bool:
        return self._course.is_done

    def tick(self) -> None:
        self._course.tick()

    def between_cycles(self, should_stop: Callable[[], bool]) -> None:
        if self._course.entered:
            self._course.entered = False
            # Before the checkpoint: else a kill would leave examples that the stage has dropped.
            self._saver.save_replay()
            self._saver.publish()
        elif self._told != self._course.producer:
            self._session.publisher.renew(self._account.renewal())
        self._told = self._course.producer
        if self._guard.is_due:
            self._guard.look(should_stop)

    def n_steps(self, rest: int) -> int:
        allowed = self._course.n_steps()
        worthwhile = 1 if self._course.has_all_games else min(rest, _WORTHWHILE_STEPS)
        if allowed < worthwhile:
            return 0
        self._session.trainer.batch_size = self._course.stage.batch_size
        return min(rest, allowed)

    def last_look(self, should_stop: Callable[[], bool]) -> None:
        if not self._course.saved.finished:
            self._guard.look(should_stop, last=True)

    def last_line(self) -> str | None:
        return self._course.last_line() if self._course.saved.finished else None

    def close(self) -> None:
        self._guard.close()


def follower(session: Session, account: Account, journal: Journal, saver: Saver) -> Unguided:
    """What the loop asks about the recipe of its session, or about having none."""
    if session.course is None:
        return Unguided()
    return Guided(session, session.course, account, journal, saver)
