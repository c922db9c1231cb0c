"""Deals with what every seat makes of them as declarer, played by a network without sight.

A deal is priced and played four times or more, once for each seat and each declaration that some
bid would choose. Every auction over it can then be told its end at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import N_PRICES
from zebfast.arena.bidders.prices import PRICED, NetworkPrices
from zebfast.arena.bidders.rule import losers
from zebfast.arena.bidders.worth import of_hand
from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.base import Player
from zebfast.core.engine import GameBatch
from zebfast.rules import CALLS, N_PLIES, N_SEATS, Stream

PART = 20_000  # deals of a file
_AT_ONCE = 2048  # hands played side by side


@dataclass(frozen=True, eq=False)
class Deals:
    """n deals, by seat: position 0 is the shaker's left, 3 the shaker.

    inputs: what `worth.of_hand` says, f4[n, 4, 44]. best: chances f4[n, 4, 13] of 30..42 with the
    best declaration for each. made: whether it made them, bool[n, 4, 13]. fewest: losers, u1[n, 4].
    """

    inputs: NDArray[np.float32]
    best: NDArray[np.float32]
    made: NDArray[np.bool_]
    fewest: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.best)

    def take(self, rows: NDArray[np.intp]) -> Deals:
        """A subset."""
        return Deals(*(getattr(self, field.name)[rows] for field in fields(self)))

    def turned(self, seats: int) -> Deals:
        """The same deals with everybody moved so many seats on."""
        return Deals(*(np.roll(getattr(self, field.name), seats, 1) for field in fields(self)))

    @classmethod
    def load(cls, paths: list[Path]) -> Deals:
        """What `save` wrote, one after the other."""
        parts = [np.load(path, allow_pickle=False) for path in paths]
        return cls(*(np.concatenate([p[f.name] for p in parts]) for f in fields(cls)))

    def save(self, path: Path) -> None:
        """Write them, whole or not at all."""
        beside = path.with_suffix(".part.npz")
        np.savez(beside, **{field.name: getattr(self, field.name) for field in fields(self)})
        beside.replace(path)


def play_part(player: Player, prices: NetworkPrices, *, seed: int, part: int) -> Deals:
    """Deals PART * part and on of the seed, of a stream that no evaluation deals from."""
    dealt = GameBatch.deal(PART, seed=seed, first_game=PART * part, stream=Stream.LABEL_DEAL)
    hands = dealt.hands
    masks = (np.uint32(1) << hands.astype(np.uint32)).sum(axis=2, dtype=np.uint32)
    of_all = prices.of(masks.ravel())
    chosen = of_all.argmax(axis=1)  # of the nine, by bid
    wanted = np.zeros((len(of_all), len(PRICED)), np.bool_)
    np.put_along_axis(wanted, chosen, np.True_, 1)
    rows, decl = np.nonzero(wanted)
    points = np.zeros(wanted.shape, np.uint8)
    points[rows, decl] = declared_points(
        player, hands[rows // N_SEATS], PRICED[decl], (rows % N_SEATS).astype(np.uint8), seed=seed
    )
    of_bid = np.take_along_axis(points, chosen, 1)
    shape = (PART, N_SEATS, -1)
    return Deals(
        inputs=of_hand(masks.ravel(), of_all).astype(np.float32).reshape(shape),
        best=of_all.max(axis=1).reshape(shape),
        made=(of_bid >= np.arange(CALLS[1], CALLS[1] + N_PRICES)).reshape(shape),
        fewest=losers(masks.ravel()).min(axis=1).astype(np.uint8).reshape(PART, N_SEATS),
    )


def declared_points(
    player: Player,
    hands: NDArray[np.uint8],
    decl: NDArray[np.uint8],
    leader: NDArray[np.uint8],
    *,
    seed: int,
) -> NDArray[np.uint8]:
    """Points u1[k] of the leaders' sides in hands u1[k, 4, 7] that the player plays for all."""
    found = np.empty(len(hands), np.uint8)
    for first in range(0, len(hands), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        games = GameBatch(hands[part], decl[part], leader[part])
        rows = np.arange(len(games))
        numbers = (rows + first).astype(np.uint64)
        bids = np.full(len(games), CALLS[1], np.uint8)
        for _ in range(N_PLIES):
            rng = PlayRng(seed=seed, games=numbers, plies=games.n_plays)
            games.play(player.choose(games, rows, rng, bids))
        found[part] = games.points[rows, leader[part] % 2]
    return found
