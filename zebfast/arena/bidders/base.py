"""What a match needs of a bidder."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import Auctions, lowest_bid, may_pass


class Bidder(Protocol):
    """Calls and declares for many seats at once. A bidder keeps no state between calls, and what it
    says of a seat depends on nothing but what `Auctions` has of that seat.
    """

    @property
    def name(self) -> str:
        """What results are labelled with."""

    def call(self, auctions: Auctions) -> NDArray[np.uint8]:
        """One legal call for each seat, by place: u1[k]."""

    def declare(self, auctions: Auctions) -> NDArray[np.uint8]:
        """One legal declaration for each seat: ids u1[k]."""


def lowest_if(auctions: Auctions, wanted: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The lowest bid where it is wanted bool[k] or no pass is allowed, else a pass: u1[k]."""
    bids = lowest_bid(auctions.legal)
    return np.where(wanted | ~may_pass(auctions.legal), bids, 0).astype(np.uint8)
