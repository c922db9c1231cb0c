"""What a fleet would cost and play, before anything of it is rented."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zebfast.fleet.market import speeds_of
from zebfast.fleet.model import Offer, Spec
from zebfast.fleet.provider import Provider, ProviderError
from zebfast.fleet.rent import Memory, search


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The offers that would be taken now.

    Attributes:
        speeds: games a second to expect of each GPU type; None where nobody knows.
        problems: a sentence for each provider that has too little, or does not answer.
    """

    offers: tuple[Offer, ...]
    speeds: Mapping[str, float | None]
    problems: tuple[str, ...]

    @property
    def dph(self) -> float:
        return sum(offer.dph for offer in self.offers)

    @property
    def games_per_s(self) -> float:
        """Of those whose speed is known."""
        return sum(self.speeds[offer.gpu] or 0.0 for offer in self.offers)

    @property
    def dollars_per_million_games(self) -> float | None:
        return dollars_per_million(self.dph, self.games_per_s)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [asdict(o) | {"expected_games_per_s": self.speeds[o.gpu]} for o in self.offers]
        return {
            "offers": rows,
            "dph": self.dph,
            "per_day": 24 * self.dph,
            "expected_games_per_s": self.games_per_s,
            "dollars_per_million_games": self.dollars_per_million_games,
            "problems": list(self.problems),
        }


def dollars_per_million(dph: float, games_per_s: float) -> float | None:
    """Dollars for a million games; None while nothing is played."""
    return dph / (games_per_s * 3600) * 1e6 if games_per_s else None


def quote(
    spec: Spec,
    n: int,
    *,
    providers: Mapping[str, Provider],
    memory: Memory,
    now: float,
    used: Collection[str] = (),
) -> Quote:
    """The ``n`` best offers now, one a host, of the providers in their order.

    Args:
        used: hosts, as ``host_key`` names them, that the fleet has a machine of.
    """
    found: list[Offer] = []
    problems = []
    for name in spec.providers:
        if len(found) >= n:
            break
        try:
            ranking = search(providers[name], spec, memory, now=now, used=used)
        except ProviderError as error:
            problems.append(f"{name}: {error}")
            continue
        fit = _one_a_host(ranking.offers, n - len(found))
        if len(fit) < n - len(found):
            refused = f" ({ranking.why})" if ranking.refused or not fit else ""
            problems.append(f"{name} has {len(fit)} that fit{refused}")
        found += fit[: n - len(found)]
    speeds = speeds_of({offer.gpu for offer in found}, spec, memory.read(), now)
    return Quote(offers=tuple(found), speeds=speeds, problems=tuple(problems))


def _one_a_host(offers: Iterable[Offer], n: int) -> list[Offer]:
    """The best of each host, those without a name being all different; ``n`` of each type."""
    best: dict[str, Offer] = {}
    for offer in offers:
        best.setdefault(offer.host or f"offer {offer.id}", offer)
    return [offer for offer in best.values() for _ in range(n if offer.many else 1)]
