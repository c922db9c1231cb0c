"""A provider in memory, with a clock that tests move and faults that they ask for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.model import Launch, Machine, MachineState, Offer, Spec, is_of_fleet
from zebfast.fleet.provider import OfferGone, ProviderError, Unreachable


@dataclass
class Clock:
    """Seconds that pass only when a test says so."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeProvider:
    """Offers that can be rented once each; what is rented is loading until a test says otherwise.

    Attributes:
        faults: by name of a method, exceptions that its next calls raise, in order; None = a call
            that works. ``(exception, True)`` does what was asked first, as a lost reply does.
        most: how many machines have ever been alive at once.
    """

    name: str = "vast"
    clock: Callable[[], float] = field(default_factory=Clock)
    for_rent: list[Offer] = field(default_factory=list)
    alive: dict[str, Machine] = field(default_factory=dict)
    faults: dict[str, list[BaseException | tuple[BaseException, bool] | None]] = field(
        default_factory=dict
    )
    log: dict[str, str] = field(default_factory=dict)
    money: float | None = 100.0
    launched: list[Launch] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    most: int = 0
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def offers(self, spec: Spec) -> list[Offer]:
        self._call("offers")
        found = [
            offer for offer in self.for_rent if offer.price_per_hour <= spec.max_price_per_hour
        ]
        return sorted(found, key=lambda offer: offer.price_per_hour)

    def create(self, offer: Offer, launch: Launch) -> str:
        after = self._call("create")
        if offer not in self.for_rent:
            raise OfferGone(f"offer {offer.id} is gone")
        self.for_rent.remove(offer)
        self.launched.append(launch)
        made = f"m{next(self._ids)}"
        self.alive[made] = Machine(
            provider=self.name, id=made, label=launch.label, state="loading", gpu=offer.gpu,
            host=offer.host, price_per_hour=offer.price_per_hour, started=self.clock(),
            ssh=f"ssh root@{made}",
        )  # fmt: skip
        self.most = max(self.most, len(self.alive))
        if after is not None:
            raise after
        return made

    def machines(self, fleet: str) -> list[Machine]:
        self._call("machines")
        return [machine for machine in self.alive.values() if is_of_fleet(machine.label, fleet)]

    def destroy(self, machine_id: str) -> None:
        after = self._call("destroy")
        self.alive.pop(machine_id, None)
        if after is not None:
            raise after

    def logs(self, machine_id: str, *, lines: int) -> str:
        self._call("logs")
        return "\n".join(self.log.get(machine_id, "").splitlines()[-lines:])

    def credit(self) -> float | None:
        self._call("credit")
        return self.money

    def set(self, state: MachineState, *ids: str) -> None:
        """Change the state of machines (default: of all)."""
        for each in ids or tuple(self.alive):
            self.alive[each] = replace(self.alive[each], state=state)

    def labels(self) -> list[str]:
        return [machine.label for machine in self.alive.values()]

    def _call(self, name: str) -> BaseException | None:
        """Note the call; raise what is due now, return what is due after it has been done."""
        self.calls.append(name)

        queue = self.faults.get(name)
        due = queue.pop(0) if queue else None
        if isinstance(due, tuple):
            return due[0]
        if due is not None:
            raise due
        return None


def offer(
    number: int, *, provider: str = "vast", gpu: str = "RTX 3060", price_per_hour: float = 0.08
) -> Offer:
    """One offer like the others, of a host of its own."""
    return Offer(
        provider=provider, id=f"o{number}", gpu=gpu, price_per_hour=price_per_hour,
        host=f"h{number}",
        reliability=0.99, inet_up=500.0, inet_down=500.0, disk_gb=100.0, cuda=13.0,
    )  # fmt: skip


def offers(n: int, *, provider: str = "vast", first: int = 1) -> list[Offer]:
    """Offers of so many hosts, each a little dearer than the one before."""
    return [
        offer(number, provider=provider, price_per_hour=round(0.08 + 0.0001 * number, 4))
        for number in range(first, first + n)
    ]


def beat(worker_id: str, batch: int, *, unix: float = 0.0, error: str | None = None) -> Heartbeat:
    """A heartbeat after so many batches; with an error, of a worker that has failed."""
    return Heartbeat(
        worker_id=worker_id, unix=unix, phase="failed" if error else "playing", batch=batch,
        total_games=256 * batch, games_per_s=4.0, error=error,
    )  # fmt: skip


LOST_REPLY = Unreachable("no answer came")
REFUSED = ProviderError("the image is unknown: give another --image")
