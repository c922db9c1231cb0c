"""One tick of a fleet: look, decide, destroy, rent; the same whatever happened before.

Nothing is concluded from what an earlier tick meant to do: each looks again, and one that ended
anywhere in the middle leaves only what the next one adopts or destroys. A request for a machine is
on the disk before it is sent, so that a machine whose answer was lost is known by its label.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from zebfast.fleet.decide import Decision, decide
from zebfast.fleet.market_history import MarketHistory
from zebfast.fleet.model import Destroy, FleetState, Machine, Observed, Spec
from zebfast.fleet.observe import Outlook, observe, say
from zebfast.fleet.provider import Cluster, ProviderError
from zebfast.fleet.rent import Fleet, Renting, teach
from zebfast.fleet.state_file import FleetFileError, FleetFiles, read_state, write_state
from zebfast.system.clock import boot_id
from zebfast.system.events import Event, FleetNews, Subscriber, subscribed
from zebfast.system.locks import hold_lock

#: What a person asks for, as a change of what is remembered (None = nothing yet).
Change = Callable[[FleetState | None], FleetState]


class FleetBusy(RuntimeError):
    """Another process looks after this fleet at this moment."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """What one tick saw and did; the state in ``decision`` is the one that it left behind."""

    observed: Observed
    decision: Decision

    @property
    def state(self) -> FleetState:
        return self.decision.state

    @property
    def is_over(self) -> bool:
        """Nothing is wanted, and nothing is left as far as everybody says."""
        seen = self.observed
        ending = any(machine.state == "ending" for machine in seen.over.values())
        left = self.state.machines or seen.machines or ending
        return not (self.state.wanted or left or seen.silent)


def reconcile(fleet: Fleet, change: Change | None = None) -> Tick:
    """One look and what follows from it; what is done is told as FleetNews, and kept in its log.

    Args:
        change: applied first, and on the disk before anything else happens.

    Raises:
        FleetBusy: another process has the fleet's lock.
        FleetFileError: nothing is remembered and ``change`` is None, or the file is damaged.
        OSError: the state cannot be written; no machine is then asked for.
    """

    def busy(owner: str) -> FleetBusy:
        return FleetBusy(f"fleet {fleet.files.fleet} is looked after by process {owner} just now")

    with hold_lock(fleet.files.lock, busy=busy), subscribed(_log_of(fleet)):
        state, now = remembered(fleet.files, change), fleet.clock()
        if change is not None:
            write_state(fleet.files.state, state)
        if fleet.steady is not None:
            state = state.at(now, steady=fleet.steady(), boot=boot_id())
        observed = observe(state, fleet.outlook, now=now)
        decision = decide(state, observed)
        write_state(fleet.files.state, decision.state)
        for note in decision.notes:
            say(state.spec.fleet, note)
        teach(fleet.files.market, lambda history: _learn(history, decision, observed))
        _destroy_all(decision.destroy, fleet)
        if decision.rent:
            renting = Renting(fleet, decision.state, decision.rent, silent=observed.silent)
            renting.run()
            decision = replace(decision, state=renting.state)
        return Tick(observed=observed, decision=decision)


def plan(state: FleetState, outlook: Outlook, *, now: float) -> Tick:
    """What ``reconcile`` would see and decide, without doing or writing any of it, or a lock."""
    observed = observe(state, outlook, now=now)
    return Tick(observed=observed, decision=decide(state, observed))


def remembered(files: FleetFiles, change: Change | None = None) -> FleetState:
    """What is on the disk, changed. FleetFileError where there is nothing to start from."""
    state = read_state(files.state)
    if change is not None:
        return change(state)
    if state is None:
        raise FleetFileError(
            f"there is no fleet {files.fleet} ({files.state} does not exist): zebfast fleet up "
            "rents one"
        )
    return state


def _log_of(fleet: Fleet) -> Subscriber:
    """Keeps what is told of a fleet, a line each."""
    files = fleet.files

    def take(event: Event) -> None:
        if not isinstance(event, FleetNews) or event.fleet not in ("", files.fleet):
            return
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(fleet.clock()))
        with suppress(OSError), open(files.log, "a", encoding="utf-8") as handle:
            handle.write(f"{stamp} {event.text}\n")  # a full disk must not keep machines alive

    return take


def _destroy_all(found: Sequence[Destroy], fleet: Fleet) -> None:
    """End rentals one by one, and tasks of a cluster in one request.

    What could not be ended is remembered as terminating, and tried again.
    """
    tasks: dict[str, tuple[Cluster, list[Machine]]] = {}
    for each in found:
        machine, name = each.machine, fleet.files.fleet
        price = "" if machine.price_per_hour is None else f", ${machine.price_per_hour:.3f}/h"
        text = f"destroy {machine.label} ({machine.provider} {machine.id}{price}): {each.reason}"
        say(name, text, what="destroyed", label=machine.label)
        provider = fleet.outlook.providers[machine.provider]
        if isinstance(provider, Cluster):
            tasks.setdefault(machine.provider, (provider, []))[1].append(machine)
            continue
        with _told(fleet, machine.label):
            provider.destroy(machine.id)
    for cluster, machines in tasks.values():
        with _told(fleet, f"{machines[0].label} (1 of {len(machines)} tasks)"):
            cluster.destroy_all([machine.id for machine in machines])


@contextmanager
def _told(fleet: Fleet, label: str) -> Iterator[None]:
    try:
        yield
    except ProviderError as error:
        text = f"{label} could not be destroyed, the next look tries again: {error}"
        say(fleet.files.fleet, text, what="trouble")


def _learn(history: MarketHistory, decision: Decision, observed: Observed) -> MarketHistory:
    """What this look teaches: how fast machines play, and which hosts failed."""
    state = decision.state
    for each in decision.destroy:
        if each.strike:
            history = history.with_strike(each.machine.provider, each.machine.host)
    if not observed.heard:
        return history
    listed = {machine.label for machine in observed.machines if machine.state == "running"}
    playing = [instance for label, instance in state.machines.items() if label in listed]
    return history.with_rates(state.spec.role, playing, observed.now)


# --- What a person asks of a fleet, as changes of what is remembered of it.


class WrongRole(RuntimeError):
    """One sentence: the label belongs to a fleet that does something else."""


def begin(spec: Spec) -> Change:
    """From now on this is wanted.

    Budgets count from here where nothing was wanted before, else from where they began. A machine
    that is there stays, with the flags that it was started with. Raises WrongRole.
    """

    def change(state: FleetState | None) -> FleetState:
        if state is None:
            return FleetState(spec=spec)
        if state.spec.role != spec.role and state.machines:
            raise WrongRole(
                f"fleet {spec.fleet} has machines that play {state.spec.role}: take it down first, "
                "or give --fleet another label"
            )
        if not state.wanted:
            state = replace(state, wanted=True, spent=0.0, node_hours=0.0, first=None)
        return replace(state, spec=spec, paused_until=None, pause_reason="")

    return change


def resize(n: int | None) -> Change:
    """So many machines from now on; None = as many as before."""

    def change(state: FleetState | None) -> FleetState:
        assert state is not None, "only a fleet that was begun can be resized"
        return state if n is None else replace(state, spec=replace(state.spec, n=n))

    return change


def end(assumed: FleetState) -> Change:
    """Let nothing live from now on; ``assumed`` where nothing is remembered."""
    return lambda state: replace(state or assumed, wanted=False)
