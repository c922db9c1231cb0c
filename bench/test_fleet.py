"""The figures of a rented fleet: time to decide, and three simulated days on 200 hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.conftest import figure
from bench.simulation.fleet import FLEET, SimulatedFleet, kept_in_mind
from bench.simulation.oracle import oracle
from zebfast.fleet.decide import Observed, decide
from zebfast.fleet.market import rank
from zebfast.fleet.market_history import MarketHistory
from zebfast.fleet.model import FleetState, Spec
from zebfast.fleet.observe import observe

SEED = 1
HOURS = 72.0
MOST_MS = 50.0  # for the decisions of one tick


def spec(n: int) -> Spec:
    return Spec(fleet=FLEET, experiment="sim", role="selfplay", n=n)


def hour_of(directory: Path, n: int) -> tuple[SimulatedFleet, FleetState, Observed]:
    """A fleet an hour old, what it remembers, and a look at it."""
    with kept_in_mind():
        fleet = SimulatedFleet(directory, SEED, spec(n), hours=1.0)
        fleet.run()
    state = fleet.last.state
    return fleet, state, observe(state, fleet.fleet.outlook, now=fleet.now)


@pytest.mark.benchmark(group="fleet")
def test_decisions_of_a_tick(benchmark: Any, tmp_path: Path) -> None:
    """The rules for 40 machines and the ranking of all offers, what no network call is part of."""
    fleet, state, observed = hour_of(tmp_path, 40)
    assert len(observed.machines) >= 35
    offers = [
        fleet.market.offer(host, fleet.spec, fleet.now) for host in fleet.market.hosts.values()
    ]

    def decisions() -> None:
        decide(state, observed)
        rank(offers, state.spec, MarketHistory(), (), observed.now)

    benchmark.pedantic(decisions, rounds=20, warmup_rounds=1)
    if benchmark.stats is not None:  # none under --benchmark-disable
        took = 1000 * benchmark.stats.stats.median
        what = "decisions of one tick: 40 machines, 200 offers"
        figure(benchmark, key="fleet_decision_ms", what=what, unit="ms", value=took)
        assert took < MOST_MS


@pytest.mark.benchmark(group="fleet")
def test_three_days(benchmark: Any, tmp_path: Path) -> None:
    """Dollars a game, held against somebody who knew every failure; the rest is in the detail."""
    fleet = SimulatedFleet(tmp_path, SEED, spec(8), hours=HOURS)
    with kept_in_mind():
        lived = benchmark.pedantic(fleet.live, rounds=1, iterations=1)
    best = oracle(fleet.market, fleet.spec, hours=HOURS)
    ratio = lived.dollars_per_thousand / best.dollars_per_thousand
    figure(
        benchmark,
        key="fleet_cost_over_oracle",
        what=f"dollars a game, 8 machines of 200 simulated hosts for {HOURS:g} h, over an oracle's",
        unit="times",
        value=ratio,
        detail={
            "uptime": lived.uptime,
            "dollars": lived.dollars,
            "rentals": lived.rentals,
            "left after down": lived.left,
        },
    )
    assert lived.uptime >= 0.97
    assert ratio <= 1.05
    assert lived.left == 0
