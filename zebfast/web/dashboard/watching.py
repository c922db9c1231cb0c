"""The experiments of a directory: looked at as long as somebody watches, each by one thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zebfast.experiment.experiment import list_experiments
from zebfast.system.files import fault_text
from zebfast.web.answers import Refused
from zebfast.web.dashboard.run import Means, Run
from zebfast.web.lane import Lane
from zebfast.web.stream import Changes

_LOG = logging.getLogger(__name__)
LINGER_SECONDS = 10.0  # that an experiment is looked at when nobody asks any more
LIST_SECONDS = 2.0
MAX_WINDOWS = 32
RETRY_SECONDS = 5.0


class Watched:
    """An experiment, with what is told of it and what looks at it."""

    def __init__(self, run: Run, lane: Lane, told: Callable[[], None]) -> None:
        self.run = run
        self.changes = Changes(MAX_WINDOWS)
        self._lane = lane
        self._told = told
        self._until = 0.0
        self._going: asyncio.Task[None] | None = None

    @property
    def is_watched(self) -> bool:
        """Has somebody asked lately?"""
        return self._going is not None

    def touch(self) -> None:
        """Somebody wants to know: it is looked at for some time from now on. In the event loop."""
        self._until = time.monotonic() + LINGER_SECONDS + self.run.pause
        if self._going is None and not self.changes.closed:
            self._going = asyncio.get_running_loop().create_task(self._go())

    def close(self) -> None:
        """It is looked at no more, and its watchers end."""
        self.changes.close()
        if self._going is not None:
            self._going.cancel()

    async def _go(self) -> None:
        try:
            while time.monotonic() < self._until:
                pause = RETRY_SECONDS
                try:
                    await asyncio.wrap_future(self._lane.do(self.run.look))
                    pause = self.run.pause
                except Exception as error:  # a bug; the other experiments go on
                    self.run.fail("The look failed; the server's messages say how.")
                    _LOG.warning(f"{self.run.name}: {type(error).__name__}: {error}")
                self.changes.tell()
                self._told()
                await asyncio.sleep(pause)
        finally:
            self._going = None


class Watching:
    """All experiments of a directory.

    Attributes:
        trouble: a sentence where the directory could not be read the last time.
    """

    def __init__(self, directory: Path, means: Means, *, lane: Lane) -> None:
        self.directory = directory
        self.changes = Changes()  # of the list
        self.trouble = ""
        self._means = means
        self._lane = lane
        self._known: dict[str, Watched] = {}
        self._names: list[str] = []
        self._until = 0.0
        self._going: asyncio.Task[None] | None = None

    def find(self, name: str) -> Watched:
        """An experiment by its name. Refused where there is none, nor was one a moment ago."""
        if name not in self._known and name not in list_experiments(self.directory):
            raise Refused(404, f"There is no experiment {name[:80]!r} in {self.directory}.")
        return self._watched(name)

    def _watched(self, name: str) -> Watched:
        if name not in self._known:
            run = Run(name, self.directory / name, self._means)
            self._known[name] = Watched(run, self._lane, self._tell)
        return self._known[name]

    def touch(self) -> None:
        """Somebody wants to see the list. In the event loop."""
        self._until = time.monotonic() + LINGER_SECONDS
        if self._going is None and not self.changes.closed:
            self._going = asyncio.get_running_loop().create_task(self._go())

    def lines(self) -> list[dict[str, Any]]:
        """All of them, as they were last seen."""
        return [self._known[name].run.line() for name in self._names if name in self._known]

    def close(self) -> None:
        """Nobody is told any more."""
        for known in self._known.values():
            known.close()
        self.changes.close()
        if self._going is not None:
            self._going.cancel()

    def _tell(self) -> None:
        if self.changes.n_watchers:
            self.changes.tell()

    async def _go(self) -> None:
        try:
            while time.monotonic() < self._until:
                await asyncio.wrap_future(self._lane.do(self._list))
                for name in self._names:
                    self._watched(name).touch()
                for name, known in list(self._known.items()):
                    if name not in self._names and not known.is_watched:
                        known.close()
                        del self._known[name]
                self.changes.tell()
                await asyncio.sleep(LIST_SECONDS)
        finally:
            self._going = None

    def _list(self) -> None:
        try:
            self._names, self.trouble = list_experiments(self.directory), ""
        except OSError as error:
            self.trouble = f"{self.directory} cannot be read: {fault_text(error)}"
