"""What every provider of machines must do; the rest of the fleet knows only this.

An adapter does the calls and nothing else: no decisions, no memory. It maps every fault to one of
the errors below, in one sentence that holds no secret.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from zebfast.fleet.model import MOST_DOLLARS, Launch, Machine, Offer, Spec
from zebfast.system.parse import is_moment
from zebfast.system.settings import SettingError


class ProviderError(RuntimeError):
    """One sentence: what the provider refused, and what to do."""


class WrongSettings(ProviderError):
    """What was asked for can never be had, whatever the market: the settings must change."""


class Unreachable(ProviderError):
    """No answer, or one that says that a later try may succeed. What was asked may have been done.

    ``retry_after``: seconds that the provider asked for, where it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OfferGone(ProviderError):
    """Somebody else has rented it, or it is no longer offered: take another."""


class NoCredit(ProviderError):
    """The account cannot pay for another machine."""


class SearchQuota(ProviderError):
    """No more searches before ``until`` (unix seconds)."""

    def __init__(self, message: str, *, until: float) -> None:
        super().__init__(message)
        self.until = until


def number(value: Any) -> float | None:
    """A number of an answer, as JSON or as text; None where it is none, or not finite."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def price(value: Any) -> float | None:
    """Dollars an hour of a machine that is there; None where it cannot be a price.

    One beyond all prices stays above every cap, and can still be counted.
    """
    found = number(value)
    return None if found is None or found < 0 else min(found, float(MOST_DOLLARS))


def moment(value: Any) -> float | None:
    """A time of an answer, unix seconds; None where it cannot be one."""
    found = number(value)
    return found if is_moment(found) else None


def offer_of(**facts: Any) -> Offer | None:
    """An offer with these facts; None where it would cost nothing, or one of them cannot be."""
    try:
        return Offer(**facts) if facts["price_per_hour"] else None
    except SettingError:
        return None


class Lister(Protocol):
    """One place where a fleet has machines. Every method raises ProviderError and its kinds."""

    @property
    def name(self) -> str:
        """``vast``, ``runpod``, ``local`` or ``slurm``."""

    def offers(self, spec: Spec) -> list[Offer]:
        """What can be rented now and may be worth a look, cheapest first: types, price cap and
        what else the provider can filter by ``spec`` already applied, the rest is done by the
        market. One call of this is one search of the provider's quota."""

    def machines(self, fleet: str) -> list[Machine]:
        """All machines whose label is of ``fleet``, in any state, from all pages."""

    def logs(self, machine_id: str, *, lines: int) -> str:
        """The last lines that the machine printed; empty while there are none."""

    def credit(self) -> float | None:
        """Dollars left in the account; None where nothing is paid for."""


class Provider(Lister, Protocol):
    """One place where machines are rented, one by one."""

    def create(self, offer: Offer, launch: Launch) -> str:
        """Rent ``offer`` under ``launch.label``; the id of the machine.

        Never repeated by the adapter: after Unreachable the machine may exist, and a look at the
        list by label is the only way to know.

        Raises:
            OfferGone, NoCredit, Unreachable, ProviderError.
        """

    def destroy(self, machine_id: str) -> None:
        """End the rental for good; a machine that has gone already is fine."""


@runtime_checkable
class Cluster(Lister, Protocol):
    """One place where machines are tasks that a scheduler places, many in one request."""

    @property
    def most(self) -> int:
        """Tasks of one array at most."""

    def check(self, launch: Launch) -> None:
        """Would the scheduler take this? Nothing is submitted.

        Raises:
            WrongSettings: it never would. Unreachable, ProviderError.
        """

    def create_array(self, launch: Launch, n: int) -> list[str]:
        """Submit ``n`` tasks, labelled as ``array_labels(launch.label, n)`` has it; their ids.

        As ``Provider.create``: after Unreachable they may exist.
        """

    def destroy_all(self, ids: Sequence[str]) -> None:
        """End these tasks for good; those that are over already are fine."""


AnyProvider = Provider | Cluster
