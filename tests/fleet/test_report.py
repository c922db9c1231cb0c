"""What a person is told of a fleet: words for every condition, and totals that add up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_fleet import SPEC, World, want
from fake_provider import beat, offers

from zebfast.fleet.provider import Unreachable
from zebfast.fleet.report import Report, Row, report


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Four machines that were asked for a minute ago and are loading."""
    found = World(tmp_path)
    found.add(offers(9))
    found.tick(want(replace(SPEC, n=4, budget_dollars=2.0, budget_hours=10.0)))
    found.clock.now += 60
    return found


def looked(world: World) -> Report:
    done = world.tick()
    return report(done.observed, done.decision)


def rows(world: World) -> dict[str | None, Row]:
    return {row.id: row for row in looked(world).rows}


def test_words_for_every_condition(world: World) -> None:
    provider = world.providers["vast"]
    provider.set("running", "m1", "m2", "m3")
    provider.alive["m4"] = replace(provider.alive["m4"], message="pulling the image")
    worker = [f"selfplay-{label[-8:]}" for label in provider.labels()]
    world.stores.beats = {
        worker[0]: beat(worker[0], 1),
        worker[1]: beat(worker[1], 1, error="CUDA error: out of memory"),
    }
    found = rows(world)
    words = {key: (row.health, row.good) for key, row in found.items()}
    assert words == {
        "m1": ("playing", True),
        "m2": ("failing for 0 s: CUDA error: out of memory", False),
        "m3": ("setting up for 0 s", True),
        "m4": ("loading for 1 min: pulling the image", True),
    }
    assert (found["m1"].games_per_s, found["m2"].games_per_s) == (4.0, None)
    assert found["m1"].ssh == "ssh root@m1"
    world.clock.now += 480
    assert rows(world)["m1"].health == "no work for 8 min"
    world.stores.unreadable = True
    assert rows(world)["m1"].health == "heartbeats could not be read"
    world.stores.unreadable = False
    provider.set("offline", "m1")
    assert rows(world)["m1"].health == "to be destroyed: is offline"


def test_machines_that_no_list_shows(world: World) -> None:
    provider = world.providers["vast"]
    provider.faults["create"] = [Unreachable("no answer")]
    provider.alive.pop("m1")
    provider.set("exited", "m4")
    unseen = [row.health for row in looked(world).rows if row.state == "unseen"]
    assert unseen == ["rented, not listed yet", "asked for"]
    provider.faults["machines"] = [Unreachable("no answer")]
    silent = looked(world)
    assert silent.silent == ("vast",)
    assert {row.health for row in silent.rows} == {"vast does not answer"}


def test_totals_add_up(world: World) -> None:
    world.settle(3)
    found = looked(world)
    assert (found.playing, found.wanted, found.games_per_s) == (4, 4, 16.0)
    assert found.price_per_hour == pytest.approx(sum(0.08 + 0.0001 * n for n in (1, 2, 3, 4)))
    assert found.dollars_per_million_games == pytest.approx(found.price_per_hour / 16 / 3600 * 1e6)
    assert found.spent == pytest.approx(found.price_per_hour * 240 / 3600)
    assert found.budget_left == pytest.approx(2.0 - found.spent)
    assert found.hours_left == pytest.approx(10 - 240 / 3600)
    assert found.credit == {"vast": 100.0}
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["per_day"] == pytest.approx(24 * found.price_per_hour)
    assert len(plain["rows"]) == 4
