"""One look at a fleet: its providers, its workers' heartbeats, its namespace. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zebfast.exchange import ExampleStore, ExchangeError, WeightStore
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.decide import Observed
from zebfast.fleet.health import failure_in
from zebfast.fleet.model import FleetState, Machine, worker_id_of
from zebfast.fleet.provider import Provider, ProviderError
from zebfast.system.events import FleetNews, emit

LOG_AFTER = 120.0  # of running without a heartbeat; with its grace still before the set-up limit
LOG_LINES = 200


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Where to look: the providers by name, and the stores of the experiment."""

    providers: Mapping[str, Provider]
    weights: WeightStore
    examples: ExampleStore


def observe(state: FleetState, outlook: Outlook, *, now: float) -> Observed:
    """What can be seen now. A place that does not answer is said, and is a fact like the others.

    Args:
        state: what is remembered, its providers first of all.
    """
    machines, silent = _machines(state, outlook.providers)
    beats, heard = _heartbeats(outlook.examples, state.spec.fleet)
    return Observed(
        now=now,
        machines=machines,
        silent=silent,
        heartbeats=beats,
        heard=heard,
        log_errors=_log_errors(state, outlook.providers, machines, beats, now=now),
        has_weights=_has_weights(outlook.weights, state.spec.fleet),
        credit=_credit(outlook.providers, silent),
    )


def providers_of(state: FleetState) -> tuple[str, ...]:
    """Names of the providers that may have machines of this fleet, those to rent from first."""
    remembered = (instance.provider for instance in state.machines.values())
    return tuple(dict.fromkeys((*state.spec.providers, *remembered)))


def _machines(
    state: FleetState, providers: Mapping[str, Provider]
) -> tuple[tuple[Machine, ...], frozenset[str]]:
    """The fleet's machines, and the providers that did not say."""
    found: list[Machine] = []
    silent = set(providers_of(state)) - set(providers)
    for name, provider in providers.items():
        try:
            found += provider.machines(state.spec.fleet)
        except ProviderError as error:
            _say(state.spec.fleet, f"{name} does not say which machines there are: {error}")
            silent.add(name)
    return tuple(found), frozenset(silent)


def _heartbeats(examples: ExampleStore, fleet: str) -> tuple[Mapping[str, Heartbeat], bool]:
    try:
        return examples.heartbeats(), True
    except (ExchangeError, OSError) as error:
        _say(fleet, f"no heartbeats could be read: {error}")
        return {}, False


def _has_weights(weights: WeightStore, fleet: str) -> bool | None:
    try:
        return weights.read_state() is not None
    except (ExchangeError, OSError) as error:
        _say(fleet, f"the namespace could not be read: {error}")
        return None


def _log_errors(
    state: FleetState,
    providers: Mapping[str, Provider],
    machines: tuple[Machine, ...],
    beats: Mapping[str, Heartbeat],
    *,
    now: float,
) -> dict[str, str]:
    """Why those have failed that should have beaten by now; a heartbeat brings its own error."""
    found = {}
    for machine in machines:
        instance = state.machines.get(machine.label)
        up_since = None if instance is None or instance.terminating else instance.up_since
        if machine.state != "running" or up_since is None or now - up_since <= LOG_AFTER:
            continue
        if worker_id_of(machine.label, state.spec.role) in beats:
            continue
        try:
            line = failure_in(providers[machine.provider].logs(machine.id, lines=LOG_LINES))
        except ProviderError as error:
            _say(state.spec.fleet, f"the log of {machine.label} could not be had: {error}")
            continue
        if line is not None:
            found[machine.label] = line
    return found


def _credit(providers: Mapping[str, Provider], silent: frozenset[str]) -> dict[str, float]:
    """Dollars by provider; one that does not say has not refused anything either."""
    found = {}
    for name, provider in providers.items():
        if name in silent:
            continue
        try:
            credit = provider.credit()
        except ProviderError:
            continue
        if credit is not None:
            found[name] = credit
    return found


def _say(fleet: str, text: str) -> None:
    emit(FleetNews(fleet=fleet, what="trouble", text=text))
