"""Pauses, attempts and what is said of them, with a clock that stands in a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zebfast.system.retry import (
    Backoff,
    Once,
    constant,
    doubling,
    jittered,
    retrying,
)


class Away(Exception):
    """A passing fault; ``retry_after`` as some answers ask."""

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__("away")
        self.retry_after = retry_after


class Action:
    """Fails as it is told, one error a call, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@given(st.floats(0, 1e3), st.floats(0, 1e3), st.integers(1, 10_000))
def test_a_doubled_pause_never_passes_its_longest(
    first: float, longest: float, failures: int
) -> None:
    pause = doubling(first, longest=longest)
    assert 0 <= pause(failures) <= longest
    assert pause(failures) <= pause(failures + 1)
    assert pause(1) == min(first, longest)


@given(st.floats(0, 10), st.floats(0, 10), st.integers(1, 1000))
def test_jitter_is_below_its_step_and_its_longest(
    step: float, longest: float, failures: int
) -> None:
    assert 0 <= jittered(step, longest=longest)(failures) <= min(longest, step * failures)


def test_pauses_double_and_longer_ones_that_are_asked_for_are_kept() -> None:
    waited: list[float] = []
    action = Action(Away(), Away(retry_after=30.0), Away(retry_after=0.5), Away())
    found = retrying(action, on=Away, pause=doubling(5.0, longest=20.0), wait=waited.append)
    assert found == "done"
    assert waited == [5.0, 30.0, 20.0, 20.0]


def test_the_last_attempt_fails_without_a_pause_or_a_word() -> None:
    waited: list[float] = []
    told: list[tuple[int, float]] = []
    with pytest.raises(Away):
        retrying(
            Action(*[Away()] * 9), on=Away, attempts=3, pause=constant(2.0), wait=waited.append,
            again=lambda error, attempt, seconds: told.append((attempt, seconds)),
        )  # fmt: skip
    assert waited == [2.0, 2.0]
    assert told == [(1, 2.0), (2, 2.0)]


def test_other_errors_come_through_at_once() -> None:
    with pytest.raises(ValueError, match="wrong"):
        retrying(Action(ValueError("wrong"), Away()), on=Away, pause=constant(0), wait=pytest.fail)


def test_whoever_is_told_or_waits_may_give_up() -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for how in ({"again": stop}, {"wait": stop}):
        action = Action(Away(), Away())
        with pytest.raises(KeyboardInterrupt):
            retrying(action, on=Away, pause=constant(0), **how)  # type: ignore[arg-type]
        assert len(action.errors) == 1


def test_a_backoff_begins_anew_after_a_success() -> None:
    backoff = Backoff(doubling(1.0, longest=3.0))
    assert [backoff.failed() for _ in range(4)] == [1.0, 2.0, 3.0, 3.0]
    assert backoff.failed(Away(retry_after=60.0)) == 60.0
    backoff.succeeded()
    assert backoff.failed(Away()) == 1.0


def test_a_sentence_is_said_once_until_it_changes_or_is_over() -> None:
    once = Once()
    told = [text for text in ("a", "a", "b", "a", "a") if once(text)]
    assert told == ["a", "b", "a"]
    assert once.over()
    assert not once.over()
    assert once("a")
