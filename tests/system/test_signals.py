"""Stops: a flag, at once in the middle of a long work, or the end of the program in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import numpy as np
import pytest

from zebfast.core.engine import GameBatch
from zebfast.core.solver_pool import SolverPool
from zebfast.system.signals import (
    SignalsHeld,
    StopFlag,
    Stopped,
    exit_behind,
    exit_on_signals,
    interrupting,
)

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def stopped_in_the_middle(number: int) -> None:
    """A work that lasts a minute, never looks at a flag, and is told to stop as it begins."""
    send(number)
    time.sleep(60)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_is_a_question_and_the_second_an_order(number: int) -> None:
    came: list[int] = []
    signal.signal(number, lambda which, _frame: came.append(which))
    with StopFlag() as stop:
        assert (stop(), stop.exit_code) == (False, 0)
        send(number)
        assert (stop(), stop.exit_code, came) == (True, 128 + number, [])
        send(number)
        assert came == [number]
    send(number)
    assert came == [number, number]


def test_where_a_cluster_signals_every_process_the_echo_is_no_second_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slurm tells the worker and its supervisor, which passes it on."""
    came: list[int] = []
    signal.signal(signal.SIGTERM, lambda which, _frame: came.append(which))
    with StopFlag(echo=60.0) as stop:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert (stop(), came) == (True, [])
        later = time.monotonic() + 61.0
        monkeypatch.setattr("time.monotonic", lambda: later)
        send(signal.SIGTERM)
        assert came == [signal.SIGTERM]
        send(signal.SIGTERM)
    send(signal.SIGTERM)
    assert came == [signal.SIGTERM] * 3


@pytest.mark.parametrize("number", NUMBERS)
def test_within_a_work_it_is_heard_at_once(number: int) -> None:
    began = time.monotonic()
    with StopFlag() as stop, pytest.raises(Stopped), stop.interrupting():
        stopped_in_the_middle(number)
    assert stop.signal_number == number
    assert time.monotonic() - began < 30


def test_one_that_came_before_is_heard_first_and_one_after_is_a_flag() -> None:
    with StopFlag() as stop:
        with interrupting(stop):
            pass
        send(signal.SIGTERM)
        with pytest.raises(Stopped), interrupting(stop):
            raise AssertionError("the work began")
    with StopFlag() as stop, interrupting(lambda: False):
        send(signal.SIGTERM)
        assert stop()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_solvers_leave_a_long_question_for_it(n_threads: int) -> None:
    """Opening positions by the thousand, which take minutes; the pool answers afterwards."""
    deals = GameBatch.deal(4000, seed=1)
    positions = deals.positions(np.arange(len(deals)))
    began = time.monotonic()
    with SolverPool(n_threads) as pool, StopFlag() as stop:
        before = signal.signal(signal.SIGALRM, lambda *_: send(signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Stopped), stop.interrupting():
            pool.play_values(positions)
        signal.signal(signal.SIGALRM, before)
        assert len(pool.values(positions[:1])) == 1
    assert time.monotonic() - began < 30


def test_a_hangup_that_is_ignored_stays_so() -> None:
    """As nohup has it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopFlag() as stop:
        send(signal.SIGHUP)
        assert not stop()
    exit_on_signals()
    send(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("number", NUMBERS[1:])
def test_a_program_without_a_flag_ends_in_order(number: int) -> None:
    exit_on_signals()
    with pytest.raises(SystemExit) as ended:
        stopped_in_the_middle(number)
    assert ended.value.code == 128 + number


def swallowed_by_a_destructor(number: int) -> None:
    class Object:
        def __del__(self) -> None:
            send(number)
            time.sleep(0)

    Object()


def swallowed_by_a_callback_of_c(number: int) -> None:
    import ctypes

    ctypes.CFUNCTYPE(None)(lambda: send(number))()


def swallowed_by_an_import(number: int) -> None:
    try:
        send(number)
        time.sleep(0)
    except BaseException:
        pass


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "swallow",
    [swallowed_by_a_destructor, swallowed_by_a_callback_of_c, swallowed_by_an_import],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_something_swallowed_is_heard_by_the_next_flag(
    swallow: Callable[[int], None], number: int
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    handler = exit_on_signals()
    swallow(number)
    with StopFlag() as stop:
        assert (stop(), stop.exit_code) == (True, 128 + number)
        assert signal.getsignal(number) is handler  # the next one is an order
        with pytest.raises(Stopped), stop.interrupting():
            raise AssertionError("the work began")


def test_what_ended_one_program_does_not_end_the_next_in_its_process() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    exit_on_signals()
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    exit_on_signals()
    with StopFlag() as stop:
        assert not stop()


def test_ctrl_c_that_is_ignored_stays_so() -> None:
    """As a shell without job control has it for what runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    exit_on_signals()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize("number", NUMBERS)
def test_a_beginning_has_its_end_whenever_a_signal_comes(number: int) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    handler = exit_on_signals()

    def work(at: str, done: list[str]) -> None:
        def reach(moment: str) -> None:
            if moment == at:
                send(number)
            done.append(moment)

        with SignalsHeld() as signals:
            reach("begin")
            try:
                with signals.released():
                    reach("work")
            finally:
                reach("end")
            done.append("left")

    def run(at: str) -> list[str]:
        done: list[str] = []
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            work(at, done)
        assert signal.getsignal(number) is handler
        return done

    assert run("begin") == ["begin", "end"]
    assert run("work") == ["begin", "end"]
    assert run("end") == ["begin", "work", "end", "left"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_flag_within_what_is_released_listens_alone(number: int) -> None:
    came: list[int] = []
    signal.signal(number, lambda which, _frame: came.append(which))
    with SignalsHeld() as signals:
        with signals.released(), StopFlag() as stop:
            send(number)
            assert stop()
        send(number)
        assert came == []
    assert came == [number]


class FailsToLeave:
    """A context that fails at the end whatever has happened in it, as those of torch may."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        raise RuntimeError("nothing to leave")


@pytest.mark.parametrize("number", NUMBERS)
def test_an_exit_is_known_behind_what_took_its_place(number: int) -> None:
    exit_on_signals()
    with pytest.raises(RuntimeError) as failed, FailsToLeave():
        send(number)
    assert exit_behind(failed.value) == 128 + number
    assert exit_behind(RuntimeError("a failure of its own")) is None
