"""Made-up looks at a fleet of one wanted machine, for the tests of what follows from them."""

from __future__ import annotations

from typing import Any

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.decide import Decision, decide
from zebfast.fleet.model import FleetState, Instance, Machine, Observed, Spec, worker_id_of

FLEET = "zeb-first-selfplay"
NOW = 1_800_000_000.0
MIN = 60.0
SPEC = Spec(fleet=FLEET, experiment="first", role="selfplay", n=1, max_price_per_hour=0.10)


def known(name: str, **changed: Any) -> Instance:
    """One that has long been playing and did so a minute ago."""
    facts: dict[str, Any] = {
        "label": f"{FLEET}/{name}",
        "provider": "vast",
        "id": f"id-{name}",
        "asked": NOW - 60 * MIN,
        "up_since": NOW - 55 * MIN,
        "progress": "7",
        "progress_at": NOW - MIN,
        "games_per_s": 2.0,
        "price_per_hour": 0.05,
        "gpu": "RTX 3060",
        "host": f"host-{name}",
    }
    return Instance(**{**facts, **changed})


def asked(name: str, minutes: float, **changed: Any) -> Instance:
    """One that was asked for so long ago; nothing has been seen of it."""
    return Instance(label=f"{FLEET}/{name}", provider="vast", asked=NOW - minutes * MIN, **changed)


def machine(name: str, state: Any = "running", **changed: Any) -> Machine:
    facts: dict[str, Any] = {
        "provider": "vast",
        "id": f"id-{name}",
        "label": f"{FLEET}/{name}",
        "state": state,
        "price_per_hour": 0.05,
    }
    return Machine(**{**facts, **changed})


def beat(name: str, batch: int = 8, **changed: Any) -> Heartbeat:
    facts: dict[str, Any] = {
        "worker_id": worker_id_of(f"{FLEET}/{name}", "selfplay"),
        "unix": 0.0,  # the worker's clock is nobody's business
        "phase": "playing",
        "batch": batch,
        "total_games": 256 * batch,
        "games_per_s": 2.0,
    }
    return Heartbeat(**{**facts, **changed})


def look(
    known: tuple[Instance, ...] = (),
    machines: tuple[Machine, ...] = (),
    beats: tuple[Heartbeat, ...] = (),
    *,
    spec: Spec = SPEC,
    state: dict[str, Any] | None = None,
    **seen: Any,
) -> Decision:
    before = FleetState(
        spec=spec,
        machines={each.label: each for each in known},
        **{"first": NOW - 60 * MIN, "last_look": NOW - MIN, **(state or {})},
    )
    heartbeats = {each.worker_id: each for each in beats}
    return decide(before, Observed(now=NOW, machines=machines, heartbeats=heartbeats, **seen))


def names(decision: Decision) -> list[str]:
    """Who is destroyed, in order; an exclamation mark for a strike."""
    return [each.machine.id.removeprefix("id-") + "!" * each.strike for each in decision.destroy]
