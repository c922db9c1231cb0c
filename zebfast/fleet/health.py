"""Is one rented machine worth its money? The rules for a single machine, and what is noted of it.

Pure. All deadlines run by the observer's clock: a rented machine's own clock is a stranger's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.experiment.status.liveness import age
from zebfast.fleet.model import LOST, Instance, Machine, Spec
from zebfast.system.events import LINE_START, Ended, from_line

STALL_UPLOADS = 2.5  # upload intervals that nothing may come: work is seen once it is uploaded
CAP_TOLERANCE = 1.001  # providers round prices
_MAX_LINE = 200


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A machine that must go: why, and does it count against its host?"""

    reason: str
    strike: bool


def failure_in(log: str) -> str | None:
    """Why the worker of a machine failed last, in a sentence's length, by the events in its log.

    The start script and the supervisor of the worker write them; all other lines are for people,
    and nothing follows from them. Where an event has no words, those of the line before it are
    shown. None where nothing has failed, and in logs of versions that write no events: such a
    machine is replaced when it has gone too long without a heartbeat.
    """
    failure, before = None, ""
    for line in filter(str.strip, log.splitlines()):
        event = from_line(line[max(0, line.find(LINE_START)) :])
        if not isinstance(event, Ended):
            before = line
        elif event.code:
            failure = event.reason or before or f"{event.program} ended with {event.code}"
    return None if failure is None else " ".join(failure.split())[:_MAX_LINE]


def stall_limit(spec: Spec) -> float:
    """Seconds without a sign of work after which a machine counts as stuck."""
    return max(spec.stall_limit, STALL_UPLOADS * spec.upload_interval)


def remember(
    instance: Instance,
    machine: Machine | None,
    beat: Heartbeat | None,
    log_error: str | None,
    *,
    now: float,
    elapsed: float,
    heard: bool,
) -> Instance:
    """What is known of a machine after one more look at it.

    Args:
        machine: None while its provider does not answer or does not list it yet.
        elapsed: seconds since the look before.
        heard: False when no heartbeats could be read: the clocks of silence then stand still.
    """
    instance = _no_later_than(instance, now)
    if machine is not None:
        instance = replace(
            instance,
            provider=machine.provider,
            id=machine.id,
            gpu=machine.gpu or instance.gpu,
            host=machine.host or instance.host,
            price_per_hour=instance.price_per_hour
            if machine.price_per_hour is None
            else machine.price_per_hour,
            listed_at=now,
        )
        if machine.state == "running" and instance.up_since is None:
            instance = replace(instance, up_since=now, progress_at=now)
    if not heard:
        if instance.progress_at is not None:
            instance = replace(instance, progress_at=min(now, instance.progress_at + elapsed))
        return instance
    return _listen(instance, beat, log_error, now)


def _listen(
    instance: Instance, beat: Heartbeat | None, log_error: str | None, now: float
) -> Instance:
    if beat is None:
        failing_since = (instance.failing_since or now) if log_error else None
        return replace(instance, failing_since=failing_since)
    first = instance.progress is None
    worked = not first and beat.progress != instance.progress
    failing_since = instance.failing_since
    if beat.phase == "failed":
        failing_since = failing_since or now
    elif (
        first or worked
    ):  # nothing less: one that crashes as soon as it starts also "starts" in between
        failing_since = None
    return replace(
        instance,
        progress=beat.progress,
        progress_at=now
        if first or worked or instance.progress_at is None
        else instance.progress_at,
        failing_since=failing_since,
        games_per_s=beat.games_per_s,
    )


def must_go(
    instance: Instance,
    machine: Machine,
    beat: Heartbeat | None,
    log_error: str | None,
    spec: Spec,
    now: float,
    *,
    heard: bool = True,
) -> Removal | None:
    """Must this machine go? ``instance`` is what ``remember`` made of the same look."""
    if machine.state in LOST:
        return _lost(machine)
    if (
        machine.price_per_hour is not None
        and machine.price_per_hour > spec.max_price_per_hour * CAP_TOLERANCE
    ):
        cap = f"the cap of ${spec.max_price_per_hour:.4f}/h"
        reason = f"costs ${machine.price_per_hour:.4f}/h, above {cap}"
        return Removal(reason=reason, strike=False)
    quiet = now - (instance.asked if instance.progress_at is None else instance.progress_at)
    if machine.state == "loading":
        if quiet > spec.loading_limit:
            return Removal(reason=f"is still loading after {age(quiet)}", strike=True)
        return None
    if not heard:
        return None
    error = _fatal(beat, log_error)
    if error is not None and instance.failing_since is not None:
        failing = now - instance.failing_since
        if failing > spec.fatal_grace:
            reason = f"has failed for {age(failing)}: {error}"
            return Removal(reason=reason, strike=True)
    if instance.progress is None:
        if quiet > spec.setup_limit:
            reason = f"has run for {age(quiet)} without a heartbeat"
            return Removal(reason=reason, strike=True)
    elif quiet > stall_limit(spec):
        return Removal(reason=f"has done no work for {age(quiet)}", strike=True)
    return None


def is_working(instance: Instance, machine: Machine | None) -> bool:
    """Does it play, as far as can be seen?"""
    running = machine is None or machine.state == "running"
    return running and bool(instance.games_per_s) and instance.failing_since is None


def _lost(machine: Machine) -> Removal:
    if machine.state == "stopped":
        why = "was outbid" if machine.interruptible else "was stopped"
        return Removal(reason=why, strike=False)
    said = f" ({machine.message[:_MAX_LINE]})" if machine.message else ""
    return Removal(reason=f"is {machine.state}{said}", strike=True)


def _fatal(beat: Heartbeat | None, log_error: str | None) -> str | None:
    if beat is None:
        return log_error
    return (beat.error or "no reason given") if beat.phase == "failed" else None


def _no_later_than(instance: Instance, now: float) -> Instance:
    """Times from before the clock was set back would stop every deadline until it has caught up."""
    return replace(
        instance,
        asked=min(instance.asked, now),
        up_since=None if instance.up_since is None else min(instance.up_since, now),
        listed_at=None if instance.listed_at is None else min(instance.listed_at, now),
        progress_at=None if instance.progress_at is None else min(instance.progress_at, now),
        failing_since=None if instance.failing_since is None else min(instance.failing_since, now),
    )
