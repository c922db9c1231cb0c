"""What takes time is done in threads of its own, so that no page waits for it.

Threads end with the process, whatever they are at: nothing that they do is lost, since a game goes
on from its last act, and what only looks can look again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Found = TypeVar("Found")


class Lane:
    """Threads that do one thing after another; what waits is done in order."""

    def __init__(self, name: str, n_threads: int) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        for number in range(n_threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def do(self, job: Callable[[], Found]) -> Future[Found]:
        """Have it done by one of them."""
        future: Future[Found] = Future()
        self._jobs.put((future, job))
        return future

    def _work(self) -> None:
        while True:
            future, job = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
