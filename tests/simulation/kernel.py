"""Simulated time: tasks of which one runs at a time, in an order that a seed decides alone.

Each thread of a simulated process is a task. A task runs until it waits; then the one that is due
next goes on, at once, whatever time that is. Tasks are threads of Python only so that the
program's own loops can be run as they are: a baton is handed from one to the next, and nothing
ever happens beside it. Times are seconds since the simulation began.
"""

from __future__ import annotations

import heapq
import queue
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from zebfast.system.signals import Stopped

LEAST = 1e-6  # seconds of a wait: less than that may be lost in a sum, and time would stand still
MOST_EVENTS = 100_000  # of one run; beyond that something turns in circles


class Killed(BaseException):
    """This process is no more; what unwinds of it does nothing any more."""


class Broken(AssertionError):
    """An invariant does not hold, or the program failed in a way it must not."""


class Process:
    """A simulated process: its tasks, and how it ended.

    Attributes:
        host: the machine it runs on.
        dead: killed, or ended; nothing that still unwinds has any effect.
        stop_signal: number of the signal that asked it to stop.
        failure: what its main function ended with, if that was no exit code.
        subscribers: of its events.
        locks: files that it has locked.
    """

    def __init__(self, kernel: Kernel, name: str, host: Any) -> None:
        self.kernel, self.name, self.host = kernel, name, host
        self.tasks: list[Task] = []
        self.dead = False
        self.stop_signal: int | None = None
        self.stopping: deque[Task] = deque()  # tasks that a stop wakes
        self.exit_code: int | None = None
        self.failure: Exception | None = None
        self.subscribers: tuple[Callable[[Any], object], ...] = ()
        self.locks: list[tuple[Any, int]] = []
        self.on_end: Callable[[], None] = lambda: None

    def start(self, main: Callable[[], int]) -> None:
        def run() -> None:
            try:
                self.exit_code = main()
            except Exception as error:
                self.failure = error
            self.kernel.end(self)

        self.kernel.spawn(self, run, f"{self.name}.main")

    def stop(self, number: int) -> None:
        """Send it a signal that asks it to end."""
        self.stop_signal = number
        while self.stopping:
            self.kernel.wake(self.stopping.popleft())
        for task in self.tasks:
            if task.interrupts and not task.done:
                self.kernel.wake(task)


class Task:
    """One thread of a process; ``turn`` counts its waits, so that old wake-ups are known.

    ``interrupts``: a stop ends what it does, whatever that is.
    """

    def __init__(self, process: Process, run: Callable[[], None], name: str) -> None:
        self.process, self.name, self._run = process, name, run
        self.turn = 0
        self.done = self.interrupts = False
        self.baton = threading.Lock()
        self.baton.acquire()
        self.joiners: deque[Task] = deque()
        self.thread: threading.Thread | None = None

    def go(self) -> None:
        """Let it run; the caller waits for its own baton, or ends."""
        if self.thread is None:
            self.thread = threading.Thread(target=self._main, name=self.name, daemon=True)
            self.thread.start()
        else:
            self.baton.release()

    def _main(self) -> None:
        kernel = self.process.kernel
        try:
            if not self.process.dead:
                self._run()
        except Killed:
            pass
        except Broken as error:
            kernel.fail(error)
        except BaseException as error:
            kernel.fail(error)
        self.done = True
        for each in self.joiners:
            kernel.wake(each)
        kernel.leave(self)


class Kernel:
    """The clock and the tasks of one run."""

    def __init__(self) -> None:
        self.now = 0.0
        self.current: Task | None = None
        self.failure: BaseException | None = None
        self.n_events = 0
        self._heap: list[tuple[float, int, Any, int]] = []
        self._n = 0
        self._home = threading.Lock()  # the baton of whoever called ``run``
        self._home.acquire()
        self._until = 0.0

    # --- what a run is made of ---

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do this at that time, between the tasks."""
        self._n += 1
        heapq.heappush(self._heap, (max(when, self.now), self._n, action, -1))

    def spawn(self, process: Process, run: Callable[[], None], name: str) -> Task:
        task = Task(process, run, name)
        process.tasks.append(task)
        self._push(self.now, task)
        return task

    def run(self, until: float) -> None:
        """All that is due up to then; raises what failed."""
        self._until = until
        self._next(None)
        self._home.acquire()
        if self.failure is not None:
            raise self.failure
        self.now = max(self.now, until)

    def kill(self, process: Process) -> None:
        """End it as SIGKILL does: what is in its memory is gone."""
        if process.dead:
            return
        process.dead = True
        process.on_end()
        for task in process.tasks:
            if not task.done and task is not self.current:
                self._push(self.now, task)

    def end(self, process: Process) -> None:
        """Its main function is over: so are its other threads."""
        self.kill(process)

    def fail(self, error: BaseException) -> None:
        if self.failure is None:
            error.add_note("".join(traceback.format_exception(error)[-12:]))
            self.failure = error

    # --- for tasks ---

    def block(self, seconds: float | None) -> None:
        """Wait until woken, or for so long. Raises Killed."""
        task = self.current
        assert task is not None, "only a task can wait"
        if task.process.dead:
            raise Killed
        if seconds is not None:
            self._push(self.now + max(LEAST, seconds), task)
        self._next(task)
        if task.process.dead:
            raise Killed
        if task.interrupts and task.process.stop_signal is not None:
            task.interrupts = False
            raise Stopped

    def wake(self, task: Task) -> None:
        self._push(self.now, task)

    def leave(self, _task: Task) -> None:
        """A task is over: on to the next."""
        self._next(None)

    def _push(self, when: float, task: Task) -> None:
        self._n += 1
        heapq.heappush(self._heap, (when, self._n, task, task.turn))

    def _next(self, me: Task | None) -> None:
        """Hand over to what is due next; returns when it is the caller's turn again."""
        while True:
            if self.failure is not None or not self._heap or self._heap[0][0] > self._until:
                self.current = None
                self._home.release()
                break
            when, _, what, turn = heapq.heappop(self._heap)
            if turn >= 0 and (what.done or what.turn != turn):
                continue
            self.now = max(self.now, when)
            self.n_events += 1
            if self.n_events > MOST_EVENTS:
                self.fail(Broken(f"still busy after {MOST_EVENTS:,} events"))
                continue
            if turn < 0:
                self.current = None
                try:
                    what()
                except BaseException as error:
                    self.fail(error)
                continue
            what.turn += 1
            self.current = what
            if what is me:
                return
            what.go()
            break
        if me is not None:
            me.baton.acquire()

    def close(self, processes: list[Process]) -> None:
        """Let every task unwind and end."""
        self.failure, self._until = None, float("inf")
        self._heap.clear()
        self.n_events = 0
        for process in processes:
            process.dead = True
            for task in process.tasks:
                if not task.done:
                    self._push(self.now, task)
        self._next(None)
        self._home.acquire()
        for process in processes:
            for task in process.tasks:
                if task.thread is not None:
                    task.thread.join()


# --- threading, queue and time as the program sees them ---


class Lock:
    """As threading.Lock and RLock; a task may take it again, as the latter allows."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._owner: Task | None = None
        self._count = 0
        self._waiting: deque[Task] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        kernel = self._kernel
        me = kernel.current
        deadline = None if timeout < 0 else kernel.now + timeout
        while self._count and self._owner is not me:
            if not blocking or (deadline is not None and kernel.now >= deadline):
                return False
            assert me is not None
            self._waiting.append(me)
            kernel.block(None if deadline is None else deadline - kernel.now)
        self._owner = me
        self._count += 1
        return True

    def release(self) -> None:
        self._count -= 1
        if not self._count:
            self._owner = None
            if self._waiting:
                self._kernel.wake(self._waiting.popleft())

    def release_all(self) -> int:
        count, self._count = self._count, 1
        self.release()
        return count

    def retake(self, count: int) -> None:
        self.acquire()
        self._count = count

    def locked(self) -> bool:
        return bool(self._count)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition:
    """As threading.Condition."""

    def __init__(self, kernel: Kernel, lock: Lock | None = None) -> None:
        self._kernel = kernel
        self._lock = lock or Lock(kernel)
        self._waiting: deque[Task] = deque()
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        me = self._kernel.current
        assert me is not None
        self._waiting.append(me)
        count = self._lock.release_all()
        try:
            self._kernel.block(timeout)
        finally:
            woken = me not in self._waiting
            if not woken:
                self._waiting.remove(me)
            if me.process.dead:
                self._lock._count, self._lock._owner = count, me
            else:
                self._lock.retake(count)
        return woken

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        deadline = None if timeout is None else self._kernel.now + timeout
        while not (result := predicate()):
            left = None if deadline is None else deadline - self._kernel.now
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result

    def notify(self, n: int = 1) -> None:
        for _ in range(min(n, len(self._waiting))):
            self._kernel.wake(self._waiting.popleft())

    def notify_all(self) -> None:
        self.notify(len(self._waiting))


class Event:
    """As threading.Event."""

    def __init__(self, kernel: Kernel) -> None:
        self._changed, self._is_set = Condition(kernel), False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        with self._changed:
            self._is_set = True
            self._changed.notify_all()

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        with self._changed:
            if not self._is_set:
                self._changed.wait(timeout)
            return self._is_set


class Queue:
    """As queue.Queue."""

    def __init__(self, kernel: Kernel, maxsize: int = 0) -> None:
        self._kernel, self._maxsize = kernel, maxsize
        self._items: deque[Any] = deque()
        self._changed = Condition(kernel)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        with self._changed:
            if self._maxsize and not (
                (block and self._changed.wait_for(self._has_room, timeout)) or self._has_room()
            ):
                raise queue.Full
            self._items.append(item)
            self._changed.notify_all()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        with self._changed:
            if not self._items and block:
                self._changed.wait_for(lambda: self._items, timeout)
            if not self._items:
                raise queue.Empty
            self._changed.notify_all()
            return self._items.popleft()

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def put_nowait(self, item: Any) -> None:
        self.put(item, block=False)

    def qsize(self) -> int:
        return len(self._items)

    def empty(self) -> bool:
        return not self._items

    def _has_room(self) -> bool:
        return len(self._items) < self._maxsize


class Thread:
    """As threading.Thread; a task of the process that starts it."""

    def __init__(
        self,
        kernel: Kernel,
        *,
        target: Callable[..., object],
        name: str = "",
        args: tuple[Any, ...] = (),
        daemon: bool | None = None,
    ) -> None:
        self._kernel, self.name, self.daemon = kernel, name, daemon
        self._target, self._args = target, args
        self._task: Task | None = None

    def start(self) -> None:
        current = self._kernel.current
        assert current is not None
        process = current.process

        def run() -> None:
            self._target(*self._args)

        self._task = self._kernel.spawn(process, run, f"{process.name}.{self.name}")

    def join(self, timeout: float | None = None) -> None:
        task, me = self._task, self._kernel.current
        if task is None or task.done:
            return
        assert me is not None
        deadline = None if timeout is None else self._kernel.now + max(0.0, timeout)
        while not task.done and (deadline is None or self._kernel.now < deadline):
            task.joiners.append(me)
            self._kernel.block(None if deadline is None else deadline - self._kernel.now)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done


class StopFlag:
    """As zebfast.system.signals.StopFlag, of the process that makes it."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        assert kernel.current is not None
        self._process = kernel.current.process

    @property
    def signal_number(self) -> int | None:
        return self._process.stop_signal

    def __enter__(self) -> StopFlag:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self) -> bool:
        return self._process.stop_signal is not None

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        task = self._kernel.current
        assert task is not None
        try:
            task.interrupts = True
            if self():
                raise Stopped
            yield
        finally:
            task.interrupts = False

    def wait(self, seconds: float) -> None:
        kernel, deadline = self._kernel, self._kernel.now + seconds
        while not self() and kernel.now < deadline:
            assert kernel.current is not None
            self._process.stopping.append(kernel.current)
            kernel.block(deadline - kernel.now)

    @property
    def exit_code(self) -> int:
        number = self._process.stop_signal
        return 0 if number is None else 128 + number
