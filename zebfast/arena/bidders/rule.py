"""A bidder by rule: it counts the dominoes of a hand that may lose a trick, and knows no prices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import Auctions, declared, lowest_bid, may_pass
from zebfast.core.masks import domino_bits
from zebfast.rules import (
    CALLED_SUIT,
    CALLS,
    DOMINOES,
    HAND_SIZE,
    MARK,
    N_DECLARATIONS,
    N_DOMINOES,
    Declaration,
    in_called_suit,
    rank,
)

#: The highest bid with no loser, one, two and three; with more it passes.
CEILINGS = tuple(CALLS.index(call) for call in (2 * MARK, MARK, 34, 31))
_SUITS = range(Declaration.DOUBLES + 1)  # pips, and doubles as trumps
_DOUBLES = [domino for domino, (high, low) in enumerate(DOMINOES) if high == low]
_LONG = 4  # trumps that, with the highest among them, all win


@dataclass(frozen=True, eq=False)
class RuleBidder:
    """The lowest legal bid up to a ceiling that losers give it, or with `jump` the ceiling at once.

    Losers are counted with the best of the pip suits and doubles; see `losers`.
    """

    name: str
    jump: bool = False

    def call(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder."""
        fewest = losers(auctions.hand).min(axis=1)
        ceilings = np.array([*CEILINGS, *[0] * HAND_SIZE], np.uint8)[fewest]
        bids = lowest_bid(auctions.legal)
        wanted = (bids > 0) & (bids <= ceilings) | ~may_pass(auctions.legal)
        there = (auctions.legal >> ceilings) & np.uint32(1)
        high = np.where((ceilings > bids) & (there == 1), ceilings, bids) if self.jump else bids
        return np.where(wanted, high, 0).astype(np.uint8)

    def declare(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder: the fewest losers, then the most trumps, then the lowest."""
        score = np.full((len(auctions), N_DECLARATIONS), -HAND_SIZE * 100.0)
        own = domino_bits(auctions.hand)
        trumps = np.stack([own[:, list(_suit(decl))].sum(axis=1) for decl in _SUITS], axis=1)
        score[:, list(_SUITS)] = trumps - (HAND_SIZE + 1.0) * losers(auctions.hand)
        return declared(auctions.legal, score)


@cache
def _suit(decl: int) -> tuple[int, ...]:
    """The trumps, the highest first."""
    suit = [domino for domino in range(N_DOMINOES) if in_called_suit(domino, decl)]
    return tuple(sorted(suit, key=lambda domino: -rank(domino, CALLED_SUIT, decl)))


def losers(hands: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Dominoes that may lose a trick, int64[k, 8] by declaration: all but trumps that win or
    outlast, and doubles beside them.

    Of trumps the highest ones in unbroken order win; with four or more and the highest, all do.
    """
    own = domino_bits(hands)
    found = np.empty((len(hands), len(_SUITS)), np.int64)
    for decl in _SUITS:
        trumps = own[:, list(_suit(decl))]
        top = np.logical_and.accumulate(trumps, axis=1).sum(axis=1)
        number = trumps.sum(axis=1)
        winners = np.where((top > 0) & (number >= _LONG), number, top)
        beside = [domino for domino in _DOUBLES if domino not in _suit(decl)]
        found[:, decl] = HAND_SIZE - winners - own[:, beside].sum(axis=1)
    return found
