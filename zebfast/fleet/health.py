"""Is one rented machine worth its money? The rules for a single machine, and what is noted of it.

Pure. All deadlines run by the observer's clock: a rented machine's own clock is a stranger's.
"""

from __future__ import annotations

from dataclasses import replace

from zebfast.experiment.status.liveness import age
from zebfast.fleet.model import LOST, Destroy, Instance, Machine, Observed, Spec
from zebfast.selfplay.producer_kinds import Role
from zebfast.system.events import LINE_START, Ended, from_line

STALL_UPLOADS = 2.5  # upload intervals that nothing may come: work is seen once it is uploaded
CAP_TOLERANCE = 1.001  # providers round prices
_MAX_LINE = 200


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
    instance: Instance, machine: Machine | None, seen: Observed, role: Role, *, elapsed: float
) -> Instance:
    """What is known of a machine after one more look at it.

    Args:
        machine: None while its provider does not answer or does not list it yet.
        elapsed: seconds since the look before.
    """
    now = seen.now
    # Times from before the clock was set back would stop every deadline until it has caught up.
    known = {name: at for name in instance.TIMES if (at := getattr(instance, name)) is not None}
    instance = replace(instance, **{name: min(at, now) for name, at in known.items()})
    if machine is not None:
        price = machine.price_per_hour
        instance = replace(
            instance,
            provider=machine.provider,
            id=machine.id,
            gpu=machine.gpu or instance.gpu,
            host=machine.host or instance.host,
            price_per_hour=instance.price_per_hour if price is None else price,
            listed_at=now,
            missing_since=None,
        )
        if machine.state == "queued":  # whether for the first time or again
            instance = replace(instance, up_since=None, progress_at=now, failing_since=None)
        elif machine.state == "running" and instance.up_since is None:
            instance = replace(instance, up_since=now, progress_at=now)
    elif instance.provider not in seen.silent:
        instance = replace(instance, missing_since=instance.missing_since or now)
    progress_at, failing_since = instance.progress_at, instance.failing_since
    if not seen.heard:  # the clocks of silence stand still
        until = None if progress_at is None else min(now, progress_at + elapsed)
        return replace(instance, progress_at=until)
    beat = seen.beat_of(instance.label, role)
    if beat is None:
        is_failing = bool(seen.log_errors.get(instance.label))
        return replace(instance, failing_since=(failing_since or now) if is_failing else None)
    has_worked = beat.progress != instance.progress
    if has_worked and instance.missing_since is not None:
        instance = replace(instance, missing_since=now)
    if beat.phase == "failed":
        failing_since = failing_since or now
    elif has_worked:
        # Nothing less: one that crashes as soon as it starts also "starts" in between.
        failing_since = None
    return replace(
        instance,
        progress=beat.progress,
        progress_at=now if has_worked or progress_at is None else progress_at,
        failing_since=failing_since,
        games_per_s=beat.games_per_s,
    )


def must_go(instance: Instance, machine: Machine, seen: Observed, spec: Spec) -> Destroy | None:
    """Must this machine go by itself, whatever the others do?

    Args:
        instance: what ``remember`` made of the same look.
    """

    def strike(reason: str) -> Destroy:
        return Destroy(machine=machine, reason=reason, strike=True)

    if machine.state == "stopped":
        why = "was outbid" if machine.interruptible else "was stopped"
        return Destroy(machine=machine, reason=why)
    if machine.state in LOST:
        said = f" ({machine.message[:_MAX_LINE]})" if machine.message else ""
        return strike(f"is {machine.state}{said}")
    price, cap = machine.price_per_hour, spec.max_price_per_hour
    if price is not None and price > cap * CAP_TOLERANCE:
        why = f"costs ${price:.4f}/h, above the cap of ${cap:.4f}/h"
        return Destroy(machine=machine, reason=why)
    if machine.state == "queued":
        return None  # it costs nothing, and the scheduler knows why
    quiet = instance.quiet(seen.now)
    if machine.state == "loading":
        late = quiet > spec.loading_limit
        return strike(f"is still loading after {age(quiet)}") if late else None
    if not seen.heard:
        return None
    beat = seen.beat_of(instance.label, spec.role)
    if beat is None:
        error = seen.log_errors.get(instance.label)
    else:
        error = (beat.error or "no reason given") if beat.phase == "failed" else None
    if error is not None and instance.failing_since is not None:
        failing = seen.now - instance.failing_since
        if failing > spec.fatal_grace:
            return strike(f"has failed for {age(failing)}: {error}")
    if instance.progress is None:
        late = quiet > spec.setup_limit
        return strike(f"has run for {age(quiet)} without a heartbeat") if late else None
    stuck = quiet > stall_limit(spec)
    return strike(f"has done no work for {age(quiet)}") if stuck else None


def is_working(instance: Instance, machine: Machine | None) -> bool:
    """Does it play, as far as can be seen?"""
    running = machine is None or machine.state == "running"
    return running and bool(instance.games_per_s) and instance.failing_since is None
