"""The sender beside the work: order, failures, hurry and end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from zebfast.system.background import BackgroundSender
from zebfast.system.retry import constant, doubling


class Away(Exception):
    """A passing fault."""


class Receiver:
    """Takes what is sent; ``errors`` are raised one a call, and a closed gate holds a call up."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.got: list[Any] = []
        self.failed: list[tuple[Any, str]] = []
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()

    def send(self, thing: Any) -> None:
        self.entered.set()
        assert self.gate.wait(30)
        if self.errors:
            raise self.errors.pop(0)
        self.got.append(thing)

    def fail(self, thing: Any, error: Exception) -> bool:
        if not isinstance(error, Away):
            raise error
        self.failed.append((thing, str(error)))
        return True


@pytest.fixture
def start() -> Iterator[Callable[..., BackgroundSender[Any]]]:
    made: list[BackgroundSender[Any]] = []

    def make(receiver: Receiver, **how: Any) -> BackgroundSender[Any]:
        given: dict[str, Any] = {"failed": receiver.fail, "retry": constant(0.001)}
        made.append(BackgroundSender(receiver.send, name="test", **(given | how)))
        return made[-1]

    yield make
    for sender in made:
        sender.close(10)
        assert not sender._thread.is_alive()


Start = Callable[..., BackgroundSender[Any]]


def test_the_newest_wins_while_one_is_sent(start: Start) -> None:
    receiver = Receiver()
    sender = start(receiver)
    receiver.gate.clear()
    sender.submit(1)
    assert receiver.entered.wait(30)
    for thing in (2, 3, 4):
        sender.submit(thing)
    assert sender.pending() == [4, 1]
    receiver.gate.set()
    assert sender.finish(30)
    assert receiver.got == [1, 4]
    assert sender.pending() == []


def test_what_failed_is_sent_again_unless_a_newer_one_waits(start: Start) -> None:
    receiver = Receiver(Away("down"), Away("down"))
    sender = start(receiver)
    receiver.gate.clear()
    sender.submit(1)
    assert receiver.entered.wait(30)
    sender.submit(2)
    receiver.gate.set()
    assert sender.finish(30)
    assert receiver.failed == [(1, "down"), (2, "down")]
    assert receiver.got == [2]


def test_things_are_combined_older_first_also_with_one_that_failed(start: Start) -> None:
    receiver = Receiver(Away("down"))
    sender = start(receiver, combine=lambda older, newer: older + newer)
    receiver.gate.clear()
    sender.submit("a")
    assert receiver.entered.wait(30)
    sender.submit("b")
    sender.submit("c")
    receiver.gate.set()
    assert sender.finish(30)
    assert receiver.got == ["abc"]


def test_what_is_not_wanted_any_more_is_dropped(start: Start) -> None:
    receiver = Receiver(Away("down"))
    sender = start(receiver, failed=lambda thing, error: False)
    sender.submit(1)
    assert sender.finish(30)
    sender.submit(2)
    assert sender.finish(30)
    assert receiver.got == [2]


def test_what_cannot_be_helped_ends_the_thread(start: Start) -> None:
    receiver = Receiver(ValueError("a bug"))
    sender = start(receiver)
    sender.submit(1)
    assert sender.finish(30), "nothing is waited for any more"
    assert isinstance(sender.error, ValueError)
    sender.submit(2)
    assert sender.finish(0.0)
    assert receiver.got == []


def test_it_rests_between_two_unless_it_is_to_finish(start: Start) -> None:
    now = [0.0]
    receiver, sent = Receiver(), threading.Event()
    sender = start(receiver, rest=100.0, clock=lambda: now[0], sent=lambda thing: sent.set())
    sender.submit(1)
    assert sent.wait(30)
    sender.submit(2)
    sender._thread.join(0.05)
    assert (receiver.got, sender.pending()) == ([1], [2])
    now[0] = 100.0
    sender.submit(3)
    while sender.pending():
        sender._thread.join(0.001)
    assert receiver.got == [1, 3]
    sender.submit(4)
    assert sender.finish(30), "without more ado"
    assert receiver.got == [1, 3, 4]


def test_pauses_grow_with_failures(start: Start) -> None:
    """By the sender's own clock, which stands: nothing more is tried until it has moved."""
    now, tried = [0.0], threading.Semaphore(0)
    receiver = Receiver(*[Away("down")] * 3)

    def fail(thing: Any, error: Exception) -> bool:
        receiver.fail(thing, error)
        tried.release()
        return True

    sender = start(receiver, failed=fail, retry=doubling(10.0), clock=lambda: now[0])
    sender.submit(1)
    for pause in (10.0, 20.0, 40.0):
        assert tried.acquire(timeout=30)
        while sender._sending is not None:
            pass
        assert sender._not_before == pytest.approx(now[0] + pause)
        now[0] += pause
        sender.submit(1)  # wakes it
    assert sender.finish(30)
    assert receiver.got == [1]


def test_finish_gives_up_when_its_time_is_over(start: Start) -> None:
    receiver = Receiver()
    sender = start(receiver)
    receiver.gate.clear()
    sender.submit(1)
    assert receiver.entered.wait(30)
    assert not sender.finish(0.01)
    receiver.gate.set()
