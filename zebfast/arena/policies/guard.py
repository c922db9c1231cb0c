"""Calls of compiled policies, which nothing can stop: made in a thread that may be left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from zebfast.core.policy import PolicyRun

Result = TypeVar("Result")
_Job = Callable[[], None]


class _Worker:
    """A thread that does one job after the other; it ends with this object, or with the program."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        threading.Thread(target=_work, args=(self._jobs,), name="policy", daemon=True).start()

    def give(self, job: _Job) -> None:
        """Let it do the job."""
        self._jobs.put(job)

    def __del__(self) -> None:
        self._jobs.put(None)


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # with what it is about, before the next one comes


_own = threading.local()


def guarded(
    job: Callable[[], Result], run: PolicyRun, *, seconds: float, stuck: Callable[[], Exception]
) -> Result:
    """What ``job`` returns or raises. Every single call of a policy in it has so many seconds.

    job calls a policy again and again without the GIL, and counts in ``run``. If no call ends
    within the seconds, `stuck()` is raised; the job goes on in its thread, with all that it holds,
    until the program ends. While it waits, Ctrl-C works as ever.
    """
    found: list[Result] = []
    raised: list[BaseException] = []
    done = threading.Lock()
    done.acquire()

    def work() -> None:
        try:
            found.append(job())
        except BaseException as error:
            raised.append(error)
        finally:
            done.release()

    worker: _Worker = _own.__dict__.pop("worker", None) or _Worker()
    calls = run.calls
    worker.give(work)
    while not done.acquire(timeout=seconds):
        if run.calls == calls:
            raise stuck()
        calls = run.calls
    _own.worker = worker
    if raised:
        raise raised[0]
    return found[0]
