"""A market of simulated hosts, and the provider through which machines are rented on it.

What goes wrong: starts that load for ever, end at once or lack a module; hosts that go offline,
stop, vanish, freeze or crash; prices that rise while rented; low bidders that are outbid; a
provider that does not answer for minutes; answers that are lost after the machine was rented.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.simulation.hosts import HOUR, MINUTE, START, TYPES, Boot, Host
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.fleet.market import GAMES_PER_S
from zebfast.fleet.model import (
    Launch,
    Machine,
    MachineState,
    Offer,
    Spec,
    is_of_fleet,
    worker_id_of,
)
from zebfast.fleet.provider import OfferGone, Unreachable

UPLOAD = 240.0
GAMES_PER_BATCH = 256
DEARER = 0.40  # $/h that a host asks whose price rises while rented
STATES: dict[str, MachineState] = {"offline": "offline", "exited": "exited", "stopped": "stopped"}


@dataclass(kw_only=True)
class Rental:
    """One machine of somebody's, from being rented to being destroyed."""

    id: str
    label: str
    host: Host
    began: float
    price_per_hour: float
    interruptible: bool
    boot: Boot
    play_at: float  # infinite if it never comes to that
    trouble_at: float
    trouble: str
    ended: float | None = None

    def state(self, now: float) -> MachineState | None:
        """As its provider lists it; None once it has vanished."""
        if now >= self.trouble_at:
            return None if self.trouble == "vanished" else STATES.get(self.trouble, "running")
        loaded = self.began + self.boot.loading
        if now < loaded or self.boot.trouble == "for ever":
            return "loading"
        return "exited" if self.boot.trouble == "exits" else "running"

    def price(self, now: float) -> float:
        """Dollars an hour now."""
        return (
            DEARER if self.trouble == "dearer" and now >= self.trouble_at else self.price_per_hour
        )

    def plays_until(self) -> float:
        """When its work ends, whether anybody sees it or not; a dearer one goes on."""
        natural = float("inf") if self.trouble == "dearer" else self.trouble_at
        return natural if self.ended is None else min(natural, self.ended)

    def cost(self, now: float) -> float:
        """Dollars until now; one that vanished costs nothing more."""
        end = now if self.ended is None else self.ended
        if self.trouble == "vanished":
            end = min(end, self.trouble_at)
        late = max(0.0, end - self.trouble_at) if self.trouble == "dearer" else 0.0
        return (self.price_per_hour * (end - self.began - late) + DEARER * late) / HOUR

    def heartbeat(self, role: str, now: float) -> Heartbeat | None:
        """The newest that has been uploaded."""
        if now < self.play_at:
            return None
        last = min(now, self.plays_until())
        uploads = int((last - self.play_at) // UPLOAD)
        games = int(uploads * UPLOAD * self.host.games_per_s)
        failed = self.trouble == "failed" and now >= self.trouble_at
        return Heartbeat(
            worker_id=worker_id_of(self.label, role),  # type: ignore[arg-type]
            unix=self.play_at + uploads * UPLOAD,
            phase="failed" if failed else "playing",
            batch=games // GAMES_PER_BATCH,
            total_games=games,
            games_per_s=self.host.games_per_s if games >= GAMES_PER_BATCH else 0.0,
            error="CUDA error: an illegal memory access was encountered" if failed else None,
        )


class SimulatedMarket:
    """The hosts, what is rented of them, and the provider through which it is (``Provider``).

    Args:
        clock: says the time, START at first.
        bid_share: lowest bid for an interruptible rental, as a share of the price.
    """

    name = "vast"

    def __init__(
        self,
        seed: int,
        clock: Callable[[], float],
        *,
        n_hosts: int = 200,
        hours: float = 72.0,
        bid_share: float = 0.6,
    ) -> None:
        draw = random.Random(f"market {seed}")
        # The engine is faster than the one the table was measured with, not equally on all types.
        keys = {gpu: gpu.upper() for gpu in TYPES}
        self.speeds = {
            gpu: GAMES_PER_S[key] * 4 * draw.lognormvariate(0.0, 0.05) for gpu, key in keys.items()
        }
        self.hosts = {f"h{i}": Host(i, seed, hours, self.speeds) for i in range(n_hosts)}
        self.clock = clock
        self.bid_share = bid_share
        self.outages = _outages(draw, hours, every=12 * HOUR, lasts=8 * MINUTE)
        self.exchange_outages = _outages(draw, hours, every=24 * HOUR, lasts=12 * MINUTE)
        self.rentals: dict[str, Rental] = {}
        self._luck = random.Random(f"calls of market {seed}")

    def alive(self) -> list[Rental]:
        """What is being paid for now."""
        now = self.clock()
        return [r for r in self.rentals.values() if r.ended is None and r.state(now) is not None]

    def exchange_is_out(self) -> bool:
        return _within(self.exchange_outages, self.clock())

    def offer(self, host: Host, spec: Spec, now: float) -> Offer:
        price = host.price(now)
        if spec.interruptible:
            price *= self.bid_share * spec.bid_factor
        return Offer(
            provider=self.name,
            id=host.id,
            gpu=host.gpu,
            price_per_hour=price,
            host=host.id,
            interruptible=spec.interruptible,
            reliability=host.reliability,
            inet_up=host.inet_up,
            inet_down=host.inet_down,
        )

    def rental(self, host: Host, spec: Spec, label: str, now: float) -> Rental:
        """What a rental that begins now comes to; nothing is rented by asking."""
        boot = host.boot(now)
        offer = self.offer(host, spec, now)
        up_at = now + boot.loading
        play_at = float("inf") if boot.trouble else up_at + boot.setup
        trouble_at, trouble = (float("inf"), "") if boot.trouble else host.trouble_after(up_at)
        if spec.interruptible:
            outbid = host.outbid_after(now, offer.price_per_hour, self.bid_share)
            if outbid < trouble_at:
                trouble_at, trouble = outbid, "stopped"
        return Rental(
            id=f"m{len(self.rentals)}",
            label=label,
            host=host,
            began=now,
            price_per_hour=offer.price_per_hour,
            interruptible=spec.interruptible,
            boot=boot,
            play_at=play_at,
            trouble_at=trouble_at,
            trouble=trouble,
        )

    def offers(self, spec: Spec) -> list[Offer]:
        self._answer()
        now = self.clock()
        taken = {rental.host.id for rental in self.alive()}
        free = (h for h in self.hosts.values() if h.id not in taken and h.is_free(now))
        offers = [self.offer(host, spec, now) for host in free]
        return sorted(
            (o for o in offers if o.price_per_hour <= spec.max_price_per_hour),
            key=lambda o: o.price_per_hour,
        )

    def create(self, offer: Offer, launch: Launch) -> str:
        self._answer()
        now = self.clock()
        host = self.hosts[offer.id]
        taken = {rental.host.id for rental in self.alive()}
        if host.id in taken or not host.is_free(now) or self._luck.random() < 0.03:
            raise OfferGone(f"{offer.id} is no longer offered")
        spec_like = _AS_OFFERED[offer.interruptible]
        rental = replace(
            self.rental(host, spec_like, launch.label, now), price_per_hour=offer.price_per_hour
        )
        self.rentals[rental.id] = rental
        if self._luck.random() < 0.03:
            raise Unreachable("the answer was lost")
        return rental.id

    def machines(self, fleet: str) -> list[Machine]:
        self._answer()
        now = self.clock()
        return [
            Machine(
                provider=self.name,
                id=rental.id,
                label=rental.label,
                state=rental.state(now) or "unknown",
                gpu=rental.host.gpu,
                host=rental.host.id,
                price_per_hour=rental.price(now),
                started=rental.began,
                interruptible=rental.interruptible,
            )
            for rental in self.alive()
            if is_of_fleet(rental.label, fleet)
        ]

    def destroy(self, machine_id: str) -> None:
        self._answer()
        rental = self.rentals[machine_id]
        if rental.ended is None:
            rental.ended = self.clock()

    def logs(self, machine_id: str, *, lines: int) -> str:
        self._answer()
        rental = self.rentals[machine_id]
        bad = rental.boot.trouble == "no module"
        return "ModuleNotFoundError: No module named 'zebfast'\n" if bad else ""

    def credit(self) -> float | None:
        self._answer()
        return 100.0

    def heartbeats(self, role: str) -> dict[str, Heartbeat]:
        """What lies in the exchange; asks no provider."""
        now = self.clock()
        beats = (rental.heartbeat(role, now) for rental in self.alive())
        return {beat.worker_id: beat for beat in beats if beat is not None}

    def _answer(self) -> None:
        """Most calls are answered."""
        if _within(self.outages, self.clock()) or self._luck.random() < 0.005:
            raise Unreachable("no answer")


#: The two ways to rent, for what of a spec a rental depends on.
_AS_OFFERED = {
    way: Spec(fleet="zeb-any-selfplay", experiment="any", role="selfplay", n=1, interruptible=way)
    for way in (False, True)
}


def _outages(
    draw: random.Random, hours: float, *, every: float, lasts: float
) -> list[tuple[float, float]]:
    """Times without an answer: from, until."""
    found, at = [], START
    while at < START + hours * HOUR:
        at += draw.expovariate(1 / every)
        until = at + draw.expovariate(1 / lasts)
        found.append((at, until))
        at = until
    return found


def _within(outages: list[tuple[float, float]], now: float) -> bool:
    return any(begin <= now < end for begin, end in outages)
