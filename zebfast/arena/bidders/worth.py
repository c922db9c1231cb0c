"""What calls are worth and what bids are made with: two small networks over what a seat knows.

Both were fitted on hands that were played without sight (tools/bids.py). ``worth`` says of every
call what the hand will bring in the end, if the auction goes on as it does: that of a pass, and of
a bid that may be overbid. ``price`` says what chance a bid is made with if it stands: the
network's own price, put right for the choice of the best of nine and for what the auction told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import N_PRICES, NO_SEAT, NOT_MADE, Auctions
from zebfast.core.masks import domino_bits
from zebfast.rules import N_DOMINOES, N_SEATS

N_CALLS = 15  # that are weighed: a pass, 30 to 41, and bids of one mark and two
AWARDS = (-2, -1, 0, 1, 2)  # marks that a hand brings to the own side; 0: thrown in
N_OTHERS = 3  # declarations after the best that are looked at
_OF_A_SEAT = 4
_HAND_PARTS = (N_DOMINOES, N_PRICES, N_OTHERS)
_AUCTION_PARTS = (N_SEATS, _OF_A_SEAT * (N_SEATS - 1), N_CALLS)
N_OF_HAND, N_OF_AUCTION = sum(_HAND_PARTS), sum(_AUCTION_PARTS)
N_INPUTS = N_OF_HAND + N_OF_AUCTION
_SCALE = 3.0  # of log odds
_CLOSEST = 1e-3  # of a chance to 0 or 1

# What is multiplied and added is on these grids, so that float64 holds every sum exactly: answers
# are the same bits in whatever order a library sums, and so whatever the batch.
_INPUT_GRID, _WEIGHT_GRID = 2.0**8, 2.0**12
MOST_INPUT, MOST_WEIGHT, MOST_WIDTH = 64.0, 64.0, 1024


def log_odds(chances: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log odds of chances, none of them closer to 0 or 1 than a thousandth."""
    sure = np.clip(chances.astype(np.float64), _CLOSEST, 1.0 - _CLOSEST)
    found: NDArray[np.float64] = np.log(sure / (1.0 - sure))
    return found


def inputs(auctions: Auctions, prices: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the networks see, f8[k, N_INPUTS]: `of_hand`, then `of_auction`."""
    return np.concatenate([of_hand(auctions.hand, prices), of_auction(auctions)], axis=1)


def of_hand(hands: NDArray[np.uint32], prices: NDArray[np.float32]) -> NDArray[np.float64]:
    """f8[k, 44] of hands u4[k] and their prices f4[k, 9, 13]: the dominoes, the best prices of
    30..42, and those of 30 with the next best declarations."""
    best_first = -np.sort(-prices[:, :, 0], axis=1)
    return np.concatenate(
        [
            domino_bits(hands),
            log_odds(prices.max(axis=1)) / _SCALE,
            log_odds(best_first[:, 1 : 1 + N_OTHERS]) / _SCALE,
        ],
        axis=1,
    )


def of_auction(auctions: Auctions) -> NDArray[np.float64]:
    """f8[k, 31]: the seat's turn, what each of the others called before it, the standing bid.

    Calls at the seat's turn or after it are left out, so that a declarer's are as they were when
    it bid.
    """
    found = np.zeros((len(auctions), N_OF_AUCTION))
    position, calls, standing = np.split(found, np.cumsum(_AUCTION_PARTS)[:-1], axis=1)
    rows = np.arange(len(auctions))
    position[rows, auctions.position] = 1.0
    bid, bidder = standing_before(auctions)
    standing[rows, np.minimum(bid, N_CALLS - 1)] = 1.0
    for seat in range(1, N_SEATS):
        made, spoken = auctions.calls[:, seat], before(auctions, seat)
        of_seat = calls[:, _OF_A_SEAT * (seat - 1) : _OF_A_SEAT * seat]
        of_seat[:, 0] = spoken
        of_seat[:, 1] = spoken & (made == 0)
        of_seat[:, 2] = np.where(spoken, made, 0) / (N_CALLS - 1)
        of_seat[:, 3] = bidder == seat
    return found


def before(auctions: Auctions, seat: int) -> NDArray[np.bool_]:
    """Whether the relative seat, 1 to 3, has called before the seat that is asked: bool[k]."""
    earlier = auctions.position >= N_SEATS - seat
    return np.asarray(earlier & (auctions.calls[:, seat] != NOT_MADE))


def standing_before(auctions: Auctions) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The place of the bid that stood at the seat's turn, and whose it was: u1[k] each."""
    heard = np.stack(
        [np.where(before(auctions, seat), auctions.calls[:, seat], 0) for seat in (1, 2, 3)], axis=1
    )
    bid = heard.max(axis=1)
    return bid, np.where(bid > 0, heard.argmax(axis=1) + 1, NO_SEAT).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class SmallNet:
    """Layers of weights f8[in, out] and biases f8[out], with rectifiers between them."""

    weights: tuple[NDArray[np.float64], ...]
    biases: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[np.floating]], name: str, *, n_out: int) -> SmallNet:
        """The tensors ``{name}.{i}.weight`` [out, in] and ``.bias``. ValueError for others."""
        n = 0
        while f"{name}.{n}.weight" in tensors:
            n += 1
        wide, weights, biases = N_INPUTS, [], []
        for i in range(n):
            weight, bias = tensors[f"{name}.{i}.weight"], tensors.get(f"{name}.{i}.bias")
            if weight.ndim != 2 or weight.shape[1] != wide or len(weight) > MOST_WIDTH:
                raise ValueError(f"'{name}.{i}.weight' has the shape {list(weight.shape)}")
            wide = len(weight)
            if bias is None or bias.shape != (wide,):
                raise ValueError(f"'{name}.{i}.bias' is missing or has another shape than [{wide}]")
            for tensor in (weight, bias):
                if not (np.abs(tensor) <= MOST_WEIGHT).all():  # nor any that is no number
                    raise ValueError(f"layer {i} of {name!r} has a number beyond {MOST_WEIGHT:g}")
            weights.append(np.round(weight.astype(np.float64).T * _WEIGHT_GRID) / _WEIGHT_GRID)
            biases.append(np.round(bias.astype(np.float64) * _WEIGHT_GRID) / _WEIGHT_GRID)
        if wide != n_out or not n:
            raise ValueError(f"{name!r} has {wide} outputs instead of {n_out}")
        return cls(tuple(np.ascontiguousarray(weight) for weight in weights), tuple(biases))

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """f8[k, out] for f8[k, N_INPUTS]; a row's are the same bits whatever rows are beside it."""
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if i:
                x = np.maximum(x, 0.0)
            x = np.round(np.clip(x, -MOST_INPUT, MOST_INPUT) * _INPUT_GRID) / _INPUT_GRID
            x = x @ weight + bias
        return x


def chances(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chances of the AWARDS of every call, f8[k, 15, 5], from what ``worth`` says f8[k, 75]."""
    wide = scores.reshape(len(scores), N_CALLS, len(AWARDS))
    shares = np.exp(wide - wide.max(axis=2, keepdims=True))
    found: NDArray[np.float64] = shares / shares.sum(axis=2, keepdims=True)
    return found


def stated(prices: NDArray[np.float32], moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chances f8[k, 13] that 30..42 are made with the best of nine, from prices f4[k, 9, 13] and
    what ``price`` moves their log odds by, f8[k, 13]; a higher bid is never likelier."""
    odds = log_odds(prices.max(axis=1)) + moves
    found: NDArray[np.float64] = np.minimum.accumulate(1.0 / (1.0 + np.exp(-odds)), axis=1)
    return found
