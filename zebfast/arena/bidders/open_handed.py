"""A yardstick: prices by layouts of the hidden dominoes that are solved with all hands open.

Such prices promise far more than is made (0.75 stated, 0.53 made at 30): every layout is played as
if everybody saw it. They rank declarations; with a threshold that makes up for the promise they
bid. Nobody is shown them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from zebfast import rules
from zebfast.arena.bidders.auctions import Auctions, declared, lowest_bid, points_of
from zebfast.arena.bidders.base import lowest_if
from zebfast.arena.bidders.rule import losers
from zebfast.core.masks import domino_bits
from zebfast.core.records import POSITION_DTYPE
from zebfast.core.solver_pool import SolverPool
from zebfast.rules import HAND_SIZE, N_DECLARATIONS, N_DOMINOES, N_SEATS, Declaration, Stream

N_CANDIDATES = 4  # declarations that are solved: those with the fewest losers, and no trump
_FIRST_SHARE = 4  # one in so many layouts chooses among them
_HIDDEN = N_DOMINOES - HAND_SIZE


@dataclass(frozen=True, eq=False)
class OpenHandedBidder:
    """The lowest legal call if it is made in at least `threshold` of the layouts.

    Layouts are drawn by (seed, hand): two seats with one hand see the same ones.
    """

    name: str
    pool: SolverPool
    threshold: float
    n_layouts: int
    seed: int

    def call(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder."""
        bids = lowest_bid(auctions.legal)
        price = np.zeros(len(auctions))
        some = np.flatnonzero(bids > 0)
        price[some] = self._priced(auctions.hand[some], points_of(bids[some]))[1]
        return lowest_if(auctions, (bids > 0) & (price >= self.threshold))

    def declare(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder: what makes the bid in most of the layouts."""
        best, _ = self._priced(auctions.hand, points_of(auctions.bid))
        score = np.zeros((len(auctions), N_DECLARATIONS))
        score[np.arange(len(auctions)), best] = 1.0
        return declared(auctions.legal, score)

    def _priced(
        self, hands: NDArray[np.uint32], points: NDArray[np.uint8]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The best declaration by a few layouts, intp[k], and the share of all that make it."""
        layouts = drawn_layouts(hands, self.n_layouts, seed=self.seed)
        few = max(1, self.n_layouts // _FIRST_SHARE)
        among = _candidates(hands)
        made = np.stack(
            [self._made(layouts[:, :few], among[:, i], points) for i in range(N_CANDIDATES)], 1
        )
        chosen = made.mean(axis=2).argmax(axis=1)
        best = np.take_along_axis(among, chosen[:, None], 1)[:, 0]
        rest = self._made(layouts[:, few:], best, points)
        first = np.take_along_axis(made, chosen[:, None, None], 1)[:, 0]
        return best, (first.sum(axis=1) + rest.sum(axis=1)) / self.n_layouts

    def _made(
        self, layouts: NDArray[np.uint32], decl: NDArray[np.intp], points: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        """Whether the leader, seat 0, takes so many points: bool[k, n] of layouts u4[k, n, 4]."""
        positions = np.zeros(layouts.shape[:2], POSITION_DTYPE)
        positions["hands"], positions["decl"] = layouts, decl[:, None]
        wanted = np.broadcast_to(points[:, None], positions.shape).ravel()
        return self.pool.at_least(positions.ravel(), wanted).reshape(positions.shape)


def _candidates(hands: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Declarations intp[k, N_CANDIDATES] that are worth a look."""
    order = losers(hands).argsort(axis=1, kind="stable")[:, : N_CANDIDATES - 1]
    return np.concatenate([order, np.full((len(hands), 1), int(Declaration.NO_TRUMP))], axis=1)


def drawn_layouts(hands: NDArray[np.uint32], n: int, *, seed: int) -> NDArray[np.uint32]:
    """Layouts u4[k, n, 4] of the hidden 21 dominoes, all equally likely; seat 0 has the hand."""
    key = rules.stream_key(seed, Stream.EVAL_WORLDS, cast(Any, hands.astype(np.uint64)))
    index = np.arange(n * _HIDDEN, dtype=np.uint64)
    draws = cast("NDArray[np.uint64]", rules.bits(cast(Any, key)[:, None], cast(Any, index)))
    order = draws.reshape(len(hands), n, _HIDDEN).argsort(axis=2)
    hidden = np.nonzero(~domino_bits(hands))[1].reshape(len(hands), 1, _HIDDEN)
    bits = np.uint32(1) << np.take_along_axis(hidden, order, 2).astype(np.uint32)
    others = bits.reshape(len(hands), n, N_SEATS - 1, HAND_SIZE).sum(axis=3, dtype=np.uint32)
    own = np.broadcast_to(hands[:, None, None], (len(hands), n, 1))
    return np.concatenate([own, others], axis=2)
