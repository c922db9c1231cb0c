"""What the market has taught: speeds of GPU types, strikes against hosts, searches; as one file.

It lies beside the states of an experiment's fleets and all of them share it. Losing it costs a
little money and no machine: a damaged file is set aside with a line.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from zebfast.fleet.health import is_working
from zebfast.fleet.model import Instance, Offer, Spec
from zebfast.fleet.state_file import set_aside
from zebfast.selfplay.producer_kinds import Role
from zebfast.system.events import FleetNews, emit
from zebfast.system.files import write_atomic
from zebfast.system.locks import hold_lock
from zebfast.system.parse import MOST_EXACT, parse_json
from zebfast.system.retry import constant, retrying
from zebfast.system.settings import SettingError, counted, decode, encode, moment, setting

STRIKES = 3  # and a host is not rented again
CACHE = 120.0  # seconds that offers are taken for true
DAY = 86400.0  # no search quota lasts longer; offers older than this are not worth a try
HALF_LIFE = 6 * 3600.0  # of what was observed, in the average
_LOCK_WAIT, _LOCK_PAUSE = 10.0, 0.02
_FORMAT = 1


class MarketBusy(RuntimeError):
    """Another process has had the market's file for too long: one sentence."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Games a second of one GPU type in one role: an average of ``seen`` looks, ``at`` the last."""

    games_per_s: float = setting(above=0, most=MOST_EXACT)
    seen: int = counted()
    at: float = moment()


@dataclass(frozen=True, kw_only=True)
class Search:
    """What one search brought, and when."""

    at: float = moment()
    offers: tuple[Offer, ...]


@dataclass(frozen=True, kw_only=True)
class MarketHistory:
    """All that is remembered of the market.

    Attributes:
        rates: by ``rate_key``. strikes: by ``host_key``. searches: by ``search_key``.
        quota_until: by provider, no search before that time.
    """

    rates: Mapping[str, Rate] = field(default_factory=dict)
    strikes: Mapping[str, int] = field(default_factory=dict)
    searches: Mapping[str, Search] = field(default_factory=dict)
    quota_until: Mapping[str, float] = field(default_factory=dict)

    def blacklist(self) -> frozenset[str]:
        """Hosts, as ``host_key`` names them, that have had their strikes."""
        return frozenset(host for host, count in self.strikes.items() if count >= STRIKES)

    def with_strike(self, provider: str, host: str) -> MarketHistory:
        """After one more strike against a host; a host without a name cannot have any."""
        if not host:
            return self
        key = host_key(provider, host)
        return replace(self, strikes={**self.strikes, key: self.strikes.get(key, 0) + 1})

    def with_rates(self, role: Role, machines: Iterable[Instance], now: float) -> MarketHistory:
        """After a look at machines that play: one observation of each of their GPU types."""
        speeds = defaultdict(list)
        for instance in machines:
            if instance.games_per_s and instance.gpu and is_working(instance, None):
                speeds[rate_key(role, instance.gpu)].append(instance.games_per_s)
        means = {key: sum(found) / len(found) for key, found in speeds.items()}
        fresh = {key: _blend(self.rates.get(key), mean, now) for key, mean in means.items()}
        return replace(self, rates={**self.rates, **fresh})

    def may_search(self, provider: str, now: float) -> bool:
        """Does the quota allow a search? One that lasts for more than a day is not believed."""
        return not now < self.quota_until.get(provider, now) <= now + DAY

    def with_quota(self, provider: str, until: float) -> MarketHistory:
        """After a provider has said that it answers no search before ``until``."""
        return replace(self, quota_until={**self.quota_until, provider: until})

    def cached(self, provider: str, spec: Spec, now: float) -> tuple[Offer, ...] | None:
        """Offers of a search a moment ago; with no search allowed, of the last one of the day."""
        search = self.searches.get(search_key(provider, spec))
        patience = CACHE if self.may_search(provider, now) else DAY
        if search is None or not 0 <= now - search.at <= patience:
            return None
        return search.offers

    def with_offers(
        self, provider: str, spec: Spec, offers: Iterable[Offer], now: float
    ) -> MarketHistory:
        """After a search; those of earlier days, which nobody uses, are forgotten."""
        search = Search(at=now, offers=tuple(offers))
        recent = {key: each for key, each in self.searches.items() if now - each.at <= DAY}
        return replace(self, searches={**recent, search_key(provider, spec): search})

    def without_offer(self, offer: Offer) -> MarketHistory:
        """After an offer was rented or had gone: no search brings it back from memory."""
        searches = {
            key: replace(search, offers=tuple(o for o in search.offers if o.id != offer.id))
            if key.startswith(f"{offer.provider} ")
            else search
            for key, search in self.searches.items()
        }
        return replace(self, searches=searches)


def gpu_key(gpu: str) -> str:
    """One spelling of a GPU type: ``NVIDIA GeForce RTX_3060`` is ``RTX 3060``."""
    words = gpu.replace("_", " ").split()
    return " ".join(word for word in words if word.upper() not in ("NVIDIA", "GEFORCE")).upper()


def rate_key(role: Role, gpu: str) -> str:
    """Name of a speed: roles do different work."""
    return f"{role} {gpu_key(gpu)}"


def host_key(provider: str, host: str) -> str:
    """Name of a host over all providers."""
    return f"{provider}:{host}"


def search_key(provider: str, spec: Spec) -> str:
    """Name of a search: a provider and what of ``spec`` it filters by."""
    asked = (
        spec.gpus,
        spec.max_price_per_hour,
        spec.interruptible,
        spec.bid_factor,
        spec.min_reliability,
        spec.min_inet_up,
        spec.min_inet_down,
        spec.min_cuda,
        spec.disk_gb,
    )
    # Tasks of a cluster are an offer of what they are to be given.
    task = (spec.task.partition, spec.task.gpu_type) if provider == "slurm" else ()
    return f"{provider} {json.dumps((*asked, *task))}"


def read_history(path: Path) -> MarketHistory:
    """What the file says; nothing where there is none. A damaged file is set aside and said."""
    try:
        found = parse_json(path.read_bytes())
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise SettingError(f"it is not a market of format {_FORMAT}")
        return decode(MarketHistory, found, drop_unknown=True)
    except FileNotFoundError:
        return MarketHistory()
    except ValueError as error:
        aside = set_aside(path)
        text = f"{path} cannot be used ({error}): set aside as {aside.name}, learning starts anew"
        emit(FleetNews(fleet="", what="trouble", text=text))
        return MarketHistory()


def update_history(path: Path, change: Callable[[MarketHistory], MarketHistory]) -> MarketHistory:
    """Change the file as it is now, whoever else changes it; what it says afterwards.

    Raises:
        MarketBusy, OSError.
    """
    lock = path.with_suffix(".lock")

    def busy(owner: str) -> MarketBusy:
        return MarketBusy(
            f"{lock} is held by process {owner} for too long: end that process and try again"
        )

    def update() -> MarketHistory:
        with hold_lock(lock, busy=busy):
            history = change(read_history(path))
            facts = {"format": _FORMAT, **encode(history)}
            write_atomic(path, (json.dumps(facts) + "\n").encode())
            return history

    attempts = round(_LOCK_WAIT / _LOCK_PAUSE)
    return retrying(update, on=MarketBusy, pause=constant(_LOCK_PAUSE), attempts=attempts)


def _blend(before: Rate | None, games_per_s: float, now: float) -> Rate:
    """A plain mean at first, then one in which an observation counts half after HALF_LIFE."""
    if before is None:
        return Rate(games_per_s=games_per_s, seen=1, at=now)
    forgotten = 1 - 0.5 ** (max(0.0, now - before.at) / HALF_LIFE)
    weight = max(forgotten, 1 / (before.seen + 1))
    mean = before.games_per_s + weight * (games_per_s - before.games_per_s)
    return Rate(games_per_s=mean, seen=before.seen + 1, at=now)
