"""Three days on a market where everything goes wrong: up, cheap, and nothing left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.simulation.fleet import FLEET, Lived, SimulatedFleet, kept_in_mind
from bench.simulation.hosts import MINUTE
from bench.simulation.oracle import oracle
from zebfast.fleet.market_history import MarketHistory, read_history
from zebfast.fleet.model import Spec
from zebfast.fleet.state_file import read_state

HOURS = 72.0
ON_DEMAND = Spec(fleet=FLEET, experiment="sim", role="selfplay", n=8)
BIDDING = replace(ON_DEMAND, interruptible=True)
#: A deadline is seen to be over at the next look, and what changed, at the look before; one more
#: look where a single call was not answered.
LOOKS = 3 * MINUTE


DAYS = {"on demand": (1, ON_DEMAND), "on demand, again": (2, ON_DEMAND), "bidding": (3, BIDDING)}


@pytest.fixture(scope="module", params=DAYS.values(), ids=DAYS)
def days(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SimulatedFleet, Lived]:
    seed, spec = request.param
    with kept_in_mind():
        fleet = SimulatedFleet(tmp_path_factory.mktemp("days"), seed, spec, hours=HOURS)
        return fleet, fleet.live()


def test_uptime(days: tuple[SimulatedFleet, Lived]) -> None:
    fleet, lived = days
    assert lived.uptime >= 0.97
    assert lived.most_alive <= fleet.spec.n + fleet.spec.max_surge


def test_no_machine_outlives_its_role(days: tuple[SimulatedFleet, Lived]) -> None:
    fleet, lived = days
    assert lived.left == 0
    assert fleet.last.is_over
    assert len(lived.overstays) >= 4, "the market is too kind to show anything"
    longest = {wrong: max(found) for wrong, found in lived.overstays.items()}
    assert {wrong: late for wrong, late in longest.items() if late > LOOKS} == {}


def test_it_costs_what_an_oracle_would_pay(days: tuple[SimulatedFleet, Lived]) -> None:
    fleet, lived = days
    best = oracle(fleet.market, fleet.spec, hours=HOURS)
    assert best.games > 0.95 * lived.games, "it is no oracle that plays less"
    assert lived.dollars_per_thousand <= 1.05 * best.dollars_per_thousand


def test_it_counts_its_dollars(days: tuple[SimulatedFleet, Lived]) -> None:
    _, lived = days
    assert lived.spent == pytest.approx(lived.dollars, rel=0.01)


def test_it_lives_the_same_with_files(tmp_path: Path) -> None:
    """What is kept in mind above is what is written and read again from minute to minute."""
    on_disk = SimulatedFleet(tmp_path / "files", 1, ON_DEMAND, hours=1.0)
    lived = on_disk.live()
    with kept_in_mind():
        in_mind = SimulatedFleet(tmp_path, 1, ON_DEMAND, hours=1.0)
        assert in_mind.live() == lived
    assert read_state(on_disk.fleet.files.state) == on_disk.last.state == in_mind.last.state
    learned = read_history(on_disk.fleet.files.market)
    assert learned.rates
    assert learned != MarketHistory()
