"""The bidder that zebfast plays with: the call with which the game is won most often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import N_PRICES, Auctions, lowest_bid
from zebfast.arena.bidders.lowest import best_declaration
from zebfast.arena.bidders.prices import Prices
from zebfast.arena.bidders.race import MOST_LACKING, chance_after
from zebfast.arena.bidders.worth import (
    AWARDS,
    N_CALLS,
    N_INPUTS,
    N_OF_HAND,
    SmallNet,
    chances,
    inputs,
    of_hand,
    stated,
)
from zebfast.net import checkpoint, shipped
from zebfast.rules import CALLS, SeatView


class BadBids(ValueError):
    """A file of bids that cannot be used; one sentence that names it."""


@dataclass(frozen=True, eq=False)
class Bids:
    """What was fitted: see `worth` and `race`; and where it came from."""

    worth: SmallNet
    price: SmallNet
    race: NDArray[np.float64]
    provenance: dict[str, Any]

    @classmethod
    def load(cls, path: Path = shipped.BIDS) -> Bids:
        """Read a file that tools/bids.py wrote. Raises BadBids."""
        try:
            tensors, facts = checkpoint.read_tensors(path)
            race = tensors.get("race")
            if race is None or race.shape != (MOST_LACKING, MOST_LACKING, 2):
                raise ValueError("its race table is missing or has another shape")
            if not ((race >= 0) & (race <= 1)).all():
                raise ValueError("its race table holds what is no chance")
            return cls(
                worth=SmallNet.of(tensors, "worth", n_out=N_CALLS * len(AWARDS)),
                price=SmallNet.of(tensors, "price", n_out=N_PRICES),
                race=race.astype(np.float64),
                provenance=facts.get("provenance", {}),
            )
        except FileNotFoundError:
            raise BadBids(f"the file of bids {path} does not exist") from None
        except OSError as problem:
            raise BadBids(f"cannot read the file of bids {path}: {problem.strerror}") from None
        except ValueError as problem:
            raise BadBids(f"cannot use the file of bids {path}: {problem}") from None


@dataclass(frozen=True, eq=False)
class ValueBidder:
    """Weighs every call by what the hand will bring, and that by the chance of the game."""

    name: str
    prices: Prices
    bids: Bids

    def call(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder."""
        places = np.arange(N_CALLS, dtype=np.uint32)
        legal = (auctions.legal[:, None] >> places) & np.uint32(1)
        best = np.where(legal.astype(np.bool_), self.worth(auctions), -np.inf).argmax(axis=1)
        none = ~legal.any(axis=1)  # only bids that it does not weigh
        return np.where(none, lowest_bid(auctions.legal), best).astype(np.uint8)

    def declare(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder: what most likely makes the bid."""
        return best_declaration(self.prices, auctions)

    def worth(self, auctions: Auctions) -> NDArray[np.float64]:
        """P(own side wins the game) after each of the first 15 calls, legal or not: f8[k, 15]."""
        x = inputs(auctions, self.prices.of(auctions.hand))
        after = chance_after(self.bids.race, auctions)
        found: NDArray[np.float64] = (chances(self.bids.worth(x)) * after[:, None]).sum(axis=2)
        return found

    def stated(self, auctions: Auctions) -> NDArray[np.float64]:
        """Chances f8[k, 13] that 30..42 points are made, if that bid stands: calibrated ones.

        Of a seat that called, too: as its chances were at its turn.
        """
        prices = self.prices.of(auctions.hand)
        return stated(prices, self.bids.price(inputs(auctions, prices)))

    def before_auction(self, hands: NDArray[np.uint32]) -> NDArray[np.float64]:
        """The same f8[k, 13] of hands u4[k] of which nothing else is known, not even the seat."""
        prices = self.prices.of(hands)
        x = np.zeros((len(hands), N_INPUTS))
        x[:, :N_OF_HAND] = of_hand(hands, prices)
        return stated(prices, self.bids.price(x))

    def chances(self, view: SeatView) -> dict[int, float]:
        """For people: the chance that each legal bid of the seat is made, if it stands."""
        table = self.stated(Auctions.of_view(view))[0]
        return {
            call: float(table[min(CALLS.index(call), N_PRICES) - 1])
            for call in view.legal
            if call in CALLS[1:]
        }
