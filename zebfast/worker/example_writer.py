"""From a finished batch to the example store: nothing is dropped, nothing is handed over twice."""

from __future__ import annotations

import errno
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.exchange import (
    NATIVE_SUFFIX,
    PT_SUFFIX,
    ExampleStore,
    ExchangeError,
    Serial,
    TransientError,
    example_name,
    new_session,
    passing_faults,
)
from zebfast.rules import N_PLIES
from zebfast.selfplay.examples import (
    MOST_GAMES_A_FILE,
    BadExampleFile,
    check_metadata,
    write_native,
)
from zebfast.selfplay.producer_kinds import SOURCES
from zebfast.system.events import Incident, emit
from zebfast.system.retry import Once, constant, retrying
from zebfast.system.signals import StopFlag
from zebfast.worker.config import WorkerConfig
from zebfast.worker.progress import SeedProgress

_LOG = logging.getLogger(__name__)
_LAST_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class ExampleWriter:
    """Puts batches of one worker into a store."""

    examples: ExampleStore
    progress: SeedProgress
    config: WorkerConfig
    stop: StopFlag
    _serials: Iterator[Serial] = field(
        default_factory=lambda: map(Serial, repeat(new_session()), count()), init=False, repr=False
    )

    def put(self, games: NDArray[np.void], metadata: Mapping[str, Any], *, next_game: int) -> None:
        """Write GAME_DTYPE[G]: as one file, or several where one may not hold so many games.

        A full disk and passing faults are waited out; these for at most ``upload_grace`` seconds
        once the worker is told to stop.

        Args:
            metadata: of the file, with the ``first_game`` of them.
            next_game: number of the first game behind these; those below it are spoken for.

        Raises:
            OSError: another fault of the disk, or a full one when the worker is told to stop.
            ExchangeError: the store refuses a file for good.
        """
        for start in range(0, len(games), MOST_GAMES_A_FILE):
            part = games[start : start + MOST_GAMES_A_FILE]
            left = len(games) - start - len(part)
            first = metadata["first_game"] + start
            own = {**metadata, "n_games": len(part), "first_game": first}
            self._put_file(part, own, next_game=next_game - left)

    def _put_file(
        self, games: NDArray[np.void], metadata: Mapping[str, Any], *, next_game: int
    ) -> None:
        config, serial = self.config, next(self._serials)
        suffix = NATIVE_SUFFIX if config.example_format == "native" else PT_SUFFIX
        # One name for all attempts: one that failed late must not leave the games there twice.
        name = example_name(config.worker_id, time.time(), suffix=suffix, serial=serial)
        metadata = {**metadata, **serial.to_metadata()}
        try:
            check_metadata(metadata, n_examples=N_PLIES * len(games), sources=SOURCES)
        except BadExampleFile as error:
            raise ExchangeError(
                f"a learner could not read what {config.worker_id} is about to write: {error}"
            ) from error

        def write(path: Path) -> None:
            if config.example_format == "native":
                write_native(path, games, metadata)
            else:
                from zebfast.selfplay.examples_pt import write_pt

                write_pt(path, games, metadata, belief=True)

        @passing_faults()
        def put() -> None:
            self.progress.advance(next_game)
            self.examples.put(name, write)

        is_new, ends = Once(), math.inf

        def again(error: Exception, _attempt: int, _seconds: float) -> None:
            nonlocal ends
            if self.stop():
                now = time.monotonic()
                ends = min(ends, now + config.upload_grace)
                if not isinstance(error, TransientError) or now >= ends:
                    raise error
            if isinstance(error, TransientError):
                text = f"  upload error (will retry): {error}"
                if is_new(text):
                    emit(Incident(what="exchange", text=text))
                return
            if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
                raise error
            text = (
                f"[{config.worker_id}] the disk of {self.examples.local_dir} is full: "
                f"{len(games)} games wait in memory; free some space, trying again every "
                f"{config.disk_retry_seconds:g} s"
            )
            emit(Incident(what="full disk", text=text))

        pause = constant(config.disk_retry_seconds)
        retrying(put, on=(OSError, TransientError), pause=pause, wait=self._wait, again=again)

    def _wait(self, seconds: float) -> None:
        """Until a stop, and after one a moment."""
        if self.stop():
            time.sleep(min(seconds, _LAST_PAUSE_SECONDS))
        else:
            self.stop.wait(seconds)


@contextmanager
def upload_at_end(examples: ExampleStore, config: WorkerConfig) -> Iterator[None]:
    """Whatever ends the context, upload what waits for at most ``upload_grace`` seconds.

    A second Ctrl-C or SIGTERM does not wait for it. What still waits then stays on this machine's
    disk until the next worker that starts here uploads it.
    """
    try:
        yield
    except Exception:
        _close(examples, config)
        raise
    _close(examples, config)


def _close(examples: ExampleStore, config: WorkerConfig) -> None:
    try:
        _upload(examples, config)
    except TransientError as error:
        text = f"  what waits in {examples.local_dir} stays there ({error}): run the same command "
        emit(Incident(what="exchange", text=text + "again to upload it"))


def _upload(examples: ExampleStore, config: WorkerConfig) -> None:
    waiting = examples.waiting()
    if waiting:
        _LOG.info(
            f"[{config.worker_id}] uploading what waits for {examples.label} "
            f"(files: {waiting}, for at most {config.upload_grace:g} s)"
        )
    left = examples.close(config.upload_grace)
    if left:
        _LOG.info(
            f"[{config.worker_id}] files still waiting in {examples.local_dir}: {left}; "
            "run the same command again to upload them"
        )
