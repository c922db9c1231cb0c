"""What declaring is worth by a network: its points distribution at the first play.

The network is shown a hand whose holder leads to the first trick, once for each declaration.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import N_PRICES
from zebfast.core.network import Network
from zebfast.core.records import OBS_DTYPE
from zebfast.net.cpu import settle
from zebfast.net.v2 import V2Config
from zebfast.rules import N_DECLARATIONS, N_DOMINOES, RuleSet

#: The nine declarations that are priced, in order.
PRICED = np.array(RuleSet().straight_declarations(), np.uint8)
_ALL_SLOTS = 127
_AT_ONCE = 1024  # hands; bounds memory, not results


class Prices(Protocol):
    """Chances of making 30..42 points."""

    def of(self, hands: NDArray[np.uint32]) -> NDArray[np.float32]:
        """f4[k, 9, 13] for hands u4[k] of seven: by declaration of `PRICED`, then points."""


class NetworkPrices:
    """Prices by a v2 network in the core, in the fastest precision of this processor.

    A hand's prices are the same bits whatever it is priced together with.
    """

    def __init__(self, config: V2Config, weights: dict[str, NDArray[np.float32]]) -> None:
        """Raises ValueError for weights that do not fit the config."""
        precision = settle("auto")[0]
        self._net = Network(
            config.width, config.n_blocks, config.belief_head, weights, precision=precision
        )

    def of(self, hands: NDArray[np.uint32]) -> NDArray[np.float32]:
        """See Prices."""
        found = np.empty((len(hands), len(PRICED), N_PRICES), np.float32)
        for first in range(0, len(hands), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            scores, _ = self._net.scores(first_plays(hands[part]).ravel())
            found[part] = tails(scores[:, N_DOMINOES:]).reshape(found[part].shape)
        return found


def first_plays(hands: NDArray[np.uint32]) -> NDArray[np.void]:
    """Observations [k, 9] of the holders of full hands, each to lead with each declaration."""
    obs = np.zeros((len(hands), len(PRICED)), OBS_DTYPE)
    obs["hand"], obs["decl"] = hands[:, None], PRICED
    obs["legal"] = obs["in_hand"] = _ALL_SLOTS
    return obs


def tails(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chances f4[n, 13] of at least 30..42 points, from logits f4[n, 43] of 0..42."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    top = np.cumsum(shares[:, : -N_PRICES - 1 : -1], axis=1)[:, ::-1]
    chances: NDArray[np.float32] = top / shares.sum(axis=1, keepdims=True)
    return chances


def by_declaration(prices: NDArray[np.float32]) -> NDArray[np.float64]:
    """Prices f8[k, 10] by the ids of declarations, from f4[k, 9] of the nine; -1 for the tenth."""
    found = np.full((len(prices), N_DECLARATIONS), -1.0)
    found[:, PRICED] = prices
    return found
