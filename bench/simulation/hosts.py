"""Hosts that exist only as numbers drawn from a seed.

Everything that can happen to a host is drawn when it is made, as facts of the host and the time:
its prices, who else rents it, whether a start succeeds, when what breaks. So a fleet and an oracle
that knows the future meet the same hosts. Times are unix seconds; START is the beginning.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass

START = 1_800_000_000.0
HOUR = 3600.0
MINUTE = 60.0
REPAIR = HOUR  # a host that went offline or vanished is not offered for so long
#: $/h at which a type is usually offered; how many of a hundred hosts are of it.
TYPES = {
    "RTX 3060": (0.060, 24),
    "RTX 3060 Ti": (0.068, 12),
    "RTX 3070": (0.080, 12),
    "RTX 3080": (0.110, 12),
    "RTX 3090": (0.145, 14),
    "RTX 4060 Ti": (0.095, 8),
    "RTX 4070 Ti": (0.150, 8),
    "RTX 4090": (0.350, 10),
}
#: What ends a rental, and how often a thousand hours on a sound host; on a bad one ten times.
TROUBLES = {
    "offline": 15,
    "exited": 8,
    "stopped": 10,
    "vanished": 5,
    "frozen": 10,
    "failed": 12,
    "dearer": 5,
}
#: How a start ends, and how often of a thousand on a sound host; on a bad one eight times.
BOOTS = {"for ever": 40, "exits": 20, "no module": 15}


@dataclass(frozen=True)
class Boot:
    """How a start at some hour goes: seconds of loading and of set-up, and what goes wrong."""

    loading: float
    setup: float
    trouble: str | None


class Host:
    """One host: what it is, and all that will happen to it."""

    def __init__(self, number: int, seed: int, hours: float, speeds: dict[str, float]) -> None:
        draw = random.Random(f"host {number} of market {seed}")
        self._seed = f"boot of {number} of {seed}"
        self.id = f"h{number}"
        self.gpu = draw.choices(list(TYPES), [weight for _, weight in TYPES.values()])[0]
        self.bad = draw.random() < 0.12
        self.reliability = draw.uniform(0.90, 0.97) if self.bad else draw.uniform(0.94, 0.999)
        self.inet_up = draw.lognormvariate(4.5, 1.0)
        self.inet_down = draw.lognormvariate(6.0, 0.8)
        self.games_per_s = speeds[self.gpu] * draw.lognormvariate(0.0, 0.05)
        usual = TYPES[self.gpu][0] * draw.lognormvariate(0.0, 0.2)
        end = START + (hours + 1) * HOUR
        self.price_times, self.prices = [START], [usual * draw.lognormvariate(0.0, 0.07)]
        while self.price_times[-1] < end:
            self.price_times.append(self.price_times[-1] + draw.expovariate(1 / (8 * HOUR)))
            self.prices.append(usual * draw.lognormvariate(0.0, 0.07))
        self.switches = [START - draw.uniform(0, 8 * HOUR)]  # free, taken, free, ... by others
        self.free_first = draw.random() < 0.5
        while self.switches[-1] < end:
            self.switches.append(self.switches[-1] + draw.expovariate(1 / (10 * HOUR)))
        rate = sum(TROUBLES.values()) / 1000 / HOUR * (10 if self.bad else 1)
        self.troubles: list[tuple[float, str]] = []
        at = START
        while at < end:
            at += draw.expovariate(rate)
            kind = draw.choices(list(TROUBLES), list(TROUBLES.values()))[0]
            self.troubles.append((at, kind))

    def price(self, now: float) -> float:
        """Dollars an hour of a rental that begins now."""
        return self.prices[bisect_right(self.price_times, now) - 1]

    def is_free(self, now: float) -> bool:
        """Does it work, and has nobody else rented it?"""
        last = self.troubles[max(0, bisect_right(self.troubles, (now, "~")) - 1)]
        if last[1] in ("offline", "vanished") and 0 <= now - last[0] < REPAIR:
            return False
        return (bisect_right(self.switches, now) % 2 == 1) == self.free_first

    def trouble_after(self, now: float) -> tuple[float, str]:
        """The next thing that breaks what runs here."""
        return self.troubles[bisect_right(self.troubles, (now, "~"))]

    def outbid_after(self, now: float, price_per_hour: float, share: float) -> float:
        """When the lowest bid, ``share`` of the price, first exceeds ``price_per_hour``."""
        first = bisect_right(self.price_times, now)
        later = zip(self.price_times[first:], self.prices[first:], strict=True)
        return next((at for at, price in later if price * share > price_per_hour), float("inf"))

    def boot(self, now: float) -> Boot:
        """How a start in this quarter of an hour goes."""
        draw = random.Random(f"{self._seed} {int(now // 900)}")
        scale = (8 if self.bad else 1) / 1000
        weights = [count * scale for count in BOOTS.values()]
        kinds = [*BOOTS, None]
        trouble = draw.choices(kinds, [*weights, max(0.0, 1 - sum(weights))])[0]
        return Boot(draw.lognormvariate(4.9, 0.4), draw.uniform(40, 120), trouble)
