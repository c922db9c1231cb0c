"""What holds for any look at any fleet, and for many ticks in a row."""

from __future__ import annotations

from dataclasses import replace

from fleet_looks import FLEET, MIN, NOW, asked, beat, known, machine
from hypothesis import given, settings
from hypothesis import strategies as st

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.decide import Decision, decide, paused
from zebfast.fleet.model import FleetState, Instance, Machine, Observed, Spec

OTHER = "zeb-first-evalaux"
STATES = ["loading", "running", "running", "running", "stopped", "exited", "offline", "unknown"]
names = st.sampled_from("abcdefgh")
minutes = st.floats(0, 30)


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    return Spec(
        fleet=FLEET,
        experiment="first",
        role="selfplay",
        n=draw(st.integers(0, 5)),
        max_surge=draw(st.integers(0, 2)),
        max_price_per_hour=0.10,
        budget_hours=draw(st.sampled_from([None, None, None, 1.0])),
    )


@st.composite
def knowns(draw: st.DrawFn) -> Instance:
    name = draw(names)
    if draw(st.booleans()):
        return asked(name, draw(minutes), id=draw(st.sampled_from([None, f"id-{name}"])))
    return known(
        name,
        asked=NOW - draw(st.floats(0, 90)) * MIN,
        progress_at=NOW - draw(minutes) * MIN,
        failing_since=draw(st.sampled_from([None, None, NOW - 2 * MIN, NOW - 7 * MIN])),
        games_per_s=draw(st.sampled_from([None, 1.0, 2.0])),
        terminating=draw(st.sampled_from(["", "", "", "is exited"])),
    )


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    name = draw(names)
    return machine(
        name,
        draw(st.sampled_from(STATES)),
        id=draw(st.sampled_from([f"id-{name}", f"id2-{name}"])),
        label=f"{draw(st.sampled_from([FLEET] * 4 + [OTHER]))}/{name}",
        price_per_hour=draw(st.sampled_from([None, 0.05, 0.08, 0.2])),
        started=draw(st.sampled_from([None, NOW - 90 * MIN, NOW - 5 * MIN, NOW + MIN])),
    )


@st.composite
def beats(draw: st.DrawFn) -> Heartbeat:
    phase = draw(st.sampled_from(["starting", "playing", "playing", "failed"]))
    return beat(draw(names), draw(st.sampled_from([0, 7, 8])), phase=phase)


@st.composite
def looks(draw: st.DrawFn) -> tuple[FleetState, Observed]:
    state = FleetState(
        spec=draw(specs()),
        wanted=draw(st.sampled_from([True, True, True, False])),
        machines={each.label: each for each in draw(st.lists(knowns(), max_size=7))},
        paused_until=draw(st.sampled_from([None, None, NOW - MIN, NOW + MIN])),
        first=NOW - 2 * draw(minutes) * MIN,
        last_look=NOW - MIN,
    )
    silent = draw(st.sampled_from([False, False, False, True]))
    seen = {each.key: each for each in draw(st.lists(machines(), max_size=8))}
    observed = Observed(
        now=NOW,
        machines=() if silent else tuple(seen.values()),
        silent=frozenset({"vast"} if silent else ()),
        heartbeats={each.worker_id: each for each in draw(st.lists(beats(), max_size=8))},
        heard=draw(st.sampled_from([True, True, False])),
        has_weights=draw(st.sampled_from([True, True, True, False, None])),
    )
    return state, observed


def applied(decision: Decision) -> FleetState:
    """What is remembered after the machines were asked for; what was asked to see was refused."""
    state = decision.state
    if decision.rent and state.paused_until is not None:
        state = paused(state, now=NOW, reason="no credit")
    new = [asked(f"new-{number}", 0) for number in range(decision.rent)]
    added = {each.label: each for each in new}
    return replace(state, machines={**state.machines, **added})


@given(looks())
@settings(max_examples=150, deadline=None)
def test_one_look(look: tuple[FleetState, Observed]) -> None:
    state, observed = look
    decision = decide(state, observed)
    spec, after = state.spec, decision.state
    own = {m.key: m.label for m in observed.machines if m.label.startswith(f"{FLEET}/")}
    ended = [each.machine.key for each in decision.destroy]
    assert len(set(ended)) == len(ended)
    assert set(ended) <= set(own), "machines of other fleets are nobody's business"
    assert all(label.startswith(f"{FLEET}/") for label in after.machines)
    living = {label for label, each in after.machines.items() if not each.terminating}
    kept = {label for key, label in own.items() if key not in ended}
    assert kept <= living, "each is either destroyed or remembered"
    assert len(kept) <= spec.n + spec.max_surge
    if decision.rent:
        assert observed.has_weights
        assert after.wanted
        assert len(living) + decision.rent <= spec.n
        unseen = living - set(own.values())
        assert len(own) + len(unseen) + decision.rent <= spec.n + spec.max_surge
    if not after.wanted:
        assert set(ended) == set(own)
        assert decision.rent == 0


@given(looks())
@settings(max_examples=80, deadline=None)
def test_the_same_look_twice_changes_nothing_more(look: tuple[FleetState, Observed]) -> None:
    first = decide(*look)
    again = decide(applied(first), look[1])
    assert again.rent == 0
    assert [each.machine for each in again.destroy if each.strike] == []
    assert {each.machine.key for each in again.destroy} == {
        each.machine.key for each in first.destroy
    }


@given(specs(), st.lists(names, max_size=6, unique=True), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_healthy_are_left_alone(spec: Spec, living: list[str], heard: bool) -> None:
    """However many are wanted, those that play are destroyed only down to that number."""
    spec = replace(spec, budget_hours=None)
    state = FleetState(
        spec=spec, machines={each.label: each for each in map(known, living)}, last_look=NOW - MIN
    )
    observed = Observed(
        now=NOW,
        machines=tuple(map(machine, living)),
        heartbeats={each.worker_id: each for each in map(beat, living)},
        heard=heard,
    )
    decision = decide(state, observed)
    assert len(decision.destroy) == max(0, len(living) - spec.n)
    assert not any(each.strike for each in decision.destroy)
    assert decision.rent == max(0, spec.n - len(living))
