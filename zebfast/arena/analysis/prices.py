"""What bids and declarations are worth to a seat: chances that were held against played hands.

They are those of the bidder that zebfast plays with (`arena.bidders.value`), which knows the hand
and what the auction said so far. Solved layouts promise far too much and never come here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zebfast.arena.bidders.auctions import N_PRICES, Auctions
from zebfast.arena.bidders.prices import PRICED, by_declaration
from zebfast.arena.bidders.specs import build_bidder, parse_bidder
from zebfast.arena.bidders.value import ValueBidder
from zebfast.arena.bidders.worth import inputs, log_odds
from zebfast.rules import (
    CALLS,
    LEAST_BID,
    TOTAL_POINTS,
    SeatView,
    contract_of,
)


@dataclass(frozen=True)
class CallPrice:
    """What one bid is worth: the chance that it is made, if it stands and is declared best."""

    call: int
    chance: float


class Prices:
    """Prices by a fitted bidder. Keeps nothing between calls."""

    def __init__(self, bidder: ValueBidder) -> None:
        self._bidder = bidder

    @classmethod
    def open(cls, source: str = "") -> Prices:
        """By a network's file, "" the shipped one. Raises PlayerLoadError, one sentence."""
        found = build_bidder(parse_bidder(f"value:source={source}" if source else "value"))
        assert isinstance(found, ValueBidder)
        return cls(found)

    def calls(self, view: SeatView) -> list[CallPrice]:
        """The legal bids of a seat that is to call, ascending; none for plunge and splash."""
        return [CallPrice(call, chance) for call, chance in self._bidder.chances(view).items()]

    def best_call(self, view: SeatView) -> int:
        """What the bidder would call. ValueError where only plunge and splash may be."""
        auctions = Auctions.of_view(view)
        if not auctions.legal[0]:
            raise ValueError("only house contracts may be called")
        return CALLS[int(self._bidder.call(auctions)[0])]

    def chance(self, view: SeatView, call: int) -> float | None:
        """That a bid of the seat is made, if it stands; None for a pass, plunge or splash."""
        if call not in CALLS[1:] or contract_of(call):
            return None
        return float(self._bidder.stated(Auctions.of_view(view))[0, _place(call)])

    def declarations(self, view: SeatView) -> list[tuple[int, float]]:
        """Legal straight declarations of a seat that is to declare, with the chance that each makes
        the bid; the likeliest first. Only that of the first was held against played hands."""
        auctions = Auctions.of_view(view)
        prices = self._bidder.prices.of(auctions.hand)
        moves = self._bidder.bids.price(inputs(auctions, prices))[0, _place(view.bid)]
        odds = log_odds(by_declaration(prices[:, :, _place(view.bid)])[0].clip(min=0.0)) + moves
        chances = 1.0 / (1.0 + np.exp(-odds))
        legal = [decl for decl in view.legal if decl in PRICED]
        return sorted(((decl, float(chances[decl])) for decl in legal), key=lambda one: -one[1])


def _place(bid: int) -> int:
    """The column of a bid among the prices of 30..42."""
    return min(N_PRICES - 1, min(bid, TOTAL_POINTS) - LEAST_BID)
