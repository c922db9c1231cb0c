"""What to do about the difference between the fleet that is wanted and the one that is there.

Pure: the same look at the same state gives the same decision. Nothing here asks, writes or waits.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from zebfast.fleet.health import is_working, must_go, remember
from zebfast.fleet.model import (
    Destroy,
    FleetState,
    Instance,
    Machine,
    Observed,
    Spec,
    is_of_fleet,
)

PAUSE = 300.0  # after "lacks credit"; then one machine is asked for, to see
UNANSWERED = 600.0  # a request that no listing has shown for so long came to nothing
LISTING_LAG = 120.0  # a machine of which the id is known may be missing in lists for so long


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What one look leads to.

    Attributes:
        destroy: at once, in this order.
        rent: how many machines to ask for.
        state: what is remembered from now on; adopted machines are in it, lost ones are not. One
            that is to be destroyed stays in it (``terminating``) as long as its provider lists it.
        notes: one line each for the log: adoptions, pauses, budgets, why nothing is rented.
    """

    destroy: tuple[Destroy, ...]
    rent: int
    state: FleetState
    notes: tuple[str, ...] = ()


def decide(state: FleetState, observed: Observed) -> Decision:
    """The rules of a fleet, applied to one look."""
    seen = _Sight.of(state, observed)
    first = seen.now if state.first is None else min(state.first, seen.now)
    machines, gone = _remembered(state, seen)
    state, over = _spend(replace(state, first=first, last_look=seen.now), seen)
    state = _failed(state, seen)
    plans = _adopt(_judge(machines, seen, wanted=state.wanted), seen, wanted=state.wanted)
    plans = _shrink(plans, seen)
    state = replace(state, machines=plans.machines)
    state, rent, why = _missing(state, seen)
    notes = (*gone, *over, *plans.notes, *why)
    return Decision(destroy=plans.destroy, rent=rent, state=state, notes=notes)


def paused(state: FleetState, *, now: float, reason: str) -> FleetState:
    """The state after a provider has said that the account lacks credit: wait before asking."""
    return replace(state, paused_until=now + PAUSE, pause_reason=reason)


def resumed(state: FleetState) -> FleetState:
    """The state after a machine was rented: whatever the pause was for is over."""
    return replace(state, paused_until=None, pause_reason="")


@dataclass(frozen=True)
class _Sight:
    """One look, and what follows from it for each machine by itself.

    Attributes:
        listed: the oldest machine of each label of the fleet; ``younger`` are all the others.
        elapsed: seconds since the look before.
    """

    observed: Observed
    spec: Spec
    listed: Mapping[str, Machine]
    younger: tuple[Machine, ...]
    elapsed: float

    @classmethod
    def of(cls, state: FleetState, observed: Observed) -> _Sight:
        groups: dict[str, list[Machine]] = defaultdict(list)
        for machine in sorted(observed.machines, key=_age_order):
            if is_of_fleet(machine.label, state.spec.fleet):
                groups[machine.label].append(machine)
        listed = {label: group[0] for label, group in groups.items()}
        younger = tuple(machine for group in groups.values() for machine in group[1:])
        last = observed.now if state.last_look is None else state.last_look
        return cls(observed, state.spec, listed, younger, max(0.0, observed.now - last))

    @property
    def now(self) -> float:
        return self.observed.now

    def updated(self, instance: Instance) -> Instance:
        """What is known of a machine after this look."""
        machine = self.listed.get(instance.label)
        return remember(instance, machine, self.observed, self.spec.role, elapsed=self.elapsed)

    def removal(self, instance: Instance, machine: Machine, *, wanted: bool) -> Destroy | None:
        """Why a machine must go, were it the only one; None if it may stay."""
        if not wanted:
            return Destroy(machine=machine, reason="the fleet is taken down")
        return must_go(instance, machine, self.observed, self.spec)

    def cost(self, instance: Instance) -> float:
        """Dollars of a machine since the last look or since it was asked for, as far as is seen.

        One that vanished is counted until now: when it went is not known. One that was destroyed,
        or that was asked for and never came, has cost nothing since.
        """
        unlisted = instance.label not in self.listed
        if unlisted and (instance.id is None or instance.terminating):
            return 0.0
        age = max(0.0, self.now - instance.asked)
        return instance.price_per_hour * min(self.elapsed, age) / 3600

    def node_hours(self, instance: Instance) -> float:
        """Hours that a machine ran since the last look or since it was started, as far as seen."""
        machine = self.listed.get(instance.label) or self.observed.over.get(instance.label)
        if machine is None or (machine.state != "running" and instance.up_since is None):
            return 0.0
        began = instance.asked if machine.started is None else machine.started
        return min(self.elapsed, max(0.0, self.now - began)) / 3600

    def ended(self, instance: Instance) -> Machine | None:
        """The task of a cluster that is over for the fleet, and may be replaced; else None.

        One that the fleet itself has ended counts until its last sign is gone.
        """
        machine = self.observed.over.get(instance.label)
        is_leaving = machine is not None and machine.state == "ending" and instance.terminating
        return None if is_leaving else machine

    def why_ended(self, machine: Machine) -> str:
        """In a note's words."""
        error = self.observed.log_errors.get(machine.label)
        return ": ".join(filter(None, (machine.message, error))) or "it says not why"

    def is_gone(self, instance: Instance) -> bool:
        """Not listed: is that to be believed? One list that is short must not double a fleet.

        However seldom anybody looks: it was missing at the look before, too, and shows no work.
        """
        if instance.provider in self.observed.silent:
            return False
        if instance.terminating:
            return True
        beat = self.observed.beat_of(instance.label, self.spec.role)
        if instance.missing_since is None or (beat and beat.progress != instance.progress):
            return False
        if instance.id is None and self.now - instance.asked <= UNANSWERED:
            return False
        return self.now - instance.missing_since > LISTING_LAG

    def dispensable(self, instance: Instance) -> tuple[bool, bool, float, float, str]:
        """Sort key, first to go first: not running, not playing, youngest, dearest a game."""
        machine = self.listed.get(instance.label)
        running = instance.up_since is not None if machine is None else machine.state == "running"
        rate = instance.games_per_s or 0.0
        worth = instance.price_per_hour / rate if rate else math.inf
        return running, is_working(instance, machine), -instance.asked, -worth, instance.label


@dataclass(frozen=True)
class _Plans:
    """What is decided so far: the machines as they will be remembered, and what is to end."""

    machines: Mapping[str, Instance]
    destroy: tuple[Destroy, ...] = ()
    notes: tuple[str, ...] = ()

    def alive(self) -> list[Instance]:
        """All that live on, those asked for and not yet seen among them."""
        return [instance for instance in self.machines.values() if not instance.terminating]

    def put(self, instance: Instance, note: str | None = None) -> _Plans:
        notes = self.notes if note is None else (*self.notes, note)
        return replace(self, machines={**self.machines, instance.label: instance}, notes=notes)

    def end(self, each: Destroy | None) -> _Plans:
        """End a machine if there is a reason; of one that is known, remember that it is to end."""
        if each is None:
            return self
        plans = replace(self, destroy=(*self.destroy, each))
        instance = self.machines.get(each.machine.label)
        if instance is None or instance.terminating:
            return plans
        return plans.put(replace(instance, terminating=each.reason))


def _remembered(state: FleetState, seen: _Sight) -> tuple[dict[str, Instance], list[str]]:
    """Every remembered machine brought up to date, without those that are gone; a note of each."""
    machines, gone = {}, []
    for label, instance in state.machines.items():
        ended = seen.ended(instance)
        if ended is not None:
            if not instance.terminating:
                gone.append(f"{label} is over: {seen.why_ended(ended)}")
        elif label in seen.listed or not seen.is_gone(instance):
            machines[label] = seen.updated(instance)
        elif not instance.terminating:
            gone.append(f"{label} is gone: {instance.provider} does not list it")
    return machines, gone


def _spend(state: FleetState, seen: _Sight) -> tuple[FleetState, list[str]]:
    """Count the dollars since the last look; a budget that is used up ends the fleet."""
    spec, spent = state.spec, state.spent + sum(map(seen.cost, state.machines.values()))
    node_hours = state.node_hours + sum(map(seen.node_hours, state.machines.values()))
    state = replace(state, spent=spent, node_hours=node_hours)
    age = 0.0 if state.first is None else (seen.now - state.first) / 3600
    if spec.budget_dollars is not None and spent >= spec.budget_dollars:
        over = f"${spent:.2f} of ${spec.budget_dollars:.2f} are spent"
    elif spec.budget_hours is not None and age >= spec.budget_hours:
        over = f"{age:.1f} of {spec.budget_hours:g} hours are over"
    elif spec.budget_node_hours is not None and node_hours >= spec.budget_node_hours:
        over = f"{node_hours:.1f} of {spec.budget_node_hours:g} node hours are used"
    else:
        return state, []
    note = f"the budget is used up: {over}; everything is taken down"
    return (replace(state, wanted=False), [note]) if state.wanted else (state, [])


def _failed(state: FleetState, seen: _Sight) -> FleetState:
    """Tasks that failed before their first sign of work: more of them would do the same.

    So there is a pause, after which one is tried.
    """
    failed = [
        label
        for label, machine in seen.observed.over.items()
        if machine.state == "failed"
        and (instance := state.machines.get(label)) is not None
        and not (instance.terminating or instance.progress is not None)
        and seen.observed.beat_of(label, seen.spec.role) is None
    ]
    if not failed or not state.wanted:
        return state
    reason = f"{len(failed)} failed before their first sign of work"
    return paused(state, now=seen.now, reason=reason)


def _judge(machines: Mapping[str, Instance], seen: _Sight, *, wanted: bool) -> _Plans:
    """Destroy what a rule condemns, and the younger ones of those that share a label."""
    why = "has the label of an older machine"
    plans = _Plans(machines, tuple(Destroy(machine=each, reason=why) for each in seen.younger))
    for label, instance in machines.items():
        machine = seen.listed.get(label)
        if machine is None:
            continue
        if instance.terminating:
            plans = plans.end(Destroy(machine=machine, reason=instance.terminating))
        else:
            plans = plans.end(seen.removal(instance, machine, wanted=wanted))
    return plans


def _adopt(plans: _Plans, seen: _Sight, *, wanted: bool) -> _Plans:
    """Take in labelled machines that nobody remembers, oldest first, while there is room."""
    unknown = [machine for label, machine in seen.listed.items() if label not in plans.machines]
    for machine in sorted(unknown, key=_age_order):
        asked = seen.now if machine.started is None else machine.started
        new = Instance(label=machine.label, provider=machine.provider, asked=asked)
        instance = seen.updated(new)
        found = seen.removal(instance, machine, wanted=wanted)
        if found is None and len(plans.alive()) >= seen.spec.n + seen.spec.max_surge:
            found = Destroy(machine=machine, reason="is not remembered and not needed")
        note = f"{machine.label} was not remembered: adopted" if found is None else None
        plans = plans.put(instance, note).end(found)
    return plans


def _shrink(plans: _Plans, seen: _Sight) -> _Plans:
    """Scale down: what is above n goes once n play, what is above n + max_surge at once."""
    alive, spec = plans.alive(), seen.spec
    working = sum(is_working(instance, seen.listed.get(instance.label)) for instance in alive)
    keep = spec.n if working >= spec.n else spec.n + spec.max_surge
    why = f"is above the {spec.n} that are wanted"
    for instance in sorted(alive, key=seen.dispensable)[: max(0, len(alive) - keep)]:
        if instance.label in seen.listed:  # else its turn comes when it shows
            plans = plans.end(Destroy(machine=seen.listed[instance.label], reason=why))
    return plans


def _missing(state: FleetState, seen: _Sight) -> tuple[FleetState, int, list[str]]:
    """How many to ask for; a machine that is being destroyed counts until it is gone."""
    spec, alive = seen.spec, sum(not instance.terminating for instance in state.machines.values())
    wanted = spec.n - alive if state.wanted else 0
    if wanted <= 0:
        is_over = state.paused_until is not None and state.paused_until <= seen.now
        return resumed(state) if is_over else state, 0, []
    state, why = _why_none(state, seen)
    if why is not None:
        return state, 0, [f"{wanted} missing, none asked for: {why}"]
    existing = len(state.machines) + len(seen.younger)
    rent, notes = max(0, min(wanted, spec.n + spec.max_surge - existing)), []
    if rent < wanted:
        notes = [f"{wanted} missing, {rent} asked for until destroyed ones are gone"]
    return state, min(rent, 1) if state.paused_until is not None else rent, notes


def _why_none(state: FleetState, seen: _Sight) -> tuple[FleetState, str | None]:
    """Why no machine may be asked for now, and the state with the pause that this is."""
    if seen.observed.has_weights is None:
        return state, "it is not known whether the namespace has weights"
    if not seen.observed.has_weights:
        return state, "the namespace has no weights yet"
    if state.paused_until is not None:
        # One that a clock set back has made endless is cut to its usual length.
        until = min(state.paused_until, seen.now + PAUSE)
        state = replace(state, paused_until=until)
        if until > seen.now:
            return state, f"{state.pause_reason or 'paused'}, next try in {until - seen.now:.0f} s"
    credit = [seen.observed.credit.get(name, math.inf) for name in seen.spec.providers]
    if max(credit, default=math.inf) <= 0:
        state = paused(state, now=seen.now, reason="the account lacks credit")
        return state, f"{state.pause_reason}, next try in {PAUSE:.0f} s"
    return state, None


def _age_order(machine: Machine) -> tuple[float, str]:
    return (math.inf if machine.started is None else machine.started, machine.key)
