"""Hands of whole games up to their first play: what was called, who declares, and what.

A network prices a call by what it thinks of the first play: the chance that the caller makes this
contract with the best of its declarations. A seat makes the lowest legal call if its price comes to
its threshold, and else passes. Thresholds differ between seats and games, some calls are higher
than they need be, and some are drawn from all that are legal, so that contracts of every kind are
played with hands of every kind: who learns from such games has seen what may come at the table.

Other hands have a contract without an auction, high ones more often than anybody bids them: what 36
and more are worth is learned from play that aims at them. The rest, and hands in which all pass,
have none; they are dealt and played for points as they always were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.masks import count_dominoes
from zebfast.core.records import GAME_DTYPE, OBS_DTYPE
from zebfast.rules import LEAST_BID, MARK, N_SEATS, PASSED, Declaration, RuleSet, Stream
from zebfast.system.settings import SettingError, check, setting

#: Value of observations OBS_DTYPE [n] for the observer's side, float32 [n].
Values = Callable[[NDArray[np.void]], NDArray[np.float32]]

MOST_OPENING, HIGHEST_BID = 43, 46  # two marks and five, of straight 42
MOST_MARKS = 6  # of a side in a game that goes on
_MOST_DECIDED = 12  # hands of such a game
_LEAST_LENGTH = 2  # dominoes of a suit that anybody calls
_CALLED = RuleSet().straight_declarations()
#: Declaration -> mask of the dominoes that it makes trumps; none for no trump.
_TRUMPS = np.array(
    [
        sum(1 << d for d in range(rules.N_DOMINOES) if rules.in_called_suit(d, decl))
        for decl in _CALLED
    ],
    np.uint32,
)

# Draws of a game's stream.
_KIND, _SHAKER, _DECIDED, _WINNERS, _BID, _DECL, _KNOWN, _STYLE = range(8)
_THRESHOLD = 8  # and one for each seat
_TURN = 16  # and three for each turn


@dataclass(frozen=True, kw_only=True)
class AuctionOptions:
    """What hands are begun with; together with (seed, weights) it decides every auction.

    Attributes:
        auction_share, contract_share: of all hands; the others are played for points.
        overbid: of the calls that a seat makes, the share that is drawn from all that are legal and
            that its price allows.
        wild: of all calls, passes included, the share that is drawn from all that are legal.
    """

    auction_share: float = setting(
        0.5, "Share of hands that begin with an auction.", least=0, most=1
    )
    contract_share: float = setting(
        0.25, "Share of hands that have a drawn contract and no auction.", least=0, most=1
    )
    least_threshold: float = setting(
        0.35, "Lowest chance of a contract that a seat may ask for.", least=0, most=1
    )
    most_threshold: float = setting(
        0.7, "Highest chance of a contract that a seat may ask for.", least=0, most=1
    )
    overbid: float = setting(
        0.15, "Share of calls that aim higher than they need.", least=0, most=1
    )
    wild: float = setting(0.04, "Share of random calls.", least=0, most=1)

    def __post_init__(self) -> None:
        check(self)
        if self.auction_share + self.contract_share > 1:
            raise SettingError(
                f"auction_share is {self.auction_share} and contract_share {self.contract_share}: "
                "expected at most 1 together"
            )
        if self.least_threshold > self.most_threshold:
            raise SettingError(
                f"least_threshold is {self.least_threshold}: expected at most most_threshold, "
                f"{self.most_threshold}"
            )


class Auctions:
    """Beginnings of games first, first + stride, ... of a seed; each hangs on its number alone.

    Args:
        values: of a network; asked for some thousand observations at a time.
        seed: hands come from stream 0 of it, as do declaration and leader of those without an
            auction; all else from stream 13.
    """

    def __init__(
        self, values: Values, *, options: AuctionOptions, seed: int, first_game: int, stride: int
    ) -> None:
        self._values, self._options = values, options
        self._seed, self._first, self._stride = seed, first_game, stride

    def starts(self, first: int, n: int) -> NDArray[np.void]:
        """GAME_DTYPE [n]: the games first, first + 1, ... of the sequence, with nothing played."""
        begin = self._first + first * self._stride
        deals = GameBatch.deal(n * self._stride, seed=self._seed, first_game=begin)
        if self._stride > 1:
            deals = deals.take(np.arange(0, n * self._stride, self._stride))
        draws = _Draws(
            self._seed, np.uint64(begin) + np.arange(n, dtype=np.uint64) * np.uint64(self._stride)
        )
        games = np.zeros(n, GAME_DTYPE)
        games["hands"], games["decl"], games["leader"] = deals.hands, deals.decl, deals.leader
        kind, options = draws.unit(_KIND), self._options
        bid_for = np.flatnonzero(kind < options.auction_share)
        drawn = np.flatnonzero(
            (kind >= options.auction_share)
            & (kind < options.auction_share + options.contract_share)
        )
        contract = games["contract"]
        contract["shaker"] = draws.below(_SHAKER, N_SEATS)
        contract["marks"] = _marks(draws)
        self._auction(games, bid_for, deals.held, draws)
        self._draw_contracts(games, drawn, deals.held, draws)
        games["contract"][games["contract"]["bid"] == 0] = 0
        return games

    def _auction(
        self,
        games: NDArray[np.void],
        rows: NDArray[np.intp],
        held: NDArray[np.uint32],
        draws: _Draws,
    ) -> None:
        """Call and declare in these games; those in which all pass stay as they are."""
        contract, n = games["contract"][rows], len(rows)
        decl = np.zeros(n, np.uint8)
        own = draws.take(rows)
        for turn in range(N_SEATS):
            seat = ((contract["shaker"] + 1 + turn) & 3).astype(np.uint8)
            call, best = self._turn(contract, seat, held[rows, seat], own, turn)
            bids = call > PASSED
            contract["calls"][np.arange(n), seat] = call
            contract["bid"][bids], contract["bidder"][bids] = call[bids], seat[bids]
            decl[bids] = best[bids]
        stands = contract["bid"] > 0
        _forget_calls(contract, own.unit(_KNOWN))
        at = rows[stands]
        games["contract"][rows] = contract
        games["decl"][at], games["leader"][at] = decl[stands], contract["bidder"][stands]

    def _turn(
        self,
        contract: NDArray[np.void],
        seat: NDArray[np.uint8],
        hands: NDArray[np.uint32],
        draws: _Draws,
        turn: int,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """What these seats call, and declare if it stands."""
        options, standing = self._options, contract["bid"].astype(np.int64)
        span = options.most_threshold - options.least_threshold
        least = np.maximum(LEAST_BID, standing + 1)
        most = np.maximum(np.where(standing < MARK, MOST_OPENING, standing + 1), least)
        threshold = options.least_threshold + span * draws.unit(_THRESHOLD + seat)
        kind, which = draws.unit(_TURN + 3 * turn), draws.unit(_TURN + 3 * turn + 1)
        aim = np.where(
            kind < options.overbid, least + (which * (most - least + 1)).astype(np.int64), least
        )
        price, decl = best_declarations(self._values, contract, seat, hands, aim)
        low = np.flatnonzero((price < threshold) & (aim > least))
        aim[low] = least[low]
        price[low], decl[low] = best_declarations(
            self._values, contract[low], seat[low], hands[low], aim[low]
        )
        call = np.where(price >= threshold, aim, PASSED)
        wild = kind >= 1 - options.wild
        pick = (which * (most - least + 2)).astype(np.int64)  # one more: a pass
        call = np.where(wild, np.where(pick == 0, PASSED, least + pick - 1), call)
        call = np.where(call > HIGHEST_BID, PASSED, call)
        return call.astype(np.uint8), decl

    def _draw_contracts(
        self,
        games: NDArray[np.void],
        rows: NDArray[np.intp],
        held: NDArray[np.uint32],
        draws: _Draws,
    ) -> None:
        """Contracts for these games: half of them as dealt, half for whoever has the best price."""
        own, contract = draws.take(rows), games["contract"][rows]
        bid = _drawn_bids(own)
        bidder, decl = games["leader"][rows], games["decl"][rows]
        best = np.flatnonzero(own.unit(_DECL) < 0.5)
        seats = np.tile(np.arange(N_SEATS, dtype=np.uint8), len(best))
        asked = np.repeat(best, N_SEATS)
        hands = held[rows[asked], seats]
        price, named = best_declarations(self._values, contract[asked], seats, hands, bid[asked])
        choice = price.reshape(-1, N_SEATS).argmax(1)
        bidder[best] = choice
        decl[best] = named.reshape(-1, N_SEATS)[np.arange(len(best)), choice]
        contract["bid"], contract["bidder"] = bid, bidder
        told = own.unit(_KNOWN) < 0.5
        contract["calls"][np.flatnonzero(told), bidder[told]] = bid[told]
        games["contract"][rows], games["leader"][rows], games["decl"][rows] = contract, bidder, decl


def best_declarations(
    values: Values,
    contract: NDArray[np.void],
    seat: NDArray[np.uint8],
    hands: NDArray[np.uint32],
    bid: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Chance [n] of each seat's contract with the best declaration, and which that is, u1 [n].

    Suits of one domino are not looked at.

    Args:
        contract: CONTRACT_DTYPE [n] of the table as it stands; its bid and bidder do not count.
        hands: masks of the seats' seven dominoes.
        bid: what each would declare at.
    """
    named = np.array(_CALLED, np.uint8)
    worth = (_lengths(hands) >= _LEAST_LENGTH) | (named == Declaration.NO_TRUMP)
    row, option = np.nonzero(worth)
    obs = _first_plays(contract, seat, hands, bid)[row]
    obs["decl"] = named[option]
    price = np.full(worth.shape, -1.0)
    price[row, option] = (1.0 + values(obs)) / 2.0
    best = price.argmax(1)
    return price[np.arange(len(best)), best], named[best]


def _drawn_bids(draws: _Draws) -> NDArray[np.int64]:
    """Half of them any from 30 to one mark, a quarter from 36 to 41, a quarter one mark or two."""
    kind, which = draws.unit(_BID), draws.unit(_STYLE)
    bid = np.where(kind < 0.75, 36 + which * 6, MARK + which * 1.25)
    return np.where(kind < 0.5, LEAST_BID + which * 13, bid).astype(np.int64)


class _Draws:
    """Numbers of the stream of auctions, for many games at once."""

    def __init__(self, seed: int, numbers: NDArray[np.uint64]) -> None:
        self._key = cast(Any, rules.stream_key(seed, Stream.AUCTION, cast(Any, numbers)))

    def take(self, rows: NDArray[np.intp]) -> _Draws:
        """Those of some of the games."""
        own = object.__new__(_Draws)
        own._key = self._key[rows]
        return own

    def unit(self, index: int | NDArray[Any]) -> NDArray[np.float64]:
        """In [0, 1), 53 bits."""
        at = cast(Any, np.atleast_1d(np.asarray(index, np.uint64)))  # a lone number would warn
        drawn = cast(NDArray[np.uint64], cast(Any, rules.bits(self._key, at)))
        return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def below(self, index: int, n: int) -> NDArray[np.int64]:
        """In 0..n-1."""
        return (self.unit(index) * n).astype(np.int64)


def _marks(draws: _Draws) -> NDArray[np.uint8]:
    """Marks of a game that goes on: 0 to 12 hands of a mark each, won by either side alike."""
    decided = draws.below(_DECIDED, _MOST_DECIDED + 1)
    won = draws.below(_WINNERS, 1 << _MOST_DECIDED) & ((1 << decided) - 1)
    first = count_dominoes(won.astype(np.uint32))
    one, other = np.minimum(first, MOST_MARKS), np.minimum(decided - first, MOST_MARKS)
    return np.asarray(one | other << 4).astype(np.uint8)


def _forget_calls(contract: NDArray[np.void], draw: NDArray[np.float64]) -> None:
    """Leave out calls of some games: all, or those behind the bidder's, as at a table mid-auction.

    A bidder that prices its call knows no later ones, and hands without an auction no calls: both
    are asked of the network, which must have learned what the bare contract says.
    """
    turn = (np.arange(N_SEATS) - contract["shaker"][:, None] - 1) & 3
    behind = turn > ((contract["bidder"] - contract["shaker"] - 1) & 3)[:, None]
    left_out = (draw < 0.1)[:, None] | (behind & (draw < 0.35)[:, None])
    contract["calls"] = np.where(left_out, 0, contract["calls"])


def _lengths(hands: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Dominoes of each declaration's trumps in hands u4[n]: [n, 9]."""
    return count_dominoes(hands[:, None] & _TRUMPS)


def _first_plays(
    contract: NDArray[np.void],
    seat: NDArray[np.uint8],
    hands: NDArray[np.uint32],
    bid: NDArray[np.int64],
) -> NDArray[np.void]:
    """What each seat would see if its bid stood: OBS_DTYPE [n], all but the declaration."""
    obs = np.zeros(len(contract), OBS_DTYPE)
    obs["hand"], obs["legal"], obs["in_hand"] = hands, 127, 127
    own, marks = obs["contract"], contract["marks"]
    own["bid"], own["shaker"] = bid, (contract["shaker"] - seat) & 3
    own["marks"] = np.where(seat & 1, marks >> 4 | (marks & 15) << 4, marks)
    at = (seat[:, None] + np.arange(N_SEATS)) & 3
    own["calls"] = np.take_along_axis(contract["calls"], at, 1)
    own["calls"][:, 0] = bid
    return obs
