"""Masks of dominoes over arrays against single masks by plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from zebfast import rules
from zebfast.core.masks import count_dominoes, domino_bits, followers, has_choice, lowest_bits

MASKS = np.random.default_rng(3).integers(0, 1 << rules.N_DOMINOES, (40, 5), dtype=np.uint32)


def test_masks_of_any_shape_are_spread_and_counted() -> None:
    bits = domino_bits(MASKS)
    for at in np.ndindex(MASKS.shape):
        mask = int(MASKS[at])
        assert np.flatnonzero(bits[at]).tolist() == [d for d in range(28) if mask >> d & 1]
        assert count_dominoes(MASKS)[at] == mask.bit_count()
    assert count_dominoes(np.array([1 << 28], np.uint32)).tolist() == [-1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32])
def test_a_choice_is_two_or_more(dtype: type) -> None:
    legal = np.arange(128).astype(dtype)
    assert has_choice(legal).tolist() == [mask.bit_count() > 1 for mask in range(128)]


def test_the_lowest_bit_is_that_of_the_mask() -> None:
    for at in np.ndindex(MASKS.shape):
        mask = int(MASKS[at])
        assert lowest_bits(MASKS)[at] == (mask & -mask).bit_length() - 1
    edges = np.array([0, 1, 1 << 27, (1 << 28) - 1, 1 << 31], np.uint32)
    assert lowest_bits(edges).tolist() == [0, 0, 27, 0, 31]
    assert lowest_bits(edges).dtype == np.uint8


def test_followers_are_of_the_led_suit() -> None:
    table = followers()
    for decl in range(rules.N_DECLARATIONS):
        for lead in range(rules.N_DOMINOES):
            suit = rules.led_suit(lead, decl)
            wanted = [d for d in range(rules.N_DOMINOES) if rules.follows(d, suit, decl)]
            assert np.flatnonzero(domino_bits(table[decl, lead])).tolist() == wanted
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0] = 0
