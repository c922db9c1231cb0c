"""Asking for machines: search, rank, write the intent down, create; provider after provider."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zebfast.exchange import Say
from zebfast.fleet.decide import paused, resumed
from zebfast.fleet.market import Ranking, rank, speeds_of
from zebfast.fleet.market_history import Learned, MarketBusy, host_key, read_learned, update_learned
from zebfast.fleet.model import FleetState, Known, Launch, Offer, Spec, new_label
from zebfast.fleet.provider import (
    NoCredit,
    OfferGone,
    Provider,
    ProviderError,
    SearchQuota,
    Unreachable,
)

#: Makes the launch of a machine on an offer, from its label.
Launcher = Callable[[Spec, Offer, str], Launch]


def new_token() -> str:
    """Last part of a new label."""
    return secrets.token_hex(4)


def used_hosts(state: FleetState) -> frozenset[str]:
    """Hosts that the fleet has a machine of; those without a name are all different."""
    machines = state.machines.values()
    return frozenset(host_key(each.provider, each.host) for each in machines if each.host)


@dataclass(frozen=True)
class Memory:
    """The market's file; one that cannot be written costs money at most, so that is only said."""

    path: Path
    say: Say

    def read(self) -> Learned:
        return read_learned(self.path, self.say)

    def change(self, change: Callable[[Learned], Learned]) -> None:
        try:
            update_learned(self.path, change, self.say)
        except (MarketBusy, OSError) as error:
            self.say(f"what the market taught is not kept: {error}")


def search(
    provider: Provider, spec: Spec, memory: Memory, *, now: float, used: Collection[str] = ()
) -> Ranking:
    """Offers of one provider, best first; not asked again for those of a moment ago.

    Args:
        used: hosts, as ``host_key`` names them, that the fleet has a machine of.

    Raises:
        ProviderError and its kinds, SearchQuota among them, which is remembered.
    """
    learned = memory.read()
    offers = learned.cached(provider.name, spec, now)
    if offers is None:
        if not learned.may_search(provider.name, now):
            until = learned.quota_until[provider.name]
            wait = f"no search for another {until - now:.0f} s: its quota is used up"
            raise SearchQuota(wait, until=until)
        try:
            offers = tuple(provider.offers(spec))
        except SearchQuota as error:
            until = error.until
            memory.change(lambda found: found.with_quota(provider.name, until))
            raise
        found = offers
        memory.change(lambda learned: learned.with_offers(provider.name, spec, found, now))
    if provider.name == "local":
        spec = replace(spec, gpus=())  # who names this machine wants it, whatever it has
    return rank(offers, spec, learned, learned.blacklist(), now, used=used)


class Renting:
    """One round of asking for machines; ``state`` is what is to be remembered after each step."""

    def __init__(
        self, state: FleetState, n: int, *, providers: Mapping[str, Provider], memory: Memory,
        launcher: Launcher, save: Callable[[FleetState], None], clock: Callable[[], float],
        token: Callable[[], str], say: Say,
    ) -> None:  # fmt: skip
        self.state = state
        self._left, self._rented = n, 0
        self._providers, self._memory, self._launcher = providers, memory, launcher
        self._save, self._clock, self._token, self._say = save, clock, token, say
        self._lacks_credit = ""
        self._unanswered = False  # a machine may be there: none is asked for until a look tells

    def run(self, silent: Collection[str]) -> None:
        """Ask for all that are left, of the providers in their order; none of the silent ones.

        Raises:
            OSError: what is remembered cannot be written; nothing more is asked for then.
        """
        for name in self.state.spec.providers:
            if self._left and not self._unanswered and name not in silent:
                self._ask(self._providers[name])
        if self._rented:
            self._keep(resumed(self.state))
        elif self._lacks_credit and not self._unanswered:
            self._keep(paused(self.state, now=self._clock(), reason=self._lacks_credit))
        if self._left and not self._unanswered:
            self._say(f"{self._left} could not be rented; the next look tries again")

    def _ask(self, provider: Provider) -> None:
        """All that one provider has; what it refuses is said."""
        spec = self.state.spec
        try:
            ranking = search(
                provider, spec, self._memory, now=self._clock(), used=used_hosts(self.state)
            )
            if not ranking.offers:
                self._say(f"{provider.name} has nothing to rent: {ranking.why}")
            for offer in ranking.offers:
                if not self._left or self._unanswered:
                    return
                if host_key(provider.name, offer.host) in used_hosts(self.state):
                    continue
                while self._create(provider, offer) and offer.many and self._left:
                    pass
        except ProviderError as error:
            if isinstance(error, NoCredit):
                self._lacks_credit = f"{provider.name} lacks credit"
            self._say(f"{provider.name}: {error}")

    def _create(self, provider: Provider, offer: Offer) -> bool:
        """Rent one offer, the intent first; False where it has gone or there is no answer."""
        label = new_label(self.state.spec.fleet, self._token())
        launch = self._launcher(self.state.spec, offer, label)
        self._say(f"asking {provider.name} for {offer.gpu} at ${offer.dph:.3f}/h as {label}")
        known = Known(label=label, provider=provider.name, asked=self._clock(), gpu=offer.gpu,
                      host=offer.host, dph=offer.dph)  # fmt: skip
        self._put(known)
        try:
            made = provider.create(offer, launch)
        except Unreachable as error:
            self._unanswered = True
            self._say(f"{label} was asked of {provider.name}, the next look finds out: {error}")
            return False
        except ProviderError as error:
            self._forget(label)
            if isinstance(error, NoCredit):
                raise
            # Not the first to be tried at the next look, either: another may be to be had then.
            self._memory.change(lambda learned: learned.without_offer(offer))
            if not isinstance(error, OfferGone):
                raise
            self._say(f"offer {offer.id} of {provider.name} is gone: {error}")
            return False
        self._put(replace(known, id=made))
        self._left -= 1
        self._rented += 1
        self._say(f"rented {label}: {offer.gpu} at ${offer.dph:.3f}/h, {provider.name} {made}")
        if not offer.many:
            self._memory.change(lambda learned: learned.without_offer(offer))
        return True

    def _put(self, known: Known) -> None:
        machines = {**self.state.machines, known.label: known}
        self._keep(replace(self.state, machines=machines))

    def _forget(self, label: str) -> None:
        kept = {key: known for key, known in self.state.machines.items() if key != label}
        self._keep(replace(self.state, machines=kept))

    def _keep(self, state: FleetState) -> None:
        self._save(state)
        self.state = state


# --- What a fleet would cost and play, before anything of it is rented.

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
