"""One look at a fleet: its providers, its workers' heartbeats, its namespace. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from zebfast.exchange import ExampleStore, ExchangeError, WeightStore
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.health import failure_in
from zebfast.fleet.model import OVER, FleetState, Instance, Machine, MachineState, Observed
from zebfast.fleet.provider import AnyProvider, ProviderError
from zebfast.system.events import FleetNews, emit

LOG_AFTER = 120.0  # of running without a heartbeat; with its grace still before the set-up limit
LOG_LINES = 200
_What = Literal["asked", "rented", "destroyed", "note", "trouble"]


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Where to look: the providers by name, and the stores of the experiment."""

    providers: Mapping[str, AnyProvider]
    weights: WeightStore
    examples: ExampleStore


def say(fleet: str, text: str, *, what: _What = "note", label: str = "") -> None:
    """Tell a line of a fleet's log."""
    emit(FleetNews(fleet=fleet, what=what, text=text, label=label))


def observe(state: FleetState, outlook: Outlook, *, now: float) -> Observed:
    """What can be seen now. A place that does not answer is said, and is a fact like the others.

    Args:
        state: what is remembered, its providers first of all.
    """
    fleet, found, credit = state.spec.fleet, list[Machine](), dict[str, float]()
    silent = set(providers_of(state)) - set(outlook.providers)
    for name, provider in outlook.providers.items():
        try:
            found += provider.machines(fleet)
        except ProviderError as error:
            say(fleet, f"{name} does not say which machines there are: {error}", what="trouble")
            silent.add(name)
            continue
        # One that does not say what credit is left has not refused anything either.
        with suppress(ProviderError):
            if (dollars := provider.credit()) is not None:
                credit[name] = dollars
    beats, heard, has_weights = dict[str, Heartbeat](), True, None
    try:
        beats = outlook.examples.heartbeats()
    except (ExchangeError, OSError) as error:
        say(fleet, f"no heartbeats could be read: {error}", what="trouble")
        heard = False
    try:
        has_weights = outlook.weights.read_state() is not None
    except (ExchangeError, OSError) as error:
        say(fleet, f"the namespace could not be read: {error}", what="trouble")
    seen = Observed(
        now=now,
        machines=tuple(machine for machine in found if machine.state not in OVER),
        over=_over(state, found),
        silent=frozenset(silent),
        heartbeats=beats,
        heard=heard,
        has_weights=has_weights,
        credit=credit,
    )
    return replace(seen, log_errors=_log_errors(state, outlook.providers, seen))


def _over(state: FleetState, found: Sequence[Machine]) -> dict[str, Machine]:
    """By label, what is over and was not known to be, or is not quite."""
    alive = {machine.label for machine in found if machine.state not in OVER}
    return {
        each.label: each
        for each in found
        if each.state in OVER
        and each.label not in alive
        and (each.state == "ending" or each.label in state.machines)
    }


def as_remembered(
    state: FleetState, *, heartbeats: Mapping[str, Heartbeat], heard: bool, now: float
) -> Observed:
    """A look that asks no provider: machines as they are remembered, and what workers say."""
    machines = [
        Machine(
            provider=instance.provider,
            id=instance.id,
            label=instance.label,
            state="running" if instance.up_since is not None else _not_yet(instance),
            gpu=instance.gpu,
            host=instance.host,
            price_per_hour=instance.price_per_hour,
            started=instance.asked,
        )
        for instance in state.machines.values()
        if instance.id is not None and instance.missing_since is None
    ]
    return Observed(now=now, machines=tuple(machines), heartbeats=heartbeats, heard=heard)


def _not_yet(instance: Instance) -> MachineState:
    """The state of a machine that was never seen running: tasks of a cluster may wait for long."""
    return "queued" if instance.provider == "slurm" else "loading"


def providers_of(state: FleetState) -> tuple[str, ...]:
    """Names of the providers that may have machines of this fleet, those to rent from first."""
    remembered = (instance.provider for instance in state.machines.values())
    return tuple(dict.fromkeys((*state.spec.providers, *remembered)))


def _log_errors(
    state: FleetState, providers: Mapping[str, AnyProvider], seen: Observed
) -> dict[str, str]:
    """Why those have failed that should have beaten by now; a heartbeat brings its own error."""
    found = {}
    for machine in (*seen.machines, *seen.over.values()):
        instance = state.machines.get(machine.label)
        if instance is None or instance.terminating or not _should_tell(instance, machine, seen):
            continue
        if seen.beat_of(machine.label, state.spec.role) is not None:
            continue
        try:
            line = failure_in(providers[machine.provider].logs(machine.id, lines=LOG_LINES))
        except ProviderError as error:
            text = f"the log of {machine.label} could not be had: {error}"
            say(state.spec.fleet, text, what="trouble")
            continue
        if line is not None:
            found[machine.label] = line
    return found


def _should_tell(instance: Instance, machine: Machine, seen: Observed) -> bool:
    """Is it time that a machine without a heartbeat is asked why?"""
    if machine.state == "failed":
        return True
    up_since = instance.up_since if machine.state == "running" else None
    return up_since is not None and seen.now - up_since > LOG_AFTER
