"""What a recipe adds to the loop: new stages are told, looks taken, training kept in step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zebfast.learner.account import Account
from zebfast.learner.course import Course
from zebfast.learner.guard import Guard
from zebfast.learner.journal import Journal
from zebfast.learner.saving import Saver
from zebfast.learner.startup import Session

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
