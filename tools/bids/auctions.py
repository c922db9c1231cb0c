"""Auctions of many deals at once between two sides of different style, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bids.deals import Deals
from zebfast.arena.bidders.auctions import NO_SEAT, NOT_MADE, ONE_MARK, Auctions, price_of
from zebfast.arena.bidders.rule import CEILINGS
from zebfast.arena.bidders.worth import AWARDS, N_CALLS, of_auction
from zebfast.rules import HAND_SIZE, N_SEATS

Calls = NDArray[np.uint8]
_AWARDS = torch.tensor(AWARDS, dtype=torch.float32)


@dataclass(frozen=True, eq=False)
class Table:
    """Auctions under way: calls u1[n, 4] by position, the standing bids u1[n] and whose, u1[n]."""

    deals: Deals
    calls: Calls
    bid: Calls
    bidder: Calls

    @classmethod
    def begin(cls, deals: Deals) -> Table:
        """Nobody has called."""
        n = len(deals)
        calls = np.full((n, N_SEATS), NOT_MADE, np.uint8)
        return cls(deals, calls, np.zeros(n, np.uint8), np.full(n, NO_SEAT, np.uint8))

    def take(self, rows: NDArray[np.intp]) -> Table:
        """Copies of some of them."""
        return Table(self.deals.take(rows), self.calls[rows], self.bid[rows], self.bidder[rows])

    def call(self, position: int, places: Calls) -> None:
        """What the position calls in all of them."""
        self.calls[:, position] = places
        bids = places > 0
        self.bid[bids] = places[bids]
        self.bidder[bids] = position

    def seats(self, position: int) -> Auctions:
        """What the position knows; the hand is left to `Deals.inputs`."""
        n = len(self.deals)
        whose = (self.bidder - position) % N_SEATS
        return Auctions(
            hand=np.zeros(n, np.uint32), legal=np.zeros(n, np.uint32),
            position=np.full(n, position, np.uint8), calls=np.roll(self.calls, -position, axis=1),
            bid=self.bid, bidder=np.where(self.bidder < N_SEATS, whose, NO_SEAT).astype(np.uint8),
            marks=np.zeros((n, 2), np.int32), target=np.full(n, 7, np.int32),
        )  # fmt: skip

    def inputs(self, position: int) -> torch.Tensor:
        """What the networks see of the position, f4[n, N_INPUTS]."""
        auction = of_auction(self.seats(position)).astype(np.float32)
        return torch.from_numpy(np.hstack([self.deals.inputs[:, position], auction]))

    def legal(self) -> NDArray[np.bool_]:
        """Which of the calls may be made now, bool[n, N_CALLS]."""
        found: NDArray[np.bool_] = np.arange(N_CALLS) > self.bid[:, None]
        found[:, 0] = True
        return found

    def awards(self) -> NDArray[np.int64]:
        """Marks int64[n] that the side of positions 0 and 2 gets, once all have called."""
        rows = np.arange(len(self.deals))
        seat = self.bidder.astype(np.intp) % N_SEATS
        made = self.deals.made[rows, seat, price_of(self.bid)]
        stake = np.where(self.bid > ONE_MARK, self.bid.astype(np.int64) - ONE_MARK + 1, 1)
        sign = np.where(made, 1, -1) * np.where(seat % 2, -1, 1)
        return np.where(self.bidder < N_SEATS, stake * sign, 0)


#: (table, position) -> places u1[n].
Style = Callable[[Table, int], Calls]


def _next(table: Table, wanted: NDArray[np.bool_]) -> Calls:
    return np.where(wanted & (table.bid < N_CALLS - 1), table.bid + 1, 0).astype(np.uint8)


def _price(table: Table, position: int) -> NDArray[np.float32]:
    """Of the lowest bid, f4[n]."""
    rows = np.arange(len(table.deals))
    found: NDArray[np.float32] = table.deals.best[rows, position, price_of(table.bid + np.uint8(1))]
    return found


def lowest(threshold: float, *, over_partner: bool = True) -> Style:
    """The lowest call with that chance; if told so, never over the partner's."""

    def style(table: Table, position: int) -> Calls:
        wanted = _price(table, position) >= threshold
        if not over_partner:
            wanted &= (table.bidder == NO_SEAT) | (table.bidder % 2 != position % 2)
        return _next(table, wanted)

    return style


def mistaken(threshold: float, spread: float, rng: np.random.Generator) -> Style:
    """As `lowest`, but wrong about its chances by so much of their log odds: it stands for prices
    by solved layouts with the threshold that suits them."""

    def style(table: Table, position: int) -> Calls:
        price = np.clip(_price(table, position), 1e-3, 1 - 1e-3)
        wrong = np.log(price / (1 - price)) + spread * rng.standard_normal(len(price))
        return _next(table, wrong >= np.log(threshold / (1 - threshold)))

    return style


def rule(*, jump: bool) -> Style:
    """By losers, as `RuleBidder`."""
    ceilings = np.array([*CEILINGS, *[0] * (HAND_SIZE + 1 - len(CEILINGS))], np.uint8)

    def style(table: Table, position: int) -> Calls:
        ceiling = ceilings[table.deals.fewest[:, position]]
        over = ceiling > table.bid
        return np.where(over, ceiling if jump else table.bid + 1, 0).astype(np.uint8)

    return style


def thirty(table: Table, position: int) -> Calls:
    """30 if nobody has bid."""
    del position
    return _next(table, table.bid == 0)


def by_worth(net: torch.nn.Module) -> Style:
    """The call with the most marks by a network."""

    def style(table: Table, position: int) -> Calls:
        with torch.no_grad():
            scores = net(table.inputs(position)).reshape(-1, N_CALLS, len(AWARDS))
            worth = (scores.softmax(2) @ _AWARDS).numpy()
        best: Calls = np.where(table.legal(), worth, -np.inf).argmax(1).astype(np.uint8)
        return best

    return style


def exploring(style: Style, share: float, rng: np.random.Generator) -> Style:
    """As the style, but in such a share of the calls a pass or one of the four lowest bids."""

    def explored(table: Table, position: int) -> Calls:
        n = len(table.deals)
        above = rng.integers(0, 5, n)
        other = np.where(above == 0, 0, table.bid + above)
        other = np.where(other < N_CALLS, other, 0)
        own = style(table, position)
        return np.where(rng.random(n) < share, other, own).astype(np.uint8)

    return explored


def finish(table: Table, own: Style, other: Style, *, side: int, first: int) -> None:
    """The calls from a position on; `own` is the style of positions of one side, 0 or 1."""
    for position in range(first, N_SEATS):
        style = own if position % 2 == side else other
        table.call(position, style(table, position))


def match(deals: Deals, own: Style, other: Style) -> tuple[float, float]:
    """Marks a hand of `own` against `other`, every deal both ways, and their standard error."""
    both = np.zeros(len(deals))
    for side in range(2):
        table = Table.begin(deals)
        finish(table, own, other, side=side, first=0)
        both += table.awards() * (1 - 2 * side) / 2
    return float(both.mean()), float(both.std() / np.sqrt(len(both)))
