"""Begins the ranks of a learner on this machine, and begins them anew where one of them ends.

torchrun does the same. This forks: what is imported lies in memory once, however many ranks there
are. A rank that was killed or has lost another is no end, nor is one that stands still; any other
end of rank 0 is the learner's.
"""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

from zebfast.exchange import ExchangeError
from zebfast.learner.ranks.place import RANK_LOST, RankPlace
from zebfast.system.retry import doubling
from zebfast.system.signals import StopFlag

_LOOK_SECONDS = 0.05
_HEALTHY_SECONDS = 60.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RanksFailed(ExchangeError):
    """Ranks end again and again before they have trained anything; one sentence."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How patient a supervisor is, all but ``failures`` in seconds.

    Attributes:
        halted: a rank that has stood still for so long is killed.
        grace: after one has ended, for the others to notice and end in order.
        failures: so many starts in a row that trained nothing are the end.
        first_pause: after such a start; it doubles each time.
    """

    halted: float = 30.0
    grace: float = 60.0
    failures: int = 4
    first_pause: float = 0.5
    longest_pause: float = 30.0


@dataclass
class _Rank:
    """A child process; ``status`` is what the system says of its end."""

    number: int
    pid: int
    status: int | None = None
    halted_since: float | None = None

    def look(self) -> None:
        """See whether it has ended, halted or goes on again."""
        while self.status is None:
            flags = os.WNOHANG | os.WUNTRACED | os.WCONTINUED
            pid, status = os.waitpid(self.pid, flags)
            if not pid:
                return
            if os.WIFSTOPPED(status):
                self.halted_since = time.monotonic()
            elif os.WIFCONTINUED(status):
                self.halted_since = None
            else:
                self.status = status

    @property
    def code(self) -> int:
        """Its exit code, or less than 0: the number of the signal that ended it."""
        assert self.status is not None
        return os.waitstatus_to_exitcode(self.status)

    @property
    def end(self) -> str:
        code = self.code
        if code >= 0:
            return f"rank {self.number} ended with exit code {code}"
        return f"rank {self.number} was ended by {signal.Signals(-code).name}"

    def send(self, number: int) -> None:
        if self.status is None:
            os.kill(self.pid, number)


def supervise(n: int, run: Callable[[RankPlace], int], patience: Patience = Patience()) -> int:
    """Have ``n`` forks of this process be the ranks of a learner, until it is done or told to stop.

    What all of them import should be imported before. ``run`` is called in each of them, and gives
    its exit code; whatever else this process is in the middle of is not theirs.

    Returns the exit code of rank 0.

    Raises:
        RanksFailed: they end again and again. OSError: there can be no more processes.
    """
    pause = doubling(patience.first_pause, longest=patience.longest_pause)
    before, failures = "", 0
    gc.collect()
    gc.freeze()  # a collection in a rank would write to pages that all share
    with StopFlag() as stop, tempfile.TemporaryDirectory(prefix="zebfast-ranks-") as folder:
        while not stop():
            began, progressed = time.monotonic(), mmap(-1, 1)
            meeting = Path(folder) / str(time.monotonic_ns())
            places = (
                RankPlace(
                    rank=number, world=n, local_rank=number, local_world=n, file=meeting,
                    before=before, parent=os.getpid(), progressed=progressed,
                )
                for number in range(n)
            )  # fmt: skip
            code, before = _lives(places, run, stop, patience)
            if code >= 0 and code != RANK_LOST:
                return code
            healthy = progressed[0] or time.monotonic() - began > _HEALTHY_SECONDS
            failures = 0 if healthy else failures + 1
            if failures >= patience.failures:
                raise RanksFailed(
                    f"{before}, and so it went {failures} times before there was anything to save: "
                    "what was saved before stays, and the same command goes on from it (with fewer "
                    "--processes it needs less memory)"
                )
            stop.wait(pause(failures) if failures else 0.0)
    return stop.exit_code


def _lives(
    places: Iterable[RankPlace],
    run: Callable[[RankPlace], int],
    stop: StopFlag,
    patience: Patience,
) -> tuple[int, str]:
    """One start of all ranks: the exit code of rank 0, and how the first of them ended."""
    ranks: list[_Rank] = []
    try:
        for place in places:
            ranks.append(_fork(place, run))  # noqa: PERF401 - those begun must be known
        first = _watch(ranks, stop, patience)
    except BaseException:
        for rank in ranks:
            rank.send(signal.SIGKILL)
        raise
    return ranks[0].code, first


def _fork(place: RankPlace, run: Callable[[RankPlace], int]) -> _Rank:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        return _Rank(place.rank, pid)
    code = 1
    try:
        # A group of its own: Ctrl-C reaches the ranks through their supervisor, and once.
        os.setpgid(0, 0)
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        code = run(place)
    finally:
        os._exit(code)


def _watch(ranks: list[_Rank], stop: StopFlag, patience: Patience) -> str:
    """Wait until all have ended, the last of them by force; how the first of them did."""
    told, first, deadline = False, "", float("inf")
    while True:
        for rank in ranks:
            rank.look()
            halted = rank.halted_since
            if halted is not None and time.monotonic() - halted > patience.halted:
                rank.send(signal.SIGKILL)
        alive = [rank for rank in ranks if rank.status is None]
        if len(alive) < len(ranks) and not first:
            # Of several, one that was killed is why the others ended.
            ended = [rank for rank in ranks if rank.status is not None]
            first = min(ended, key=lambda rank: (rank.code >= 0, rank.code == RANK_LOST)).end
            deadline = time.monotonic() + patience.grace
        if not alive:
            return first
        if stop() and not told:
            told = True
            ranks[0].send(stop.signal_number or signal.SIGTERM)
            for rank in alive:
                rank.send(signal.SIGCONT)
        if time.monotonic() > deadline:
            for rank in alive:
                rank.send(signal.SIGKILL)
        time.sleep(_LOOK_SECONDS)
