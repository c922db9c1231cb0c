"""What a person wants to know of a fleet: its machines, what they cost, how they are.

Pure: made from one look, and from what the rules make of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zebfast.experiment.status.liveness import age
from zebfast.fleet.decide import Decision
from zebfast.fleet.health import is_working, stall_limit
from zebfast.fleet.model import Instance, Machine, Observed, Spec
from zebfast.fleet.rent import dollars_per_million
from zebfast.system.settings import encode, setting

_QUIET = 0.5  # of the limit: silence for so long is worth a word


@dataclass(frozen=True, kw_only=True)
class Row:
    """One machine. ``health``: a few words; ``good``: they need nobody's attention.

    ``age``: seconds since it was asked for. None = not known (yet).
    """

    label: str
    provider: str
    id: str | None
    gpu: str
    state: str
    price_per_hour: float | None = setting(key="dph")
    games_per_s: float | None = None
    age: float
    ssh: str | None = None
    weights_step: int | None = None
    health: str
    good: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """A fleet and its totals; ``notes``: what the next look would do, or the last one did."""

    fleet: str
    experiment: str
    role: str
    wanted: int
    playing: int
    rows: tuple[Row, ...]
    price_per_hour: float = setting(key="dph")
    games_per_s: float
    spent: float
    budget_dollars: float | None
    budget_left: float | None
    hours_left: float | None
    node_hours: float
    budget_node_hours: float | None
    node_hours_left: float | None
    silent: tuple[str, ...]
    credit: dict[str, float]
    notes: tuple[str, ...]

    @property
    def dollars_per_million_games(self) -> float | None:
        """At the present rate; None while nothing is played."""
        return dollars_per_million(self.price_per_hour, self.games_per_s)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **encode(self),
            "per_day": 24 * self.price_per_hour,
            "dollars_per_million_games": self.dollars_per_million_games,
        }


def report(observed: Observed, decision: Decision) -> Report:
    """A fleet as one look found it; ``decision`` is what the rules make of that look."""
    state, spec = decision.state, decision.state.spec
    listed = {machine.label: machine for machine in observed.machines}
    ending = {each.machine.key: each.reason for each in decision.destroy}
    rows = [
        _row(machine, state.machines.get(machine.label), spec, observed, ending.get(machine.key))
        for machine in observed.machines
    ]
    rows += [
        _unseen(instance, observed)
        for label, instance in state.machines.items()
        if label not in listed and not instance.terminating
    ]
    rows.sort(key=lambda row: (-row.age, row.label))
    budget, hours, node_hours = spec.budget_dollars, spec.budget_hours, spec.budget_node_hours
    since = 0.0 if state.first is None else observed.now - state.first
    return Report(
        fleet=spec.fleet,
        experiment=spec.experiment,
        role=spec.role,
        wanted=spec.n if state.wanted else 0,
        playing=sum(row.good and bool(row.games_per_s) for row in rows),
        rows=tuple(rows),
        price_per_hour=sum(row.price_per_hour or 0.0 for row in rows),
        games_per_s=sum(row.games_per_s or 0.0 for row in rows),
        spent=state.spent,
        budget_dollars=budget,
        budget_left=None if budget is None else max(0.0, budget - state.spent),
        hours_left=None if hours is None else max(0.0, hours - since / 3600),
        node_hours=state.node_hours,
        budget_node_hours=node_hours,
        node_hours_left=None if node_hours is None else max(0.0, node_hours - state.node_hours),
        silent=tuple(sorted(observed.silent)),
        credit=dict(observed.credit),
        notes=decision.notes,
    )


def _row(
    machine: Machine, instance: Instance | None, spec: Spec, seen: Observed, ending: str | None
) -> Row:
    """One that is listed; ``ending``: why it is to be destroyed."""
    beat = seen.beat_of(machine.label, spec.role)
    began = machine.started if instance is None else instance.asked
    if ending is not None:
        health, good = f"to be destroyed: {ending}", False
    elif instance is None:
        health, good = "not remembered", False
    else:
        health, good = _health(machine, instance, spec, seen)
    working = instance is not None and is_working(instance, machine)
    return Row(
        label=machine.label,
        provider=machine.provider,
        id=machine.id,
        gpu=machine.gpu or (instance.gpu if instance else ""),
        state=machine.state,
        price_per_hour=machine.price_per_hour,
        games_per_s=beat.games_per_s if working and beat else None,
        age=0.0 if began is None else max(0.0, seen.now - began),
        ssh=machine.ssh,
        weights_step=None if beat is None else beat.model_step,
        health=health,
        good=good,
    )


def _health(machine: Machine, instance: Instance, spec: Spec, seen: Observed) -> tuple[str, bool]:
    """Words for how it is, and whether that is as it should be."""
    quiet, beat = instance.quiet(seen.now), seen.beat_of(machine.label, spec.role)
    if machine.state != "running":
        said = f": {machine.message}" if machine.message else ""
        return f"{machine.state} for {age(quiet)}{said}", machine.state == "loading"
    if not seen.heard:
        return "heartbeats could not be read", False
    error = beat.error if beat is not None and beat.phase == "failed" else None
    error = error or seen.log_errors.get(machine.label)
    if instance.failing_since is not None:
        failing = age(seen.now - instance.failing_since)
        return f"failing for {failing}: {error or 'restarted'}", False
    if beat is None:
        return f"setting up for {age(quiet)}", True
    if quiet > _QUIET * stall_limit(spec):
        return f"no work for {age(quiet)}", False
    restarts = f", restarted {beat.restarts} times" if beat.restarts else ""
    return f"{beat.phase}{restarts}", True


def _unseen(instance: Instance, seen: Observed) -> Row:
    """One that is remembered and not listed: just asked for, or its provider is silent."""
    if instance.provider in seen.silent:
        health = f"{instance.provider} does not answer"
    else:
        health = "asked for" if instance.id is None else "rented, not listed yet"
    return Row(
        label=instance.label,
        provider=instance.provider,
        id=instance.id,
        gpu=instance.gpu,
        state="unseen",
        price_per_hour=instance.price_per_hour or None,
        age=max(0.0, seen.now - instance.asked),
        health=health,
        good=instance.provider not in seen.silent,
    )
