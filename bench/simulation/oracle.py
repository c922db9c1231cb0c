"""What the same days would have cost somebody who knew every failure and every price beforehand."""

from __future__ import annotations

import heapq

from bench.simulation.fleet import Lived, games_of
from bench.simulation.hosts import HOUR, MINUTE, START
from bench.simulation.market import Rental, SimulatedMarket
from zebfast.fleet.market import rank
from zebfast.fleet.market_history import MarketHistory
from zebfast.fleet.model import Spec


def oracle(market: SimulatedMarket, spec: Spec, *, hours: float) -> Lived:
    """Rentals of one who keeps n machines and knows the future of every host.

    It has the filters of the fleet (type, cap, reliability, bandwidth) and its rule to keep what
    it has until that fails. Whenever one is missing it rents, of all hosts that are free at that
    moment, the one with the fewest dollars a game over the whole rental: from being asked for
    until it breaks, gets dearer, is outbid, or the days are over, loading and set-up paid for. It
    knows the mean speed of each type, not that of each host; it rents nothing whose start fails,
    and ends a rental in the second in which something breaks.

    Compared are dollars a game, not dollars a machine-hour: the ranking may well take a dearer
    machine that plays more, and the games are what is paid for.
    """
    lived, horizon = Lived(), START + hours * HOUR
    busy_until: dict[str, float] = {}
    missing = [START] * spec.n  # times at which a machine is missing
    while missing[0] < horizon:
        now = heapq.heappop(missing)
        best = _best(market, spec, now, horizon, busy_until)
        if best is None:
            heapq.heappush(missing, now + MINUTE)
            continue
        best.ended = min(best.trouble_at, horizon)
        busy_until[best.host.id] = best.ended
        lived.dollars += best.cost(best.ended)
        lived.games += games_of(best, best.ended)
        lived.rentals += 1
        heapq.heappush(missing, best.ended)
    return lived


def _best(
    market: SimulatedMarket, spec: Spec, now: float, horizon: float, busy_until: dict[str, float]
) -> Rental | None:
    offers = [
        market.offer(host, spec, now)
        for host in market.hosts.values()
        if host.is_free(now) and busy_until.get(host.id, 0.0) <= now
    ]
    fit = rank(offers, spec, MarketHistory(), (), now).offers
    rentals = [market.rental(market.hosts[offer.id], spec, "", now) for offer in fit]
    worth = {rental.host.id: _dollars_a_game(market, rental, horizon) for rental in rentals}
    best = min(rentals, key=lambda rental: worth[rental.host.id], default=None)
    return None if best is None or worth[best.host.id] == float("inf") else best


def _dollars_a_game(market: SimulatedMarket, rental: Rental, horizon: float) -> float:
    """Of a whole rental, by the mean speed of its type."""
    end = min(rental.trouble_at, horizon)
    playing = end - rental.play_at
    if playing <= 0:
        return float("inf")
    paid = rental.price_per_hour * (end - rental.began) / HOUR
    return paid / (playing * market.speeds[rental.host.gpu])
