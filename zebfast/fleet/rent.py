"""Asking for machines: search, rank, write the intent down, create; provider after provider."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from zebfast.fleet.decide import paused, resumed
from zebfast.fleet.market import Ranking, rank, speeds_of
from zebfast.fleet.market_history import (
    MarketBusy,
    MarketHistory,
    host_key,
    read_history,
    update_history,
)
from zebfast.fleet.model import FleetState, Instance, Launch, Offer, Spec, new_label
from zebfast.fleet.provider import (
    NoCredit,
    OfferGone,
    Provider,
    ProviderError,
    SearchQuota,
    Unreachable,
)
from zebfast.system.events import FleetNews, emit
from zebfast.system.settings import encode

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
class MarketFile:
    """The market's file; one that cannot be written costs money at most, so that is only said."""

    path: Path

    def read(self) -> MarketHistory:
        return read_history(self.path)

    def change(self, change: Callable[[MarketHistory], MarketHistory]) -> None:
        try:
            update_history(self.path, change)
        except (MarketBusy, OSError) as error:
            say("", f"what the market taught is not kept: {error}", what="trouble")


def say(
    fleet: str, text: str, *, what: Literal["asked", "rented", "note", "trouble"] = "note",
    label: str = "",
) -> None:  # fmt: skip
    """Tell a line of a fleet's log."""
    emit(FleetNews(fleet=fleet, what=what, text=text, label=label))


def search(
    provider: Provider, spec: Spec, market: MarketFile, *, now: float, used: Collection[str] = ()
) -> Ranking:
    """Offers of one provider, best first; not asked again for those of a moment ago.

    Args:
        used: hosts, as ``host_key`` names them, that the fleet has a machine of.

    Raises:
        ProviderError and its kinds, SearchQuota among them, which is remembered.
    """
    history = market.read()
    offers = history.cached(provider.name, spec, now)
    if offers is None:
        if not history.may_search(provider.name, now):
            until = history.quota_until[provider.name]
            wait = f"no search for another {until - now:.0f} s: its quota is used up"
            raise SearchQuota(wait, until=until)
        try:
            offers = tuple(provider.offers(spec))
        except SearchQuota as error:
            until = error.until
            market.change(lambda history: history.with_quota(provider.name, until))
            raise
        found = offers
        market.change(lambda history: history.with_offers(provider.name, spec, found, now))
    if provider.name == "local":
        spec = replace(spec, gpus=())  # who names this machine wants it, whatever it has
    return rank(offers, spec, history, history.blacklist(), now, used=used)


@dataclass
class Round:
    """How one round of asking stands, whether for machines or for what they would cost.

    Attributes:
        left: machines still wanted.
        used: hosts, as ``host_key`` names them, that the fleet has a machine of.
        given_up: providers that are not asked any more; the silent ones, to begin with.
        refused: told of a provider that does not answer, as a sentence.
        exhausted: told of one that has too little: its name, how many were taken, its ranking.
    """

    left: int
    used: set[str]
    given_up: set[str]
    refused: Callable[[str], object]
    exhausted: Callable[[str, int, Ranking], object]

    def candidates(
        self, spec: Spec, providers: Mapping[str, Provider], market: MarketFile,
        clock: Callable[[], float],
    ) -> Iterator[tuple[Provider, Offer]]:  # fmt: skip
        """Offers in the order in which they are to be taken, while more are wanted.

        Whoever takes one says so with ``take``; one that is a type of machine comes again then.
        """
        for name in spec.providers:
            if name in self.given_up or not self.left:
                continue
            try:
                ranking = search(providers[name], spec, market, now=clock(), used=self.used)
            except ProviderError as error:
                self.refused(f"{name}: {error}")
                continue
            before = self.left
            for offer in ranking.offers:
                yield from self._while_taken(providers[name], offer)
            if self.left and name not in self.given_up:
                self.exhausted(name, before - self.left, ranking)

    def _while_taken(self, provider: Provider, offer: Offer) -> Iterator[tuple[Provider, Offer]]:
        host = host_key(provider.name, offer.host)
        while self.left and provider.name not in self.given_up and host not in self.used:
            before = self.left
            yield provider, offer
            if self.left == before or not offer.many:
                return

    def take(self, offer: Offer) -> None:
        """One more is had; its host is not asked again."""
        self.left -= 1
        if offer.host:
            self.used.add(host_key(offer.provider, offer.host))


class Renting:
    """One round of asking for machines; ``state`` is what is to be remembered after each step."""

    def __init__(
        self, state: FleetState, n: int, *, providers: Mapping[str, Provider], market: MarketFile,
        launcher: Launcher, save: Callable[[FleetState], None], clock: Callable[[], float],
        token: Callable[[], str],
    ) -> None:  # fmt: skip
        self.state = state
        self._providers, self._market, self._launcher = providers, market, launcher
        self._save, self._clock, self._token = save, clock, token
        self._round = Round(n, set(used_hosts(state)), set(), self._trouble, self._exhausted)
        self._lacks_credit = ""
        self._unanswered = False  # a machine may be there: none is asked for until a look tells

    def run(self, silent: Collection[str]) -> None:
        """Ask for all that are wanted, of the providers in their order; none of the silent ones.

        Raises:
            OSError: what is remembered cannot be written; nothing more is asked for then.
        """
        this, spec, wanted = self._round, self.state.spec, self._round.left
        this.given_up.update(silent)
        for provider, offer in this.candidates(spec, self._providers, self._market, self._clock):
            self._create(provider, offer)
        if this.left < wanted:
            self._keep(resumed(self.state))
        elif self._lacks_credit and not self._unanswered:
            self._keep(paused(self.state, now=self._clock(), reason=self._lacks_credit))
        if this.left and not self._unanswered:
            say(spec.fleet, f"{this.left} could not be rented; the next look tries again")

    def _trouble(self, text: str) -> None:
        say(self.state.spec.fleet, text, what="trouble")

    def _exhausted(self, name: str, _taken: int, ranking: Ranking) -> None:
        if not ranking.offers:
            say(self.state.spec.fleet, f"{name} has nothing to rent: {ranking.why}")

    def _create(self, provider: Provider, offer: Offer) -> None:
        """Rent one offer, the intent first."""
        fleet, price = self.state.spec.fleet, f"{offer.gpu} at ${offer.price_per_hour:.3f}/h"
        label = new_label(fleet, self._token())
        launch = self._launcher(self.state.spec, offer, label)
        say(fleet, f"asking {provider.name} for {price} as {label}", what="asked", label=label)
        instance = Instance(label=label, provider=provider.name, asked=self._clock(), gpu=offer.gpu,
                      host=offer.host, price_per_hour=offer.price_per_hour)  # fmt: skip
        self._put(instance)
        try:
            made = provider.create(offer, launch)
        except Unreachable as error:
            self._unanswered = True
            self._round.given_up.update(self.state.spec.providers)
            self._trouble(f"{label} was asked of {provider.name}, the next look finds out: {error}")
            return
        except ProviderError as error:
            self._forget(label)
            self._refused(provider, offer, error)
            return
        self._put(replace(instance, id=made))
        self._round.take(offer)
        say(fleet, f"rented {label}: {price}, {provider.name} {made}", what="rented", label=label)
        if not offer.many:
            self._market.change(lambda history: history.without_offer(offer))

    def _refused(self, provider: Provider, offer: Offer, error: ProviderError) -> None:
        """An offer that is gone is passed over; after another refusal its provider is."""
        if isinstance(error, NoCredit):
            self._lacks_credit = f"{provider.name} lacks credit"
        else:
            # Not the first to be tried at the next look, either: another may be to be had then.
            self._market.change(lambda history: history.without_offer(offer))
        if isinstance(error, OfferGone):
            self._trouble(f"offer {offer.id} of {provider.name} is gone: {error}")
            return
        self._round.given_up.add(provider.name)
        self._trouble(f"{provider.name}: {error}")

    def _put(self, instance: Instance) -> None:
        machines = {**self.state.machines, instance.label: instance}
        self._keep(replace(self.state, machines=machines))

    def _forget(self, label: str) -> None:
        kept = {key: instance for key, instance in self.state.machines.items() if key != label}
        self._keep(replace(self.state, machines=kept))

    def _keep(self, state: FleetState) -> None:
        self._save(state)
        self.state = state


# --- What a fleet would cost and play, before anything of it is rented.


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The offers that would be taken now.

    Attributes:
        speeds: games a second to expect of each GPU type; None where nobody knows.
        problems: a sentence for each provider that has too little, or does not answer.
    """

    offers: tuple[Offer, ...]
    speeds: Mapping[str, float | None]
    problems: tuple[str, ...]

    @property
    def price_per_hour(self) -> float:
        return sum(offer.price_per_hour for offer in self.offers)

    @property
    def games_per_s(self) -> float:
        """Of those whose speed is known."""
        return sum(self.speeds[offer.gpu] or 0.0 for offer in self.offers)

    @property
    def dollars_per_million_games(self) -> float | None:
        return dollars_per_million(self.price_per_hour, self.games_per_s)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [encode(o) | {"expected_games_per_s": self.speeds[o.gpu]} for o in self.offers]
        return {
            "offers": rows,
            "dph": self.price_per_hour,
            "per_day": 24 * self.price_per_hour,
            "expected_games_per_s": self.games_per_s,
            "dollars_per_million_games": self.dollars_per_million_games,
            "problems": list(self.problems),
        }


def dollars_per_million(price_per_hour: float, games_per_s: float) -> float | None:
    """Dollars for a million games; None while nothing is played."""
    return price_per_hour / (games_per_s * 3600) * 1e6 if games_per_s else None


def estimate(
    state: FleetState,
    n: int,
    *,
    providers: Mapping[str, Provider],
    market: MarketFile,
    now: float,
    silent: Collection[str] = (),
) -> Estimate:
    """The ``n`` offers that ``Renting`` would take now, if all can be had."""
    found: list[Offer] = []
    problems: list[str] = []

    def exhausted(name: str, taken: int, ranking: Ranking) -> None:
        refused = f" ({ranking.why})" if ranking.refused or not taken else ""
        problems.append(f"{name} has {taken} that fit{refused}")

    this = Round(n, set(used_hosts(state)), set(silent), problems.append, exhausted)
    for _, offer in this.candidates(state.spec, providers, market, lambda: now):
        found.append(offer)
        this.take(offer)
    speeds = speeds_of({offer.gpu for offer in found}, state.spec, market.read(), now)
    return Estimate(offers=tuple(found), speeds=speeds, problems=tuple(problems))
