"""Rented machines: a provider that errs, machines that die, and a program that looks after them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.simulation.kernel import Killed
from zebfast.exchange import open_examples, open_weights
from zebfast.fleet.model import (
    Launch,
    Machine,
    MachineState,
    Offer,
    Spec,
    is_of_fleet,
    worker_id_of,
)
from zebfast.fleet.observe import Outlook
from zebfast.fleet.provider import OfferGone, Unreachable
from zebfast.fleet.reconcile import Fleet, begin, end, reconcile
from zebfast.fleet.state_file import FleetFiles, read_state
from zebfast.system.clock import steady

if TYPE_CHECKING:
    from tests.simulation.world import Host, Role, World

HOUR = 3600.0
TICK_SECONDS = 1800.0
FLEET = "zeb-sim-selfplay"
MOST_PRICE = 0.15


@dataclass
class Rental:
    """One rented machine; ``ended`` when it is no longer paid for."""

    id: str
    label: str
    began: float
    price: float
    role: Role
    state: MachineState = "loading"
    ended: float | None = None
    paid: float = 0.0  # up to ``paid_at``
    paid_at: float = 0.0

    def cost(self, now: float) -> float:
        until = now if self.ended is None else min(now, self.ended)
        return self.paid + self.price * max(0.0, until - self.paid_at) / HOUR


class Market:
    """A provider as ``zebfast.fleet.provider`` knows it, and what is rented there.

    Attributes:
        away_until: nobody is answered before.
        loses: chance that an answer is lost after what was asked has been done.
        lag: seconds for which a new machine is missing in lists.
        short: chance that a machine is missing in a list.
        looks: when it was last asked for machines and answered, and the longest time between two.
    """

    name = "vast"

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world, self._rng = world, rng
        self.rentals: dict[str, Rental] = {}
        self.away_until = 0.0
        self.loses = self.lag = self.short = 0.0
        self._missed: set[str] = set()
        self.last_look, self.longest_gap = 0.0, 0.0
        self.most_alive = 0
        self.dearest = MOST_PRICE
        self._offers = 0

    def alive(self) -> list[Rental]:
        return [rental for rental in self.rentals.values() if rental.ended is None]

    def dollars(self) -> float:
        """What all of it has cost."""
        return sum(rental.cost(self._world.kernel.now) for rental in self.rentals.values())

    # --- as the program asks ---

    def offers(self, spec: Spec) -> list[Offer]:
        self._answer()
        found = []
        for _ in range(6):
            self._offers += 1
            found.append(
                Offer(
                    provider=self.name, id=f"o{self._offers}", gpu="RTX 3060",
                    price_per_hour=round(self._rng.uniform(0.05, MOST_PRICE), 4),
                    host=f"h{self._offers}", reliability=0.99, inet_up=500.0, inet_down=500.0,
                    disk_gb=100.0, cuda=13.0,
                )
            )  # fmt: skip
        return sorted(found, key=lambda offer: offer.price_per_hour)

    def create(self, offer: Offer, launch: Launch) -> str:
        self._answer()
        if self._rng.random() < 0.1:
            raise OfferGone(f"offer {offer.id} is gone")
        world, number = self._world, len(self.rentals) + 1
        role = world.rented(f"m{number}", worker_id_of(launch.label, "selfplay"))
        now = world.kernel.now
        rental = Rental(
            f"m{number}", launch.label, now, offer.price_per_hour, role, paid_at=now
        )  # fmt: skip
        self.rentals[rental.id] = rental
        self.most_alive = max(self.most_alive, len(self.alive()))
        world.kernel.at(now + self._rng.uniform(60, 900), partial(self._boot, rental))
        self._maybe_lose()
        return rental.id

    def machines(self, fleet: str) -> list[Machine]:
        self._answer()
        now = self._world.kernel.now
        self.longest_gap = max(self.longest_gap, now - self.last_look)
        self.last_look = now
        listed = [
            rental for rental in self.alive()
            if is_of_fleet(rental.label, fleet) and now - rental.began >= self.lag
            and not self._leaves_out(rental.id)
        ]  # fmt: skip
        return [
            Machine(
                provider=self.name, id=each.id, label=each.label, state=each.state,
                gpu="RTX 3060", host=each.id, price_per_hour=each.price,
                started=self._world.epoch() - now + each.began,
            )
            for each in listed
        ]  # fmt: skip

    def _leaves_out(self, machine_id: str) -> bool:
        """Is it missing in this list? Never in two that follow each other."""
        if machine_id in self._missed or self._rng.random() >= self.short:
            self._missed.discard(machine_id)
            return False
        self._missed.add(machine_id)
        return True

    def destroy(self, machine_id: str) -> None:
        self._answer()
        self.die(self.rentals[machine_id], gone=True)
        self._maybe_lose()

    def logs(self, machine_id: str, *, lines: int) -> str:
        self._answer()
        return ""

    def credit(self) -> float | None:
        self._answer()
        return 100.0

    # --- what happens there ---

    def _boot(self, rental: Rental) -> None:
        if rental.ended is None and rental.state == "loading":
            rental.state = "running"
            self._world.start(rental.role)

    def die(self, rental: Rental, *, gone: bool) -> None:
        """It stops; ``gone``: and is no longer listed or paid for."""
        world = self._world
        rental.role.wanted = False
        if rental.role.process is not None:
            world.kernel.kill(rental.role.process)
        if rental.role in world.workers:
            world.workers.remove(rental.role)
        rental.state = "exited"
        if gone and rental.ended is None:
            rental.ended = world.kernel.now

    def reprice(self, rental: Rental, price: float) -> None:
        now = self._world.kernel.now
        self.dearest = max(self.dearest, price)
        rental.paid, rental.paid_at, rental.price = rental.cost(now), now, price

    def _answer(self) -> None:
        task, now = self._world.kernel.current, self._world.kernel.now
        if task is not None and task.process.dead:
            raise Killed
        if now < self.away_until or self._rng.random() < 0.01:
            raise Unreachable("no answer")

    def _maybe_lose(self) -> None:
        if self._rng.random() < max(0.02, self.loses):
            raise Unreachable("the answer was lost")


def spec_of(rng: random.Random) -> Spec:
    """What is wanted; limits are as long as simulated batches are."""
    return Spec(
        fleet=FLEET, experiment="sim", role="selfplay", n=rng.randint(1, 2), max_surge=1,
        max_price_per_hour=MOST_PRICE, budget_dollars=rng.choice((None, 0.5, 1.5, 3.0)),
        budget_hours=rng.choice((None, None, 12.0)), upload_interval=1800.0,
        loading_limit=2 * HOUR, setup_limit=3 * HOUR, stall_limit=5 * HOUR, fatal_grace=HOUR,
    )  # fmt: skip


def look_after(world: World, host: Host) -> Callable[[], int]:
    """A program that looks after the fleet, as ``zebfast fleet monitor`` does."""

    def fleet() -> Fleet:
        places: Any = world.places()
        options = world.options(host)
        weights = open_weights(places["weights"], places["namespace"], options=options)
        examples = open_examples(places["examples"], places["namespace"], options=options)
        return Fleet(
            files=FleetFiles(world.root / host.name / "fleet", FLEET),
            outlook=Outlook(
                providers={Market.name: world.market}, weights=weights, examples=examples
            ),
            launcher=_launch,
            clock=world.clock.time,
            steady=steady,
        )

    def main() -> int:
        this = fleet()
        while True:
            known = read_state(this.files.state)
            if known is None:
                change = begin(world.spec)
            else:
                change = end(known) if world.fleet_ends else None
            tick = reconcile(this, change)
            world.checks.looked(tick)
            if world.fleet_ends and tick.is_over:
                return 0
            world.kernel.block(TICK_SECONDS)

    return main


def _launch(spec: Spec, offer: Offer, label: str) -> Launch:
    return Launch(label=label, command="true", env={}, image="", disk_gb=spec.disk_gb)
