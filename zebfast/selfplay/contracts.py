"""Which contracts the records of hands can hold: what is checked of a file from elsewhere.

Houses differ in what may be called over what, so only that is refused which no rule set allows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from zebfast.rules import LEAST_BID, MARK, MOST_BID, N_SEATS, PASSED

_PARTNER_LEADS = 43  # two marks: the least that a splash may be bid with


def check_contracts(games: NDArray[np.void]) -> None:
    """ValueError that names game and rule where a contract of GAME_DTYPE [G] cannot be."""
    for ok, rule in _rules(games):
        if not ok.all():
            raise ValueError(f"game {int(np.argmin(ok))} {rule}")


def _rules(games: NDArray[np.void]) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Whether each game keeps a rule, bool [G], and what is said of one that does not."""
    contract = games["contract"]
    bid, bidder, shaker = (contract[name].astype(np.int64) for name in ("bid", "bidder", "shaker"))
    calls = contract["calls"].astype(np.int64)
    stands = bid > 0
    raw = np.ascontiguousarray(contract).view(np.uint8).reshape(len(games), -1)
    yield (
        stands | ~np.asarray(raw.any(axis=1)),
        "has an auction and no bid; a hand for points has neither",
    )
    yield (
        ~stands | ((bid >= LEAST_BID) & (bid <= MOST_BID)),
        f"has a bid that cannot be: {LEAST_BID} to 41 points, or {MARK} to {MOST_BID} for one "
        "to seven marks",
    )
    yield (bidder < N_SEATS) & (shaker < N_SEATS), "has a bidder or shaker that is no seat 0 to 3"
    led = (games["leader"].astype(np.int64) - bidder) % N_SEATS
    yield (
        ~stands | (led == 0) | ((led == 2) & (bid >= _PARTNER_LEADS)),
        "is not led by the bidder, nor by its partner after a plunge or splash",
    )
    known = (calls <= PASSED) | ((calls >= LEAST_BID) & (calls <= MOST_BID))
    yield np.asarray(known.all(axis=1)), "has a call that is no pass and no bid"
    own = np.take_along_axis(calls, bidder[:, None] % N_SEATS, 1)[:, 0]
    yield (own == 0) | (own == bid), "has a bidder that called something else than the bid"
    # In order of speech, from the shaker's left; the bid itself stands where it was made.
    order = (shaker[:, None] + 1 + np.arange(N_SEATS)) % N_SEATS
    turn = ((bidder - shaker - 1) % N_SEATS)[:, None]
    said = np.take_along_axis(calls, order, 1)
    said = np.where((np.arange(N_SEATS) == turn) & stands[:, None], bid[:, None], said)
    highest = np.maximum.accumulate(np.pad(said, ((0, 0), (1, 0))), axis=1)[:, :-1]
    rises = np.asarray(((said <= PASSED) | (said > highest)).all(axis=1))
    stands_last = np.asarray(said.max(axis=1) <= np.maximum(bid, PASSED))
    words = "has a bid that is not over those before it, or over the one that stands"
    yield rises & stands_last, words
