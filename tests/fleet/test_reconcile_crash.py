"""A fleet whose program dies at any step, or runs twice at once: nothing leaks, all converges."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_fleet import SPEC, World, want
from fake_provider import offer, offers

from zebfast.fleet import market_history, reconcile, rent
from zebfast.fleet.model import FleetState
from zebfast.fleet.reconcile import FleetBusy

METHODS = ("offers", "create", "machines", "destroy", "logs", "credit")


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes die here, not the power: nothing need wait for the disk."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


class Crash(BaseException):
    """The process dies here: nothing between this and the test catches it."""


class Steps:
    """Counts what a tick does to the world, before and after each deed; dies at one of them."""

    def __init__(self, fatal: int | None) -> None:
        self.done = 0
        self.fatal = fatal

    def step(self) -> None:
        self.done += 1
        if self.done == self.fatal:
            raise Crash

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.step()
            value = call(*args, **kwargs)
            self.step()
            return value

        return wrapped


def troubled(directory: Path) -> World:
    """Three are wanted; one has died, and there is another that nobody remembers."""
    world = World(directory)
    provider = world.add([*offers(12), offer(99, price_per_hour=0.07)])
    world.tick(want(replace(SPEC, n=3, max_surge=2)))
    world.pass_time()
    provider.set("exited", "m1")
    provider.alive["x"] = replace(
        provider.alive["m2"], id="x", label=f"{SPEC.fleet}/0a0b0c0d", state="offline"
    )
    return world


def unwanted(state: FleetState | None) -> FleetState:
    return replace(state or FleetState(spec=SPEC), wanted=False)


def die_at(world: World, fatal: int | None, monkeypatch: pytest.MonkeyPatch) -> int:
    """One tick that may die; how many steps it has done."""
    steps = Steps(fatal)
    with monkeypatch.context() as patch:
        for method in METHODS:
            provider = world.providers["vast"]
            patch.setattr(provider, method, steps.around(getattr(provider, method)))
        patch.setattr(reconcile, "write_state", steps.around(reconcile.write_state))
        patch.setattr(rent, "write_state", steps.around(rent.write_state))
        patch.setattr(market_history, "write_atomic", steps.around(market_history.write_atomic))
        try:
            world.tick()
        except Crash:
            assert fatal is not None
        else:
            assert fatal is None
    return steps.done


def test_death_at_any_step_is_made_good_by_the_next_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_steps = die_at(troubled(tmp_path / "whole"), None, monkeypatch)
    assert n_steps >= 20
    for fatal in range(1, n_steps + 1):
        world = troubled(tmp_path / str(fatal))
        provider = world.providers["vast"]
        provider.most = len(provider.alive)
        die_at(world, fatal, monkeypatch)
        world.settle(14)
        labels = provider.labels()
        assert len(labels) == len(set(labels)) == 3, f"after death at step {fatal}"
        assert set(world.state.machines) == set(labels)
        assert {machine.state for machine in provider.alive.values()} == {"running"}
        assert provider.most <= 5, "never more than n + surplus"


def test_death_while_going_down_leaves_nothing_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fatal in range(1, 9):
        world = World(tmp_path / str(fatal))
        provider = world.add(offers(5))
        world.tick(want())
        steps = Steps(fatal)
        with monkeypatch.context() as patch:
            for method in METHODS:
                patch.setattr(provider, method, steps.around(getattr(provider, method)))
            with pytest.raises(Crash):
                world.tick(unwanted)
        world.settle(4)
        assert provider.alive == {}


def test_two_at_once_rent_no_more_than_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    provider = world.add(offers(20))
    started = threading.Barrier(8)
    busy = []

    def run() -> None:
        started.wait(60)
        try:
            world.tick(want())
        except FleetBusy as error:
            busy.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(provider.alive) == provider.most == 2
    assert all("is looked after by process" in sentence for sentence in busy)


def _hold(directory: Path, inside: Any, leave: Any) -> None:
    """A process that is in the middle of a tick until it may leave."""
    world = World(directory)
    provider = world.add(offers(5))
    look = provider.machines

    def slow(fleet: str) -> Any:
        inside.set()
        leave.wait(60)
        return look(fleet)

    provider.machines = slow  # type: ignore[method-assign]
    world.tick(want())


def test_a_second_process_does_nothing_until_the_first_has_ended(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    inside, leave = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, inside, leave))
    process.start()
    try:
        assert inside.wait(60)
        world = World(tmp_path)
        provider = world.add(offers(5))
        with pytest.raises(FleetBusy, match=f"process {process.pid}"):
            world.tick(want())
        assert provider.calls == []
        leave.set()
        process.join(60)
        assert process.exitcode == 0
    finally:
        process.kill()
    assert len(world.state.machines) == 2
    world.tick()
    assert provider.calls.count("create") == 0, "what the first has asked for counts"
