"""Asking for machines: search, rank, write the intent down, create; provider after provider."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zebfast.fleet.decide import paused, resumed
from zebfast.fleet.market import Ranking, rank, speeds_of
from zebfast.fleet.market_history import (
    MarketBusy,
    MarketHistory,
    host_key,
    read_history,
    update_history,
)
from zebfast.fleet.model import (
    OWN,
    FleetState,
    Instance,
    Launch,
    Offer,
    Spec,
    array_labels,
    new_label,
)
from zebfast.fleet.observe import Outlook, say
from zebfast.fleet.provider import (
    AnyProvider,
    Cluster,
    NoCredit,
    OfferGone,
    ProviderError,
    SearchQuota,
    Unreachable,
)
from zebfast.fleet.state_file import FleetFiles, write_state
from zebfast.system.settings import encode


def new_token() -> str:
    """Last part of a new label."""
    return secrets.token_hex(4)


#: Makes the launch of a machine on an offer, from its label.
Launcher = Callable[[Spec, Offer, str], Launch]


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Everything that a tick touches.

    Attributes:
        clock: unix seconds; ``steady`` seconds tell when it was set.
        token: makes the last part of a new label.
    """

    files: FleetFiles
    outlook: Outlook
    launcher: Launcher
    clock: Callable[[], float] = time.time
    steady: Callable[[], float] | None = None
    token: Callable[[], str] = new_token


def teach(market: Path, change: Callable[[MarketHistory], MarketHistory]) -> None:
    """Change the market's file; one that cannot be written costs money at most: that is said."""
    try:
        update_history(market, change)
    except (MarketBusy, OSError) as error:
        say("", f"what the market taught is not kept: {error}", what="trouble")


def search(
    provider: AnyProvider, spec: Spec, market: Path, *, now: float, used: Collection[str]
) -> Ranking:
    """Offers of one provider, best first; not asked again for those of a moment ago.

    Args:
        used: hosts, as ``host_key`` names them, that the fleet has a machine of.

    Raises:
        ProviderError and its kinds, SearchQuota among them, which is remembered.
    """
    history = read_history(market)
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
            teach(market, lambda history: history.with_quota(provider.name, until))
            raise
        found = offers
        teach(market, lambda history: history.with_offers(provider.name, spec, found, now))
    if provider.name in OWN:
        spec = replace(spec, gpus=())  # who names what is one's own wants it, whatever it has
    return rank(offers, spec, history, history.blacklist(), now, used=used)


class Round:
    """How one round of asking stands, whether for machines or for what they would cost.

    Args:
        n: machines that are wanted.
        silent: providers that are not asked.
        refused: told of a provider that does not answer, as a sentence.
        exhausted: told of one that has too little: its name, how many were taken, its ranking.
    """

    def __init__(
        self, fleet: Fleet, state: FleetState, n: int, *, silent: Collection[str],
        refused: Callable[[str], object], exhausted: Callable[[str, int, Ranking], object],
    ) -> None:  # fmt: skip
        self._fleet, self._spec, self.left, self.given_up = fleet, state.spec, n, set(silent)
        self._refused, self._exhausted = refused, exhausted
        # Those without a name are all different.
        had = (each for each in state.machines.values() if each.host)
        self._used = {host_key(each.provider, each.host) for each in had}

    def candidates(self) -> Iterator[tuple[AnyProvider, Offer]]:
        """Offers in the order in which they are to be taken, while more are wanted.

        Whoever takes one says so with ``take``; one that is a type of machine comes again then.
        """
        for name in self._spec.providers:
            if name in self.given_up or not self.left:
                continue
            provider, market = self._fleet.outlook.providers[name], self._fleet.files.market
            now = self._fleet.clock()
            try:
                ranking = search(provider, self._spec, market, now=now, used=self._used)
            except ProviderError as error:
                self._refused(f"{name}: {error}")
                continue
            before = self.left
            for offer in ranking.offers:
                yield from self._while_taken(provider, offer)
            if self.left and name not in self.given_up:
                self._exhausted(name, before - self.left, ranking)

    def _while_taken(
        self, provider: AnyProvider, offer: Offer
    ) -> Iterator[tuple[AnyProvider, Offer]]:
        host = host_key(provider.name, offer.host)
        while self.left and provider.name not in self.given_up and host not in self._used:
            before = self.left
            yield provider, offer
            if self.left == before or not offer.many:
                return

    def take(self, offer: Offer) -> None:
        """One more is had; its host is not asked again."""
        self.left -= 1
        if offer.host:
            self._used.add(host_key(offer.provider, offer.host))


class Renting:
    """One round of asking for machines; ``state`` is what is to be remembered after each step."""

    def __init__(self, fleet: Fleet, state: FleetState, n: int, *, silent: Collection[str]) -> None:
        self.state = state
        self._fleet = fleet
        self._round = Round(
            fleet, state, n, silent=silent, refused=self._trouble, exhausted=self._exhausted
        )
        self._lacks_credit = ""
        self._unanswered = False  # a machine may be there: none is asked for until a look tells

    def run(self) -> None:
        """Ask for all that are wanted, of the providers in their order; none of the silent ones.

        Raises:
            OSError: what is remembered cannot be written; nothing more is asked for then.
        """
        this, spec, wanted = self._round, self.state.spec, self._round.left
        for provider, offer in this.candidates():
            self._create(provider, offer)
        if this.left < wanted:
            self._keep(resumed(self.state))
        elif self._lacks_credit and not self._unanswered:
            self._keep(paused(self.state, now=self._fleet.clock(), reason=self._lacks_credit))
        if this.left and not self._unanswered:
            say(spec.fleet, f"{this.left} could not be rented; the next look tries again")

    def _trouble(self, text: str) -> None:
        say(self.state.spec.fleet, text, what="trouble")

    def _exhausted(self, name: str, _taken: int, ranking: Ranking) -> None:
        if not ranking.offers:
            say(self.state.spec.fleet, f"{name} has nothing to rent: {ranking.why}")

    def _create(self, provider: AnyProvider, offer: Offer) -> None:
        """Rent one offer, or as many tasks of a cluster as are wanted; the intent first."""
        fleet, price = self.state.spec.fleet, f"{offer.gpu} at ${offer.price_per_hour:.3f}/h"
        label = new_label(fleet, self._fleet.token())
        launch = self._fleet.launcher(self.state.spec, offer, label)
        labels: tuple[str, ...] = (label,)
        if isinstance(provider, Cluster):
            labels = array_labels(label, min(self._round.left, provider.most))
            price = f"{len(labels)} of {offer.gpu}"
        say(fleet, f"asking {provider.name} for {price} as {label}", what="asked", label=label)
        asked = [
            Instance(
                label=each,
                provider=provider.name,
                asked=self._fleet.clock(),
                gpu=offer.gpu,
                host=offer.host,
                price_per_hour=offer.price_per_hour,
            )
            for each in labels
        ]
        self._put(asked)
        try:
            if isinstance(provider, Cluster):
                made = provider.create_array(launch, len(labels))
            else:
                made = [provider.create(offer, launch)]
        except Unreachable as error:
            self._unanswered = True
            self._round.given_up.update(self.state.spec.providers)
            self._trouble(f"{label} was asked of {provider.name}, the next look finds out: {error}")
            return
        except ProviderError as error:
            self._forget(labels)
            self._refused(provider, offer, error)
            return
        self._put(replace(each, id=its) for each, its in zip(asked, made, strict=True))
        for _ in made:
            self._round.take(offer)
        ids = made[0] if len(made) == 1 else f"{made[0]} to {made[-1]}"
        say(fleet, f"rented {label}: {price}, {provider.name} {ids}", what="rented", label=label)
        if not offer.many:
            teach(self._fleet.files.market, lambda history: history.without_offer(offer))

    def _refused(self, provider: AnyProvider, offer: Offer, error: ProviderError) -> None:
        """An offer that is gone is passed over; after another refusal its provider is."""
        if isinstance(error, NoCredit):
            self._lacks_credit = f"{provider.name} lacks credit"
        else:
            # Not the first to be tried at the next look, either: another may be to be had then.
            teach(self._fleet.files.market, lambda history: history.without_offer(offer))
        if isinstance(error, OfferGone):
            self._trouble(f"offer {offer.id} of {provider.name} is gone: {error}")
            return
        self._round.given_up.add(provider.name)
        self._trouble(f"{provider.name}: {error}")

    def _put(self, instances: Iterable[Instance]) -> None:
        machines = {**self.state.machines, **{each.label: each for each in instances}}
        self._keep(replace(self.state, machines=machines))

    def _forget(self, labels: Collection[str]) -> None:
        kept = {key: each for key, each in self.state.machines.items() if key not in labels}
        self._keep(replace(self.state, machines=kept))

    def _keep(self, state: FleetState) -> None:
        write_state(self._fleet.files.state, state)
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


def estimate(state: FleetState, n: int, fleet: Fleet, *, silent: Collection[str] = ()) -> Estimate:
    """The ``n`` offers that ``Renting`` would take now, if all can be had."""
    found: list[Offer] = []
    problems: list[str] = []

    def exhausted(name: str, taken: int, ranking: Ranking) -> None:
        refused = f" ({ranking.why})" if ranking.refused or not taken else ""
        problems.append(f"{name} has {taken} that fit{refused}")

    this = Round(fleet, state, n, silent=silent, refused=problems.append, exhausted=exhausted)
    for _, offer in this.candidates():
        found.append(offer)
        this.take(offer)
    history = read_history(fleet.files.market)
    speeds = speeds_of({offer.gpu for offer in found}, state.spec, history, fleet.clock())
    return Estimate(offers=tuple(found), speeds=speeds, problems=tuple(problems))
