"""Days of a fleet on a simulated market, minute by minute.

The ticks are the fleet's own, files and all; the market, the clock and the heartbeats are made up.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.simulation.hosts import HOUR, MINUTE, START
from bench.simulation.market import Rental, SimulatedMarket
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet import reconcile, rent
from zebfast.fleet.health import stall_limit
from zebfast.fleet.market_history import MarketHistory
from zebfast.fleet.model import FleetState, Launch, Offer, Spec
from zebfast.fleet.observe import Outlook
from zebfast.fleet.reconcile import Change, Fleet
from zebfast.fleet.state_file import FleetFiles

FLEET = "zeb-sim-selfplay"


@dataclass
class Lived:
    """What some days of a fleet came to.

    Attributes:
        uptime: mean share of the n wanted that really played, from the first minute on.
        dollars, games: of all rentals; games that were really played.
        most_alive: machines at once.
        overstays: seconds that each destroyed machine was kept beyond its rule's limit, outages
            left out, by what was wrong with it.
        left: machines alive after it was taken down.
        spent: dollars as the fleet itself counted them.
    """

    uptime: float = 0.0
    dollars: float = 0.0
    games: float = 0.0
    rentals: int = 0
    most_alive: int = 0
    overstays: dict[str, list[float]] = field(default_factory=dict)
    left: int = 0
    spent: float = 0.0

    @property
    def dollars_per_thousand(self) -> float:
        return 1000 * self.dollars / self.games


@contextmanager
def kept_in_mind() -> Iterator[None]:
    """What ticks write is kept as objects while this lasts: days of them then take a second."""
    minds: dict[Path, Any] = {}

    def update(path: Path, change: Callable[[MarketHistory], MarketHistory]) -> MarketHistory:
        minds[path] = change(minds.get(path, MarketHistory()))
        return minds[path]

    with (
        patch.multiple(reconcile, read_state=minds.get, write_state=minds.__setitem__),
        patch.object(reconcile, "hold_lock", lambda path, *, busy: nullcontext()),
        patch.object(rent, "read_history", lambda path: minds.get(path, MarketHistory())),
        patch.multiple(rent, update_history=update, write_state=minds.__setitem__),
    ):
        yield


class Exchange:
    """The two stores of the experiment, as far as a fleet looks at them."""

    def __init__(self, market: SimulatedMarket, role: str) -> None:
        self._market, self._role = market, role

    def heartbeats(self) -> dict[str, Heartbeat]:
        self._answer()
        return self._market.heartbeats(self._role)

    def read_state(self) -> dict[str, int]:
        self._answer()
        return {"step": 1}

    def _answer(self) -> None:
        if self._market.exchange_is_out():
            raise OSError("no answer")


class SimulatedFleet:
    """One fleet on one market, both by the same clock; its files are in ``directory``."""

    def __init__(self, directory: Path, seed: int, spec: Spec, *, hours: float = 72.0) -> None:
        self.now, self.hours, self.spec = START, hours, spec
        self.market = SimulatedMarket(seed, lambda: self.now, hours=hours)
        exchange: Any = Exchange(self.market, spec.role)
        labels = (f"{number:08x}" for number in itertools.count())
        self.fleet = Fleet(
            files=FleetFiles(directory, spec.fleet),
            outlook=Outlook(
                providers={self.market.name: self.market}, weights=exchange, examples=exchange
            ),
            launcher=launch,
            clock=lambda: self.now,
            token=lambda: next(labels),
        )
        self.lived = Lived()

    def live(self) -> Lived:
        """All the hours, then down until nothing is left or an hour has passed."""
        self.run()
        down_at = self.now
        self.tick(lambda state: replace(self._up(state), wanted=False))
        while self.now < down_at + HOUR and not self.last.is_over:
            self.now += MINUTE
            self.tick()
        lived, rentals = self.lived, self.market.rentals.values()
        lived.dollars = sum(rental.cost(self.now) for rental in rentals)
        lived.games = sum(games_of(rental, self.now) for rental in rentals)
        lived.rentals, lived.left = len(rentals), len(self.market.alive())
        lived.spent = self.last.state.spent
        for rental in rentals:
            self._judge(rental, down_at)
        return lived

    def run(self) -> None:
        """All the hours, a tick a minute."""
        playing = 0
        while self.now < START + self.hours * HOUR:
            self.tick(self._up)
            playing += min(self.spec.n, self._playing())
            self.now += MINUTE
        self.lived.uptime = playing / (self.spec.n * self.hours * HOUR / MINUTE)

    def tick(self, change: Change | None = None) -> None:
        self.last = reconcile.reconcile(self.fleet, change)
        self.lived.most_alive = max(self.lived.most_alive, len(self.market.alive()))

    def _up(self, state: FleetState | None) -> FleetState:
        """What ``up`` asks for; asked again, it changes nothing."""
        return state or FleetState(spec=self.spec)

    def _playing(self) -> int:
        rentals = self.market.alive()
        return sum(rental.play_at <= self.now < rental.plays_until() for rental in rentals)

    def _judge(self, rental: Rental, down_at: float) -> None:
        """Was it destroyed when it had to be?"""
        wrong, since, limit = fate(rental, self.spec)
        ended = self.now if rental.ended is None else rental.ended
        if wrong == "vanished" or ended < since + limit:
            return
        if since + limit > down_at:
            wrong, since, limit = "down", down_at, 0.0
        outages = (*self.market.outages, *self.market.exchange_outages)
        waited = sum(max(0.0, min(ended, end) - max(since, begin)) for begin, end in outages)
        self.lived.overstays.setdefault(wrong, []).append(ended - since - limit - waited)


def launch(spec: Spec, offer: Offer, label: str) -> Launch:
    bid = offer.price_per_hour if offer.interruptible else None
    return Launch(label=label, command="true", env={}, image="", disk_gb=spec.disk_gb, bid=bid)


def fate(rental: Rental, spec: Spec) -> tuple[str, float, float]:
    """What goes wrong with a machine first, since when, and for how long it may be kept then."""
    up_at = rental.began + rental.boot.loading
    if rental.boot.trouble == "for ever":
        return "for ever", rental.began, spec.loading_limit
    if rental.boot.trouble == "exits":
        return "exits", up_at, 0.0
    if rental.boot.trouble == "no module":
        return "no module", up_at, spec.setup_limit
    if rental.trouble == "frozen":
        return "frozen", max(rental.trouble_at, rental.play_at), stall_limit(spec)
    if rental.trouble == "failed":
        return "failed", max(rental.trouble_at, rental.play_at), spec.fatal_grace
    return rental.trouble, rental.trouble_at, 0.0


def games_of(rental: Rental, now: float) -> float:
    """Games that it really played."""
    return max(0.0, min(now, rental.plays_until()) - rental.play_at) * rental.host.games_per_s
