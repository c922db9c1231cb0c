"""A fleet over providers in memory: one tick after the other, and machines that behave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fake_provider import Clock, FakeProvider, beat
from listening import listening

from zebfast.exchange import ExampleStore, ExchangeError, WeightStore
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.model import FleetState, Launch, Offer, Spec, worker_id_of
from zebfast.fleet.observe import Outlook
from zebfast.fleet.reconcile import Change, Fleet, Tick, reconcile
from zebfast.fleet.state_file import FleetFiles, read_state

FLEET = "zeb-first-selfplay"
SPEC = Spec(fleet=FLEET, experiment="first", role="selfplay", n=2, max_surge=1)


@dataclass
class FakeStores:
    """Both stores of an experiment, as far as a fleet reads them."""

    beats: dict[str, Heartbeat] = field(default_factory=dict)
    published: Mapping[str, Any] | None = field(default_factory=lambda: {"step": 1})
    unreadable: bool = False

    def read_state(self) -> Mapping[str, Any] | None:
        self._fail()
        return self.published

    def heartbeats(self) -> dict[str, Heartbeat]:
        self._fail()
        return dict(self.beats)

    def _fail(self) -> None:
        if self.unreadable:
            raise ExchangeError("the Hub cannot be reached")


@dataclass
class World:
    """What is outside of the program that looks after a fleet, and outlives it."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    stores: FakeStores = field(default_factory=FakeStores)
    providers: dict[str, FakeProvider] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    batch: int = 0

    def add(self, offers: Sequence[Offer], name: str = "vast") -> FakeProvider:
        provider = FakeProvider(name=name, clock=self.clock, for_rent=list(offers))
        self.providers[name] = provider
        return provider

    @property
    def files(self) -> FleetFiles:
        return FleetFiles(self.directory, FLEET)

    @property
    def state(self) -> FleetState:
        found = read_state(self.files.state)
        assert found is not None
        return found

    def fleet(self) -> Fleet:
        outlook = Outlook(
            providers=dict(self.providers),
            weights=cast(WeightStore, self.stores),
            examples=cast(ExampleStore, self.stores),
        )
        return Fleet(files=self.files, outlook=outlook, launcher=launch, clock=self.clock)

    def tick(self, change: Change | None = None) -> Tick:
        with listening(self.lines.append):
            return reconcile(self.fleet(), change)

    def pass_time(self, seconds: float = 60.0) -> None:
        """Loading machines come up, and those that run hand over a batch."""
        self.clock.now += seconds
        self.batch += 1
        for provider in self.providers.values():
            for machine in tuple(provider.alive.values()):
                worker = worker_id_of(machine.label, "selfplay")
                if machine.state == "loading":
                    provider.set("running", machine.id)
                elif machine.state == "running":
                    self.stores.beats[worker] = beat(worker, self.batch, unix=self.clock.now)

    def settle(self, ticks: int = 30) -> None:
        for _ in range(ticks):
            self.tick()
            self.pass_time()


def launch(_spec: Spec, offer: Offer, label: str) -> Launch:
    bid = offer.price_per_hour if offer.interruptible else None
    return Launch(label=label, command="true", env={"HF_TOKEN": "hf_secret"}, image="i",
                  disk_gb=16.0, bid=bid)  # fmt: skip


def want(spec: Spec = SPEC) -> Change:
    """Begin a fleet, or go on with the one there is."""
    return lambda state: state or FleetState(spec=spec)
