"""Whether bids are made as often as is said: contracts of real auctions, and hands without one.

Every hand is the first of a whole game: all four seats bid by one bidder, the hand is played by one
player, and what the declarer's bid was given at its turn is held against what came of it. The
expected error has ten bins of equal width, as `calibration`; it is above 0 by chance alone, and the
unbiased one takes that off: the sum over bins of what the square of a gap is above its variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strength.calibration import bin_of
from zebfast.arena.bidders.auctions import N_PRICES, Auctions, points_of, price_of
from zebfast.arena.bidders.prices import PRICED
from zebfast.arena.bidders.value import ValueBidder
from zebfast.arena.bidders.worth import before
from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.base import Player
from zebfast.arena.stats import Z_95
from zebfast.core.engine import GameBatch
from zebfast.core.whole_game import WholeGameBatch
from zebfast.rules import CALLS, N_PLIES, N_SEATS

AT_ONCE = 2048
BINS = 10
FEWEST = 2_000  # contracts of a cell that is shown
RESAMPLES = 200
_SEED = 42
_CALL, _DECLARE = 1, 2
_OTHERS = ("no opponent bid", "one opponent bid", "both opponents bid")


@dataclass(frozen=True, eq=False)
class Contracts:
    """Said f8[n] and made bool[n]; position u1[n] of the declarer, bid u1[n] in points, opponents
    u1[n] that had bid before it, and whether its partner had, bool[n]."""

    said: NDArray[np.float64]
    made: NDArray[np.bool_]
    position: NDArray[np.uint8]
    bid: NDArray[np.uint8]
    opponents: NDArray[np.uint8]
    partner: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: list[Contracts]) -> Contracts:
        """One after the other."""
        return cls(*(np.concatenate([getattr(p, n) for p in parts]) for n in vars(parts[0])))


def play_contracts(
    bidder: ValueBidder, player: Player, *, seed: int, first: int, n: int
) -> Contracts:
    """The first hands of whole games first..first+n-1 of the seed; thrown-in ones are left out."""
    games = WholeGameBatch(n, seed=seed, first_game=first)
    for _ in range(N_SEATS):
        rows = np.flatnonzero(games.phase == _CALL)
        games.act(bidder.call(Auctions.of_games(games, rows)), rows)
    rows = np.flatnonzero(games.phase == _DECLARE)
    auctions = Auctions.of_games(games, rows)
    said = np.take_along_axis(bidder.stated(auctions), price_of(auctions.bid)[:, None], 1)[:, 0]
    games.act(bidder.declare(auctions), rows)
    hands = games.hand_games(rows)
    declarer = games.bidder[rows]
    points = played_points(player, hands, seed=seed, numbers=(rows + first).astype(np.uint64))
    bid = points_of(auctions.bid)
    bids = {seat: before(auctions, seat) & (auctions.calls[:, seat] > 0) for seat in (1, 2, 3)}
    return Contracts(
        said=said,
        made=points[np.arange(len(rows)), declarer % 2] >= bid,
        position=auctions.position,
        bid=bid,
        opponents=bids[1].astype(np.uint8) + bids[3],
        partner=bids[2],
    )


def played_points(
    player: Player, hands: GameBatch, *, seed: int, numbers: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Points u1[k, 2] of the teams in the end, the player in all seats."""
    rows, bids = np.arange(len(hands)), np.full(len(hands), CALLS[1], np.uint8)
    for _ in range(N_PLIES):
        rng = PlayRng(seed=seed, games=numbers, plies=hands.n_plays)
        hands.play(player.choose(hands, rows, rng, bids))
    return hands.points


def play_alone(
    bidder: ValueBidder, player: Player, *, seed: int, first: int, n: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Said f8[n, 13] and made bool[n, 13] of seat 0's hand as declarer without an auction: every
    bid with the declaration that is best for it."""
    games = WholeGameBatch(n, seed=seed, first_game=first)
    held = games.held
    said = bidder.before_auction(held[:, 0])
    best = bidder.prices.of(held[:, 0]).argmax(axis=1)
    rows, decl = np.nonzero((best[:, :, None] == np.arange(len(PRICED))).any(axis=1))
    dealt = np.stack([_dominoes(held[:, seat]) for seat in range(N_SEATS)], axis=1)
    hands = GameBatch(dealt[rows], PRICED[decl], np.zeros(len(rows), np.uint8))
    numbers = ((rows + first) * len(PRICED) + decl).astype(np.uint64)
    points = np.zeros((n, len(PRICED)), np.uint8)
    points[rows, decl] = played_points(player, hands, seed=seed, numbers=numbers)[:, 0]
    return said, np.take_along_axis(points, best, 1) >= np.arange(CALLS[1], CALLS[1] + N_PRICES)


def _dominoes(hands: NDArray[np.uint32]) -> NDArray[np.uint8]:
    from zebfast.core.masks import domino_bits

    return np.nonzero(domino_bits(hands))[1].reshape(len(hands), -1).astype(np.uint8)


def figures(found: Contracts) -> dict[str, Any]:
    """All of a record: together, by cell of position, opponents' bids and partner's, and by bid."""
    everything = np.ones(len(found.said), np.bool_)
    cells = {}
    for position in range(N_SEATS):
        for opponents in range(len(_OTHERS)):
            for partner in range(2):
                of = (found.position == position) & (found.opponents == opponents)
                of &= found.partner == bool(partner)
                if of.sum() >= FEWEST:
                    name = f"seat {position + 1}, {_OTHERS[opponents]}, "
                    name += "partner bid" if partner else "partner did not"
                    cells[name] = scores(found.said[of], found.made[of])
    by_bid = {
        str(bid): scores(found.said[of], found.made[of])
        for bid in range(CALLS[1], CALLS[1] + N_PRICES)
        if (of := found.bid == bid).sum() >= FEWEST
    }
    return {
        "all": {**scores(found.said, found.made), "bins": _bins(found.said, found.made)},
        "cells": cells,
        "bids": by_bid,
        "in_shown_cells": sum(cell["contracts"] for cell in cells.values()) / everything.sum(),
    }


def scores(said: NDArray[np.float64], made: NDArray[np.bool_]) -> dict[str, Any]:
    """Means with the half width of the gap's 95 % interval, and expected calibration errors."""
    gap = made - said
    ece, unbiased = _ece(said, made)
    rng = np.random.default_rng(_SEED)
    by_chance = [_ece(said, rng.random(len(said)) < said)[0] for _ in range(RESAMPLES)]
    return {
        "contracts": len(said),
        "said": round(float(said.mean()), 5),
        "made": round(float(made.mean()), 5),
        "gap_half_width": round(float(Z_95 * gap.std() / np.sqrt(len(gap))), 5),
        "ece": round(ece, 5),
        "ece_by_chance": round(float(np.mean(by_chance)), 5),
        "ece_by_chance_95": round(float(np.percentile(by_chance, 95)), 5),
        "ece_unbiased": round(unbiased, 5),
    }


def _ece(said: NDArray[np.float64], made: NDArray[np.bool_]) -> tuple[float, float]:
    where = bin_of(said)
    n = np.maximum(np.bincount(where, minlength=BINS), 1)
    gap = np.bincount(where, made - said, minlength=BINS) / n
    chance = np.bincount(where, said * (1 - said), minlength=BINS) / n
    share = n / len(said)
    above = np.maximum(gap**2 - chance / n, 0.0)
    return float((share * np.abs(gap)).sum()), float((share * np.sqrt(above)).sum())


def _bins(said: NDArray[np.float64], made: NDArray[np.bool_]) -> list[dict[str, Any]]:
    where, found = bin_of(said), []
    for number in range(BINS):
        of = where == number
        if n := int(of.sum()):
            rate = float(made[of].mean())
            error = float(np.sqrt(rate * (1 - rate) / n))
            found.append({"from": number / BINS, "to": (number + 1) / BINS, "decisions": n,
                          "said": round(float(said[of].mean()), 4), "happened": round(rate, 4),
                          "se": round(error, 5)})  # fmt: skip
    return found


def measure(
    bidder: ValueBidder, player: Player, *, seed: int, n_hands: int, n_alone: int,
    say: Callable[[int, int], object],
) -> Mapping[str, Any]:  # fmt: skip
    """Contracts of n_hands auctions, and n_alone hands without one, at every bid."""
    parts, alone = [], []
    for first in range(0, n_hands, AT_ONCE):
        n = min(AT_ONCE, n_hands - first)
        parts.append(play_contracts(bidder, player, seed=seed, first=first, n=n))
        say(first + n, n_hands)
    for first in range(0, n_alone, AT_ONCE):
        n = min(AT_ONCE, n_alone - first)
        alone.append(play_alone(bidder, player, seed=seed + 1, first=first, n=n))
    said, made = (np.concatenate(part) for part in zip(*alone, strict=True))
    without = {str(CALLS[1] + k): scores(said[:, k], made[:, k]) for k in range(N_PRICES)}
    return {"hands": n_hands, **figures(Contracts.joined(parts)), "without_auction": without}
