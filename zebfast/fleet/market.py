"""Which offer is worth most: dollars for a game, from what was observed or else from a table.

Pure; what was observed is in ``market_history``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from zebfast.fleet.health import CAP_TOLERANCE
from zebfast.fleet.market_history import MarketHistory, gpu_key, host_key, rate_key
from zebfast.fleet.model import Offer, Spec

#: Games a second with the large v1 network, 200 simulations, to start from; only the ratios count,
#: since what is observed of some types rescales the others. Published: RTX 3060 1.4–1.8, RTX 4070
#: Ti 4.1–4.2; RTX 3050 Ti and B200 with the medium network (3.6 and 10.1 beside 3.8 of an RTX
#: 3060), scaled by 1.6/3.8. The rest is estimated from the makers' fp32 TFLOPS with the exponent
#: that fits the first two, 1.6 · (TFLOPS / 12.7)^0.83; above the B200 nothing is believed unseen.
GAMES_PER_S: Mapping[str, float] = {
    "RTX 2060": 0.9,
    "RTX 2080 TI": 1.7,
    "RTX 3050 TI": 1.5,
    "RTX 3060": 1.6,
    "RTX 3060 TI": 2.0,
    "RTX 3070": 2.4,
    "RTX 3070 TI": 2.5,
    "RTX 3080": 3.2,
    "RTX 3080 TI": 3.6,
    "RTX 3090": 3.8,
    "RTX 4060": 1.8,
    "RTX 4060 TI": 2.5,
    "RTX 4070": 3.2,
    "RTX 4070S": 3.8,
    "RTX 4070 SUPER": 3.8,
    "RTX 4070 TI": 4.15,
    "RTX 4080": 4.25,
    "RTX 4090": 4.25,
    "RTX 5060": 2.3,
    "RTX 5060 TI": 2.7,
    "RTX 5070": 3.3,
    "RTX 5070 TI": 4.25,
    "RTX 5080": 4.25,
    "RTX 5090": 4.25,
    "RTX A4000": 2.3,
    "RTX A5000": 3.1,
    "B200": 4.25,
}
#: What a host that fails every few hours wastes: waiting for a rule's limit, starting anew.
STRIKE_PREMIUM = 0.05
_STALE = 30 * 86400.0  # an observation this old was of another version of everything


@dataclass(frozen=True)
class Ranking:
    """Offers that may be rented, best first, and how many were refused, by reason."""

    offers: tuple[Offer, ...]
    refused: Mapping[str, int]

    @property
    def why(self) -> str:
        """``12 too dear, 3 unreliable``; says it where nothing was offered at all."""
        counts = sorted(self.refused.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{n} {reason}" for reason, n in counts) or "nothing was offered"


def rank(
    offers: Iterable[Offer],
    spec: Spec,
    history: MarketHistory,
    blacklist: Collection[str],
    now: float,
    *,
    used: Collection[str] = (),
) -> Ranking:
    """Filter offers by what is wanted, and order the others by dollars for a game.

    A host with strikes counts as dearer by STRIKE_PREMIUM each. Types of which no speed is known
    come last, cheapest first.

    Args:
        blacklist, used: hosts, as ``host_key`` names them, that are not rented (again).
    """
    refused: Counter[str] = Counter()
    fit = []
    types = {gpu_key(gpu) for gpu in spec.gpus}
    for offer in offers:
        reason = _refusal(offer, spec, types, blacklist, used)
        if reason is None:
            fit.append(offer)
        else:
            refused[reason] += 1
    speeds = speeds_of({offer.gpu for offer in fit}, spec, history, now)

    def worth(offer: Offer) -> tuple[bool, float, float, str]:
        speed = speeds[offer.gpu]
        strikes = history.strikes.get(host_key(offer.provider, offer.host), 0)
        price = offer.price_per_hour * (1 + STRIKE_PREMIUM * strikes) / (speed or 1.0)
        return speed is None, price, -(offer.reliability or 0.0), offer.id

    return Ranking(tuple(sorted(fit, key=worth)), refused)


def speeds_of(
    gpus: Iterable[str], spec: Spec, history: MarketHistory, now: float
) -> dict[str, float | None]:
    """Games a second to expect of each type in the fleet's role; None where nothing is known.

    The table is scaled to what was observed, by the mean ratio over the types that have both.
    """
    prefix = rate_key(spec.role, "")
    observed = {
        key.removeprefix(prefix): rate.games_per_s
        for key, rate in history.rates.items()
        if key.startswith(prefix) and now - rate.at < _STALE
    }
    ratios = [
        math.log(speed / GAMES_PER_S[gpu]) for gpu, speed in observed.items() if gpu in GAMES_PER_S
    ]
    scale = math.exp(sum(ratios) / len(ratios)) if ratios else 1.0
    table = {gpu: speed * scale for gpu, speed in GAMES_PER_S.items()}
    return {gpu: observed.get(gpu_key(gpu), table.get(gpu_key(gpu))) for gpu in gpus}


def _refusal(
    offer: Offer, spec: Spec, types: set[str], blacklist: Collection[str], used: Collection[str]
) -> str | None:
    """Why an offer is not for this fleet, in the words of a count; None if it is."""
    host = host_key(offer.provider, offer.host)
    tests = (
        (bool(types) and gpu_key(offer.gpu) not in types, "of another GPU type"),
        (offer.price_per_hour > spec.max_price_per_hour * CAP_TOLERANCE, "too dear"),
        (_below(offer.reliability, spec.min_reliability), "unreliable"),
        (_below(offer.inet_up, spec.min_inet_up), "too slow to upload"),
        (_below(offer.inet_down, spec.min_inet_down), "too slow to download"),
        (_below(offer.disk_gb, spec.disk_gb), "short of disk"),
        (_below(offer.cuda, spec.min_cuda), "with too old a driver"),
        (bool(offer.host) and host in blacklist, "on blacklisted hosts"),
        (bool(offer.host) and host in used, "on hosts in use"),
    )
    return next((reason for refused, reason in tests if refused), None)


def _below(value: float | None, least: float) -> bool:
    """A provider that does not say is given the benefit of the doubt."""
    return value is not None and value < least
