"""One tick after the other against providers in memory: what is rented, remembered and ended."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from fake_fleet import FLEET, SPEC, World, want
from fake_provider import LOST_REPLY, REFUSED, FakeProvider, beat, offer, offers

from zebfast.fleet.decide import PAUSE, UNANSWERED
from zebfast.fleet.market_history import read_history
from zebfast.fleet.model import FleetState, Instance
from zebfast.fleet.provider import NoCredit, OfferGone, SearchQuota, Unreachable
from zebfast.fleet.reconcile import Change, Tick, reconcile
from zebfast.fleet.state_file import FleetFileError
from zebfast.system.events import Ended, to_line
from zebfast.system.parse import MOST_UNIX
from zebfast.system.settings import setting_of

ENDED = to_line(Ended(program="start", code=1)).decode()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)  # hundreds of looks, no power cut
    return World(tmp_path)


def strikes(world: World) -> dict[str, int]:
    return dict(read_history(world.files.market).strikes)


def test_it_rents_the_best_and_then_lets_them_play(world: World) -> None:
    provider = world.add(offers(5))
    done = world.tick(want())
    assert [launch.label for launch in provider.launched] == provider.labels()
    assert {machine.host for machine in provider.alive.values()} == {"h1", "h2"}
    assert set(done.state.machines) == set(provider.labels()) == set(world.state.machines)
    assert {known.id for known in world.state.machines.values()} == {"m1", "m2"}
    world.settle(10)
    assert list(provider.alive) == ["m1", "m2"]
    assert provider.calls.count("offers") == 1, "a search costs quota"
    assert world.state.spent == pytest.approx(2 * 0.08 * 600 / 3600, rel=0.15)
    log = world.files.log.read_text()
    assert log.count("rented zeb-first-selfplay/") == 2
    assert "hf_secret" not in log + world.files.state.read_text() + "".join(world.lines)


def test_the_intent_is_on_the_disk_before_the_request_is_sent(world: World) -> None:
    provider, seen = world.add(offers(1)), []
    create = provider.create

    def spied(offer: object, launch: object) -> str:
        seen.append(world.state.machines)
        return create(offer, launch)  # type: ignore[arg-type]

    provider.create = spied  # type: ignore[method-assign]
    world.tick(want())
    [[known]] = [list(machines.values()) for machines in seen]
    assert (known.label, known.id) == (provider.labels()[0], None)


@pytest.mark.parametrize("done", [True, False])
def test_a_lost_reply_is_looked_for_not_repeated(world: World, done: bool) -> None:
    provider = world.add(offers(9))
    provider.faults["create"] = [(LOST_REPLY, True) if done else LOST_REPLY]
    world.tick(want())
    assert provider.calls.count("create") == 1, "no second try before a look"
    assert len(world.state.machines) == 1
    world.pass_time()
    world.tick()
    assert len(provider.alive) == (2 if done else 1), "the other one is asked for, not this again"
    world.settle(int(UNANSWERED // 60) + 3)
    assert len(provider.alive) == 2
    assert provider.most <= 3
    assert set(world.state.machines) == set(provider.labels())


def test_a_silent_provider_keeps_its_machines_and_gets_no_others(world: World) -> None:
    provider = world.add(offers(5))
    world.tick(want())
    provider.faults["machines"] = [Unreachable("no answer")] * 30
    for _ in range(30):
        world.pass_time()
        assert not world.tick().is_over
    assert (len(provider.alive), len(world.state.machines), provider.most) == (2, 2, 2)
    assert "vast does not say which machines there are: no answer" in world.lines


def test_unreadable_heartbeats_condemn_nobody(world: World) -> None:
    provider = world.add(offers(5))
    world.tick(want())
    world.settle(3)
    world.stores.unreadable = True
    for _ in range(60):
        world.clock.now += 60
        world.tick()
    assert list(provider.alive) == ["m1", "m2"]


def test_nothing_is_rented_before_there_are_weights(world: World) -> None:
    provider = world.add(offers(5))
    world.stores.published = None
    world.tick(want())
    assert provider.alive == {}
    assert any("no weights yet" in line for line in world.lines)
    world.stores.published = {"step": 0}
    world.tick()
    assert len(provider.alive) == 2


def test_the_next_provider_is_tried_when_one_has_nothing(world: World) -> None:
    first, second = world.add(offers(1)), world.add(offers(5, provider="runpod"), "runpod")
    spec = replace(SPEC, n=3, providers=("vast", "runpod"))
    world.tick(want(spec))
    assert (len(first.alive), len(second.alive)) == (1, 2)
    first.faults["machines"] = [Unreachable("no answer")] * 3
    second.set("exited", "m1")
    world.settle(3)
    assert len(second.alive) == 2, "replaced where somebody answers"
    assert len(first.alive) == 1
    assert strikes(world) == {"runpod:h1": 1}


def test_an_offer_that_has_gone_is_passed_over(world: World) -> None:
    provider = world.add(offers(4))
    provider.faults["create"] = [OfferGone("rented by somebody"), None, OfferGone("again")]
    world.tick(want())
    assert {machine.host for machine in provider.alive.values()} == {"h2", "h4"}
    assert set(world.state.machines) == set(provider.labels()), "no intent is left of those gone"


def test_a_refusal_is_said_and_leaves_no_intent(world: World) -> None:
    provider = world.add(offers(4))
    provider.faults["create"] = [REFUSED]
    world.tick(want())
    assert provider.calls.count("create") == 1
    assert world.state.machines == {}
    assert f"vast: {REFUSED}" in world.lines
    world.tick()
    hosts = {machine.host for machine in provider.alive.values()}
    assert hosts == {"h2", "h3"}, "one that is always refused is in nobody's way"


def test_without_credit_it_pauses_and_then_probes_with_one(world: World) -> None:
    provider = world.add(offers(9))
    provider.faults["create"] = [NoCredit("lacks credit"), NoCredit("lacks credit")]
    world.tick(want())
    assert world.state.machines == {}
    assert world.state.paused_until == world.clock.now + PAUSE
    world.clock.now += PAUSE - 1
    world.tick()
    assert provider.calls.count("create") == 1
    world.clock.now += 1
    world.tick()
    assert provider.calls.count("create") == 2
    world.clock.now += PAUSE
    world.tick()
    assert len(provider.alive) == 1, "one to see"
    assert world.state.paused_until is None
    world.tick()
    assert len(provider.alive) == 2


def test_credit_of_another_provider_is_used_without_a_pause(world: World) -> None:
    first, second = world.add(offers(3)), world.add(offers(5, provider="runpod"), "runpod")
    first.faults["create"] = [NoCredit("lacks credit")]
    world.tick(want(replace(SPEC, providers=("vast", "runpod"))))
    assert (len(first.alive), len(second.alive)) == (0, 2)
    assert world.state.paused_until is None


def test_a_search_quota_is_remembered(world: World) -> None:
    provider = world.add(offers(5))
    until = world.clock.now + 3600
    provider.faults["offers"] = [SearchQuota("no more searches today", until=until)]
    world.tick(want())
    for _ in range(5):
        world.clock.now += 600
        world.tick()
    assert provider.calls.count("offers") == 1
    assert any("its quota is used up" in line for line in world.lines)
    world.clock.now = until + 1
    world.tick()
    assert len(provider.alive) == 2


def test_a_destroy_that_failed_is_tried_again_for_one_strike(world: World) -> None:
    provider = world.add(offers(9))
    world.tick(want())
    provider.set("exited", "m1")
    provider.faults["destroy"] = [Unreachable("no answer")] * 3
    world.settle(6)
    assert "m1" not in provider.alive
    assert provider.calls.count("destroy") == 4
    assert strikes(world) == {"vast:h1": 1}
    assert (len(provider.alive), provider.most) == (2, 3)


def test_a_log_is_read_only_where_a_heartbeat_is_overdue(world: World) -> None:
    provider = world.add(offers(9))
    world.tick(want())
    provider.set("running")
    mute, well = provider.alive["m1"], provider.alive["m2"]
    provider.log["m1"] = "Collecting zebfast\nNo module named torch\n" + ENDED
    worker = f"selfplay-{well.label[-8:]}"
    for minute in range(9):
        world.stores.beats[worker] = beat(worker, minute + 1)
        world.tick()
        assert provider.calls.count("logs") == max(0, minute - 2)
        world.clock.now += 60
    world.tick()
    assert mute.id not in provider.alive
    assert well.id in provider.alive
    assert any("No module named torch" in line for line in world.lines)


def test_labelled_machines_that_nobody_remembers_are_adopted_or_ended(world: World) -> None:
    provider = world.add(offers(9))
    world.tick(want(replace(SPEC, n=5, max_surge=0)))
    world.files.state.unlink()
    strange = provider.alive["m1"]
    provider.alive["x"] = replace(strange, id="x", label="zeb-other-selfplay/0a0b0c0d")
    world.tick(want())
    world.settle(5)
    assert len(provider.alive) == 2 + 1
    assert "x" in provider.alive, "of another fleet"
    assert provider.most == 5


def test_down_takes_everything_and_stays_down(world: World) -> None:
    provider = world.add(offers(9))
    world.tick(want())
    provider.faults["destroy"] = [Unreachable("no answer")]
    done = world.tick(lambda state: replace(state or FleetState(spec=SPEC), wanted=False))
    assert not done.is_over
    world.tick()
    assert world.tick().is_over
    world.settle(5)
    assert provider.alive == {}


def test_a_damaged_state_is_told_with_the_fix_and_nothing_is_rented(world: World) -> None:
    provider = world.add(offers(9))
    world.tick(want())
    whole = world.files.state.read_bytes()
    for data in (b"", whole[:-40], b"[]", b'{"format": 1}', whole.replace(b'"n": 2', b'"n": "2"')):
        world.files.state.write_bytes(data)
        for change in (None, want()):
            with pytest.raises(FleetFileError, match="zebfast fleet down") as caught:
                world.tick(change)
            assert str(world.files.state) in str(caught.value)
        assert world.files.state.read_bytes() == data, "it is left for a person to look at"
    assert len(provider.alive) == 2


def test_keys_of_a_later_version_are_no_damage(world: World) -> None:
    world.add(offers(9))
    world.tick(want())
    facts = json.loads(world.files.state.read_text())
    facts["later"] = facts["spec"]["later"] = 1
    next(iter(facts["machines"].values()))["later"] = 1
    world.files.state.write_text(json.dumps(facts))
    assert len(world.tick().state.machines) == 2


def test_without_a_state_a_tick_says_how_to_begin(world: World) -> None:
    with pytest.raises(FleetFileError, match=f"there is no fleet {FLEET}.*zebfast fleet up"):
        world.tick()


def test_a_market_that_cannot_be_kept_does_not_stop_the_fleet(world: World) -> None:
    provider: FakeProvider = world.add(offers(9))
    world.files.market.write_text("{")
    world.tick(want())
    assert len(provider.alive) == 2
    assert any("market.json cannot be used" in line for line in world.lines)


def test_a_type_of_machine_is_rented_again_and_again(world: World) -> None:
    kind = replace(offer(1, price_per_hour=0.05), host="", many=True)
    provider = world.add([kind, *[kind] * 2, *offers(3)])
    world.tick(want(replace(SPEC, n=4, max_surge=0)))
    prices = sorted(machine.price_per_hour or 0.0 for machine in provider.alive.values())
    assert prices[:3] == [0.05] * 3, "the cheapest, until it had gone"
    assert prices[3] > 0.08


@pytest.mark.parametrize("seconds", [86_400.0, -86_400.0])
def test_a_clock_that_is_set_ends_no_machine_and_spends_nothing(
    world: World, seconds: float
) -> None:
    """An hour ahead, all machines would have done no work for an hour, at an hour's price."""
    spec = replace(SPEC, budget_dollars=1.0, budget_hours=10.0)
    world.add(offers(4))
    begun = world.clock.now
    set_by = 0.0

    def tick(change: Change | None = None) -> Tick:
        return reconcile(replace(world.fleet(), steady=lambda: world.clock.now - set_by), change)

    tick(want(spec))
    for _ in range(3):
        world.pass_time()
        tick()
    spent, alive = world.state.spent, set(world.state.machines)
    set_by = seconds
    world.clock.now += seconds
    world.pass_time(60.0)
    found = tick()
    assert not found.decision.destroy
    assert set(found.state.machines) == alive
    assert 0 <= found.state.spent - spent < 0.1
    assert found.state.first == pytest.approx(begun + seconds)
    assert found.state.wanted


def test_the_next_start_of_the_machine_believes_its_clock() -> None:
    state = FleetState(spec=SPEC, first=0.0, last_look=100.0, last_steady=100.0, boot="one")
    assert state.at(5000.0, steady=100.0, boot="one").first == 4900.0
    assert state.at(5000.0, steady=3.0, boot="two").first == 0.0
    assert state.at(102.0, steady=100.0, boot="one").first == 0.0


def test_all_times_of_a_machine_move_with_a_clock_that_was_set() -> None:
    """One missing in lists, too: a jump of the clock is no second look at which it is missing."""
    times = {each.name for each in fields(Instance) if setting_of(each).most == MOST_UNIX}
    machine = Instance(label="a", provider="vast", **dict.fromkeys(times, 50.0))
    state = FleetState(
        spec=SPEC, machines={"a": machine}, last_look=100.0, last_steady=100.0, boot="one"
    )
    moved = state.at(5000.0, steady=100.0, boot="one").machines["a"]
    assert {name: getattr(moved, name) for name in times} == dict.fromkeys(times, 4950.0)
