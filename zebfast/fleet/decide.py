"""What to do about the difference between the fleet that is wanted and the one that is there.

Pure: the same look at the same state gives the same decision. Nothing here asks, writes or waits.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.health import Verdict, is_working, remember, verdict
from zebfast.fleet.model import FleetState, Known, Machine, is_of_fleet, worker_id_of

# --- What a fleet has cost, as far as prices and times were seen, and whether that is all it may.


def cost(known: Known, *, listed: bool, now: float, elapsed: float) -> float:
    """Dollars of one machine in the last ``elapsed`` seconds, or since it was asked for.

    One that vanished is counted until now: when it went is not known. One that was destroyed, or
    that was asked for and never came, has cost nothing since.
    """
    if not listed and (known.id is None or known.doomed):
        return 0.0
    return known.dph * min(elapsed, max(0.0, now - known.asked)) / 3600


def used_up(state: FleetState, now: float) -> str | None:
    """Which of its budgets a fleet has used up, in words; None while there is some of each."""
    dollars, hours = state.spec.budget_dollars, state.spec.budget_hours
    if dollars is not None and state.spent >= dollars:
        return f"${state.spent:.2f} of ${dollars:.2f} are spent"
    age = 0.0 if state.first is None else (now - state.first) / 3600
    if hours is not None and age >= hours:
        return f"{age:.1f} of {hours:g} hours are over"
    return None


PAUSE = 300.0  # after "lacks credit"; then one machine is asked for, to see
UNANSWERED = 600.0  # a request that no listing has shown for so long came to nothing
LISTING_LAG = 120.0  # a machine of which the id is known may be missing in lists for so long


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One look at a fleet.

    Attributes:
        machines: of all providers that answered; ``silent`` names those that did not: nothing is
            known of their machines, so none is declared gone and none is asked for in its place.
        heartbeats: by worker id. ``heard`` False = they could not be read at all, so that nothing
            follows from one that is missing or old.
        log_errors: by label, the last fatal line of a machine's log where one was found; counts
            for a worker that has never beaten.
        has_weights: does the namespace have weights? None where that could not be learnt.
        credit: dollars left by provider, where known.
    """

    now: float
    machines: tuple[Machine, ...] = ()
    silent: frozenset[str] = frozenset()
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)
    heard: bool = True
    log_errors: Mapping[str, str] = field(default_factory=dict)
    has_weights: bool | None = True
    credit: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Destroy:
    """End one rental. ``strike``: it counts against the host. ``reason``: words for the log."""

    machine: Machine
    reason: str
    strike: bool = False


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What one look leads to.

    Attributes:
        destroy: at once, in this order.
        rent: how many machines to ask for.
        state: what is remembered from now on; adopted machines are in it, lost ones are not. One
            that is to be destroyed stays in it (``doomed``) until its provider no longer lists it.
        notes: one line each for the log: adoptions, pauses, budgets, why nothing is rented.
    """

    destroy: tuple[Destroy, ...]
    rent: int
    state: FleetState
    notes: tuple[str, ...] = ()


def decide(state: FleetState, observed: Observed) -> Decision:
    """The rules of a fleet, applied to one look."""
    look = _Look(state, observed)
    look.remember()
    look.spend()
    look.judge()
    look.adopt()
    look.shrink()
    rent = look.missing()
    return Decision(
        destroy=tuple(look.destroy), rent=rent, state=look.state, notes=tuple(look.notes)
    )


def paused(state: FleetState, *, now: float, reason: str) -> FleetState:
    """The state after a provider has said that the account lacks credit: wait before asking."""
    return replace(state, paused_until=now + PAUSE, pause_reason=reason)


def resumed(state: FleetState) -> FleetState:
    """The state after a machine was rented: whatever the pause was for is over."""
    return replace(state, paused_until=None, pause_reason="")


class _Look:
    """One decision in the making; the methods run in the order in which ``decide`` calls them."""

    def __init__(self, state: FleetState, observed: Observed) -> None:
        self.before = state
        self.seen = observed
        self.now = observed.now
        self.spec = state.spec
        self.notes: list[str] = []
        self.destroy: list[Destroy] = []
        self.listed, self.younger = _by_label(observed.machines, state.spec.fleet)
        last = observed.now if state.last_look is None else state.last_look
        self.elapsed = max(0.0, observed.now - last)
        first = observed.now if state.first is None else min(state.first, observed.now)
        self.state = replace(state, first=first, last_look=observed.now)

    def alive(self) -> list[Known]:
        """All that live on after this look, those asked for and not yet seen among them."""
        return [known for known in self.state.machines.values() if not known.doomed]

    def remember(self) -> None:
        """Bring every remembered machine up to date; forget those that are gone."""
        machines = {}
        for label, known in self.before.machines.items():
            if label in self.listed or not self._is_gone(known):
                machines[label] = self._update(known)
            elif not known.doomed:
                self.notes.append(f"{label} is gone: {known.provider} does not list it")
        self.state = replace(self.state, machines=machines)

    def spend(self) -> None:
        """Count the dollars since the last look; a budget that is used up ends the fleet."""
        spent = sum(
            cost(known, listed=label in self.listed, now=self.now, elapsed=self.elapsed)
            for label, known in self.before.machines.items()
        )
        self.state = replace(self.state, spent=self.before.spent + spent)
        over = used_up(self.state, self.now)
        if over is not None and self.state.wanted:
            self.notes.append(f"the budget is used up: {over}; everything is taken down")
            self.state = replace(self.state, wanted=False)

    def judge(self) -> None:
        """Destroy what a rule condemns, and the younger ones of those that share a label."""
        for younger in self.younger:
            self._end(younger, "has the label of an older machine", strike=False)
        for label, known in tuple(self.state.machines.items()):
            machine = self.listed.get(label)
            if machine is None:
                continue
            if known.doomed:
                self._end(machine, known.doomed, strike=False)
            else:
                self._doom_if(machine, self._verdict(known, machine))

    def adopt(self) -> None:
        """Take in labelled machines that nobody remembers, oldest first, while there is room."""
        unknown = [m for label, m in self.listed.items() if label not in self.state.machines]
        for machine in sorted(unknown, key=_age_order):
            started = self.now if machine.started is None else machine.started
            known = Known(label=machine.label, provider=machine.provider, asked=started)
            known = self._update(known)
            found = self._verdict(known, machine)
            if found is None and len(self.alive()) >= self.spec.n + self.spec.surplus:
                found = Verdict(reason="is not remembered and not needed", strike=False)
            self._put(known)
            self._doom_if(machine, found)
            if found is None:
                self.notes.append(f"{machine.label} was not remembered: adopted")

    def shrink(self) -> None:
        """Scale down: what is above n goes once n play, what is above n + surplus at once."""
        alive = self.alive()
        working = sum(is_working(known, self.listed.get(known.label)) for known in alive)
        keep = self.spec.n if working >= self.spec.n else self.spec.n + self.spec.surplus
        excess = max(0, len(alive) - keep)
        found = Verdict(reason=f"is above the {self.spec.n} that are wanted", strike=False)
        for known in sorted(alive, key=self._dispensable)[:excess]:
            if known.label in self.listed:  # else its turn comes when it shows
                self._doom_if(self.listed[known.label], found)

    def missing(self) -> int:
        """How many to ask for; a machine that is being destroyed counts until it is gone."""
        wanted = self.spec.n - len(self.alive()) if self.state.wanted else 0
        if wanted <= 0:
            if self.state.paused_until is not None and self.state.paused_until <= self.now:
                self.state = resumed(self.state)
            return 0
        existing = len(self.state.machines) + len(self.younger)
        rent = max(0, min(wanted, self.spec.n + self.spec.surplus - existing))
        why = self._why_none()
        if why is not None:
            self.notes.append(f"{wanted} missing, none asked for: {why}")
            return 0
        if rent < wanted:
            self.notes.append(f"{wanted} missing, {rent} asked for until destroyed ones are gone")
        return min(rent, 1) if self.state.paused_until is not None else rent

    def _why_none(self) -> str | None:
        if self.seen.has_weights is None:
            return "it is not known whether the namespace has weights"
        if not self.seen.has_weights:
            return "the namespace has no weights yet"
        self._limit_pause()
        until = self.state.paused_until
        if until is not None and until > self.now:
            return f"{self.state.pause_reason or 'paused'}, next try in {until - self.now:.0f} s"
        credit = [self.seen.credit.get(name, math.inf) for name in self.spec.providers]
        if max(credit, default=math.inf) <= 0:
            self.state = paused(self.state, now=self.now, reason="the account lacks credit")
            return f"{self.state.pause_reason}, next try in {PAUSE:.0f} s"
        return None

    def _limit_pause(self) -> None:
        """A pause that a clock set back has made endless is cut to its usual length."""
        if self.state.paused_until is not None:
            until = min(self.state.paused_until, self.now + PAUSE)
            self.state = replace(self.state, paused_until=until)

    def _update(self, known: Known) -> Known:
        return remember(
            known,
            self.listed.get(known.label),
            self._beat(known),
            self.seen.log_errors.get(known.label),
            now=self.now,
            elapsed=self.elapsed,
            heard=self.seen.heard,
        )

    def _beat(self, known: Known) -> Heartbeat | None:
        return self.seen.heartbeats.get(worker_id_of(known.label, self.spec.role))

    def _verdict(self, known: Known, machine: Machine) -> Verdict | None:
        if not self.state.wanted:
            return Verdict(reason="the fleet is taken down", strike=False)
        error = self.seen.log_errors.get(known.label)
        beat, heard = self._beat(known), self.seen.heard
        return verdict(known, machine, beat, error, self.spec, self.now, heard=heard)

    def _doom_if(self, machine: Machine, found: Verdict | None) -> None:
        if found is not None:
            self._put(replace(self.state.machines[machine.label], doomed=found.reason))
            self._end(machine, found.reason, strike=found.strike)

    def _end(self, machine: Machine, reason: str, *, strike: bool) -> None:
        self.destroy.append(Destroy(machine=machine, reason=reason, strike=strike))

    def _put(self, known: Known) -> None:
        self.state = replace(self.state, machines={**self.state.machines, known.label: known})

    def _is_gone(self, known: Known) -> bool:
        """Not listed: is that to be believed? One list that is short must not double a fleet."""
        if known.provider in self.seen.silent:
            return False
        patience = UNANSWERED if known.id is None else LISTING_LAG
        last_sign = known.asked if known.listed_at is None else known.listed_at
        return bool(known.doomed) or self.now - last_sign > patience

    def _dispensable(self, known: Known) -> tuple[bool, bool, float, float, str]:
        """Sort key, first to go first: not running, not playing, youngest, dearest a game."""
        machine = self.listed.get(known.label)
        running = known.up_since is not None if machine is None else machine.state == "running"
        rate = known.games_per_s or 0.0
        worth = known.dph / rate if rate else math.inf
        return running, is_working(known, machine), -known.asked, -worth, known.label


def _by_label(
    machines: tuple[Machine, ...], fleet: str
) -> tuple[dict[str, Machine], list[Machine]]:
    """The oldest machine of each label of the fleet, and all the others of the fleet."""
    groups: dict[str, list[Machine]] = defaultdict(list)
    for machine in machines:
        if is_of_fleet(machine.label, fleet):
            groups[machine.label].append(machine)
    ordered = [sorted(group, key=_age_order) for group in groups.values()]
    oldest = {group[0].label: group[0] for group in ordered}
    return oldest, [machine for group in ordered for machine in group[1:]]


def _age_order(machine: Machine) -> tuple[float, str]:
    return (math.inf if machine.started is None else machine.started, machine.key)
