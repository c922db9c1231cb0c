"""Starting the learner of an experiment again on this machine: at most one, and not for ever."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zebfast.exchange import ExchangeError
from zebfast.experiment.runlog import LEARN_LOCK, learner_process
from zebfast.experiment.status.checks import unreached
from zebfast.experiment.status.snapshot import Facts
from zebfast.experiment.watch.verdict import own_run
from zebfast.system.locks import lock_owner

if TYPE_CHECKING:
    from zebfast.experiment.experiment import Experiment

LEARNER_LOG = "learner.log"
HOUR = 3600.0
MOST_RESTARTS = 3  # an hour
_POLL_SECONDS = 0.1


class RestartFailed(ExchangeError):
    """One sentence: the learner that was to be started again, and what became of it."""


@dataclass(frozen=True)
class Patience:
    """How long a restart waits, in seconds: for an orderly end, for the new one, for a command."""

    end: float = 60.0
    start: float = 120.0
    command: float = 300.0


def restart_problem(facts: Facts, restarts: Sequence[float]) -> str | None:
    """Why the learner must not be started again here now; None when it may."""
    if own_run(facts) is None:
        return "its last run was not on this machine"
    if unreached(facts, "weights"):
        return "its weights cannot be reached, so another machine may have it by now"
    if facts.process is not None and facts.process != learner_process(facts.experiment):
        return f"process {facts.process} was not started by zebfast experiment learn"
    recent = [unix for unix in restarts if 0 <= facts.now - unix < HOUR]
    if len(recent) >= MOST_RESTARTS:
        left = HOUR - (facts.now - min(recent))
        return (
            f"it was restarted {len(recent)} times in the last hour; again in {left / 60:.0f} min"
        )
    return None


def restart_learner(
    experiment: Experiment, process: int | None, command: Sequence[str], patience: Patience
) -> int:
    """End the learner ``process``, if there is one, and start ``command``; returns its id.

    The new one outlives this process and writes to its own log beside the experiment's file.

    Raises:
        RestartFailed: the old one does not go away, or the new one does not come.
        OSError: the log cannot be written.
    """
    if process is not None:
        _end(experiment, process, patience.end)
    with open(experiment.directory / LEARNER_LOG, "ab") as log:
        started = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    lock, deadline = experiment.directory / LEARN_LOCK, time.monotonic() + patience.start
    while time.monotonic() < deadline:
        # Not asked of the lock before the new one has it: a look could be in its way.
        if lock.exists() and lock.read_text(encoding="ascii").strip() == str(started.pid):
            return started.pid
        if started.poll() is not None:
            raise RestartFailed(
                f"the learner of {experiment.name!r} ended at once with exit code "
                f"{started.returncode}: see {experiment.directory / LEARNER_LOG}"
            )
        time.sleep(_POLL_SECONDS)
    started.kill()  # or the next look, which does not see it yet, would start another
    started.wait()
    raise RestartFailed(
        f"the learner of {experiment.name!r} had not begun its run {patience.start:.0f} s after "
        f"its start: it was ended; see {experiment.directory / LEARNER_LOG}"
    )


def run_command(experiment: Experiment, command: str, patience: Patience) -> None:
    """Have somebody else restart it, a service manager for instance. Raises RestartFailed."""
    try:
        done = subprocess.run(
            shlex.split(command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=patience.command,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise RestartFailed(
            f"the restart command of {experiment.name!r} failed ({type(error).__name__}): {command}"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        raise RestartFailed(
            f"the restart command of {experiment.name!r} ended with exit code {done.returncode}: "
            f"{last}"
        )


def _end(experiment: Experiment, process: int, seconds: float) -> None:
    """Ask, wait, then kill; only while the lock says that this process is the learner."""
    lock = experiment.directory / LEARN_LOCK
    for number in (signal.SIGTERM, signal.SIGKILL):
        if lock_owner(lock) != process:
            return
        with suppress(ProcessLookupError):
            os.kill(process, number)
            os.kill(process, signal.SIGCONT)  # one that was stopped can still save what it has
        deadline = time.monotonic() + seconds
        while lock_owner(lock) == process and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    if lock_owner(lock) == process:
        raise RestartFailed(
            f"the learner of {experiment.name!r} (process {process}) does not end even when "
            "killed: it may wait for a disk or a device; nothing was started"
        )
