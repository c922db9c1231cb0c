"""Bidders that make the lowest legal call, if they like their hand well enough or always."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import Auctions, declared, lowest_bid, price_of
from zebfast.arena.bidders.base import lowest_if
from zebfast.arena.bidders.prices import Prices, by_declaration


@dataclass(frozen=True, eq=False)
class LowestBidder:
    """The lowest legal call if the network makes it with at least `threshold`, whoever has bid."""

    name: str
    prices: Prices
    threshold: float

    def call(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder."""
        best = self.prices.of(auctions.hand).max(axis=1)
        bids = lowest_bid(auctions.legal)
        price = np.take_along_axis(best, price_of(bids)[:, None], 1)[:, 0]
        return lowest_if(auctions, (bids > 0) & (price >= self.threshold))

    def declare(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder: what most likely makes the bid."""
        return best_declaration(self.prices, auctions)


@dataclass(frozen=True, eq=False)
class ThirtyBidder:
    """30 if nobody has bid, whatever the hand."""

    name: str
    prices: Prices

    def call(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder."""
        return lowest_if(auctions, auctions.bid == 0)

    def declare(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder: what most likely makes the bid."""
        return best_declaration(self.prices, auctions)


def best_declaration(prices: Prices, auctions: Auctions) -> NDArray[np.uint8]:
    """The legal declarations that most likely make the standing bids, ids u1[k]."""
    of_bid = price_of(auctions.bid)[:, None, None]
    chance = np.take_along_axis(prices.of(auctions.hand), of_bid, 2)[..., 0]
    return declared(auctions.legal, by_declaration(chance))
