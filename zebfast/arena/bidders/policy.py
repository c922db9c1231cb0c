"""The bidder by a user's policy: what it is shown of an auction, and what its answers mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import NO_SEAT, NOT_MADE, Auctions, lowest_bid, may_pass
from zebfast.arena.bidders.rule import RuleBidder
from zebfast.arena.pairs import PlayRng
from zebfast.arena.policies.asking import Asked, random_numbers
from zebfast.arena.policies.policy import UnusableAnswer, renumbered
from zebfast.core.masks import lowest_bits
from zebfast.core.records import VIEW_DTYPE
from zebfast.rules import CALLS, N_DECLARATIONS, N_SEATS, PHASES, Declaration, call_name

_CALLS = np.array(CALLS, np.int32)
#: Indices of random numbers, on to which the place in the auction is added: plays have 0 to 27.
_DRAWS = {"bid": 32, "declare": 36}
_NO_BIT = 31  # which is never legal


@dataclass(frozen=True, eq=False)
class PolicyBidder:
    """Calls and declares by a policy; by rule where it has no function for that.

    The random number of an answer comes from the seed's stream EVAL_PLAY, with the hand as the
    game's number: the same hand in the same place draws the same.
    """

    name: str
    asked: Asked
    seed: int = 0

    def call(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder. Raises PolicyError for a call that is not legal."""
        if "bid" not in self.asked:
            return RuleBidder(self.name).call(auctions)
        answers = self._ask("bid", auctions)
        places = np.searchsorted(_CALLS, answers).clip(max=len(_CALLS) - 1)
        bits = np.where(_CALLS[places] == answers, places, _NO_BIT)
        lowest = np.where(may_pass(auctions.legal), 0, lowest_bid(auctions.legal))
        return self._legal("bid", auctions, answers, bits, lowest)

    def declare(self, auctions: Auctions) -> NDArray[np.uint8]:
        """See Bidder. Raises PolicyError for a declaration that is not legal."""
        if "declare" not in self.asked:
            return RuleBidder(self.name).declare(auctions)
        answers = self._ask("declare", auctions)
        bits = np.where((answers >= 0) & (answers < N_DECLARATIONS), answers, _NO_BIT)
        return self._legal("declare", auctions, answers, bits, lowest_bits(auctions.legal))

    def _ask(self, kind: str, auctions: Auctions) -> NDArray[np.int32]:
        records = views_of_auctions(auctions, kind)
        return self.asked.answers(kind, records, self._randoms(kind, auctions))

    def _randoms(self, kind: str, auctions: Auctions) -> NDArray[np.int64]:
        plies = (_DRAWS[kind] + auctions.position).astype(np.uint8)
        return random_numbers(PlayRng(self.seed, auctions.hand.astype(np.uint64), plies))

    def _legal(
        self, kind: str, auctions: Auctions, answers: NDArray[np.int32], bits: NDArray[np.intp],
        lowest: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:  # fmt: skip
        """Bits of the answers; those that are not legal are replaced by the lowest, or told of."""
        is_legal = auctions.legal >> bits.astype(np.uint32) & np.uint32(1) == 1
        if not is_legal.all():
            if self.asked.options.illegal != "replace":
                first = np.flatnonzero(~is_legal)[:1]
                with renumbered(first):
                    raise self._unusable(kind, auctions.take(first), int(answers[first[0]]))
            self.asked.replaced += int((~is_legal).sum())
        return np.where(is_legal, bits, lowest).astype(np.uint8)

    def _unusable(self, kind: str, one: Auctions, answer: int) -> UnusableAnswer:
        [record] = views_of_auctions(one, kind)
        random = int(self._randoms(kind, one)[0])
        what = self.asked.said(kind, answer, record, random, _name_of(kind, answer))
        bits = [bit for bit in range(_NO_BIT) if int(one.legal[0]) >> bit & 1]
        legal = [_name_of(kind, CALLS[bit] if kind == "bid" else bit) for bit in bits]
        where = f"an auction at {one.marks[0, 0]} marks to {one.marks[0, 1]}"
        return UnusableAnswer.of(f"{self.asked.label} ({kind})", what, where, ", ".join(legal))


def _name_of(kind: str, answer: int) -> str:
    if kind == "bid":
        return call_name(answer) if answer in CALLS else f"{answer}, which is no call,"
    known = 0 <= answer < N_DECLARATIONS
    return Declaration(answer).label if known else f"{answer}, which is no declaration,"


def views_of_auctions(auctions: Auctions, kind: str) -> np.ndarray:
    """What seats that are to call or to declare are shown, VIEW_DTYPE [k]."""
    found = np.zeros(len(auctions), VIEW_DTYPE)
    found["phase"] = PHASES.index("call" if kind == "bid" else "declare")
    found["legal"], found["hand"], found["dealt"] = auctions.legal, auctions.hand, auctions.hand
    for name in ("decl", "suit", "table", "best", "plays"):
        found[name] = -1
    made = auctions.calls != NOT_MADE
    found["calls"] = np.where(made, _CALLS[np.where(made, auctions.calls, 0)], -1)
    found["bid"] = _CALLS[auctions.bid]
    found["bidder"] = np.where(auctions.bidder == NO_SEAT, -1, auctions.bidder.astype(np.int32))
    found["shaker"] = N_SEATS - 1 - auctions.position.astype(np.int32)
    found["marks"], found["target"] = auctions.marks, auctions.target
    return found
