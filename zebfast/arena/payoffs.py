"""What a finished hand pays its two sides: as points, as a win, or by a contract.

Amounts are of the side of seats 0 and 2; the other side has as much with the other sign, and
partners have the same. All functions take whole numbers or int64 arrays alike.
"""

from __future__ import annotations

from operator import index
from typing import Any

from zebfast.arena.pairs import HIGHEST_BID, LOWEST_BID
from zebfast.rules import TOTAL_POINTS

#: What may count: the lead in points, 1 for more than 21 points and -1 for fewer, 1 or -1 for the
#: side that leads first with at least the bid, or with less.
PAYOFFS = ("points", "win", "contract")


def check_payoff(kind: str, bid: int) -> None:
    """Raises ValueError for a kind that there is not or a bid outside of 30..42, TypeError for one
    that is no whole number."""
    if kind not in PAYOFFS:
        raise ValueError(f"rewards={kind!r}: expected one of {', '.join(PAYOFFS)}")
    if not LOWEST_BID <= index(bid) <= HIGHEST_BID:
        raise ValueError(f"bid={bid}: bids run from {LOWEST_BID} to {HIGHEST_BID}")


def most(kind: str) -> int:
    """The largest amount that a hand can pay."""
    return TOTAL_POINTS if kind == "points" else 1


def payoff(kind: str, bid: int, *, points: Any, others: Any, leader: Any) -> Any:
    """What a hand pays the side of seats 0 and 2.

    points, others: taken by that side and by the other one. leader: seat that led first.
    """
    lead = points - others
    if kind == "points":
        return lead
    if kind == "win":
        return 1 * (lead > 0) - 1 * (lead < 0)
    side = leader % 2
    made = points - side * lead >= bid
    return (2 * made - 1) * (1 - 2 * side)
