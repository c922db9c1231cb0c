"""Sets of dominoes as 28-bit masks, bit d for domino d, over whole arrays at once."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.rules import N_DECLARATIONS, N_DOMINOES, follows, led_suit

_DOMINOES = np.arange(N_DOMINOES, dtype=np.uint32)


def domino_bits(masks: NDArray[Any]) -> NDArray[np.bool_]:
    """Masks u4[...] spread to bool[..., 28]."""
    bits: NDArray[np.bool_] = ((masks[..., None] >> _DOMINOES) & np.uint32(1)).astype(np.bool_)
    return bits


def count_dominoes(masks: NDArray[Any]) -> NDArray[np.int64]:
    """Dominoes in every mask, int64[...]; -1 where a bit outside the 28 dominoes is set."""
    low = masks.astype(np.uint32)
    pairs = low - (low >> np.uint32(1) & np.uint32(0x55555555))
    fours = (pairs & np.uint32(0x33333333)) + (pairs >> np.uint32(2) & np.uint32(0x33333333))
    bytes_ = (fours + (fours >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
    counts = (bytes_ * np.uint32(0x01010101)) >> np.uint32(24)
    return np.where(masks >> N_DOMINOES, -1, counts.astype(np.int64))


def has_choice(legal: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether a mask of legal dominoes or slots has two or more: bool of the same shape."""
    return np.asarray((legal & (legal - legal.dtype.type(1))) != 0)


def lowest_bits(masks: NDArray[Any]) -> NDArray[np.uint8]:
    """The number of the lowest bit that is set in masks u4[...], u1[...]; 0 where none is."""
    found: NDArray[np.uint8] = np.log2(np.maximum(masks & (~masks + np.uint32(1)), 1)).astype(
        np.uint8
    )
    return found


@cache
def followers() -> NDArray[np.uint32]:
    """Masks of the dominoes that are of the led suit, u4[10, 28] by (declaration, domino led)."""
    found = np.zeros((N_DECLARATIONS, N_DOMINOES), np.uint32)
    for decl, lead in np.ndindex(found.shape):
        suit = led_suit(lead, decl)
        found[decl, lead] = sum(1 << d for d in range(N_DOMINOES) if follows(d, suit, decl))
    found.flags.writeable = False
    return found
