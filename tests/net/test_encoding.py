"""Tokens: the batched expansion, its slow twin, the recorded observations, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zebfast.core.records import OBS_DTYPE
from zebfast.net.packing import check_observations, pack_tokens, slow_tokens, unpack_tokens
from zebfast.net.torch.encoding import expand, record_bytes

Change = Callable[[NDArray[Any], NDArray[np.bool_]], None]


def test_expansion_equals_every_recorded_observation(
    v1_observations: dict[str, NDArray[Any]], golden_records: NDArray[Any]
) -> None:
    check_observations(golden_records)
    batch = expand(record_bytes(golden_records))
    for name in ("tokens", "mask", "legal", "in_hand"):
        np.testing.assert_array_equal(getattr(batch, name).numpy(), v1_observations[name], name)
    assert (batch.hand_indices.numpy() == np.arange(1, 8)).all()


def test_expansion_equals_its_slow_twin(observations: NDArray[Any]) -> None:
    batch = expand(record_bytes(observations))
    unpacked, counts = unpack_tokens(observations)
    np.testing.assert_array_equal(unpacked, batch.tokens)
    np.testing.assert_array_equal(counts, batch.mask)
    for i, record in enumerate(observations):
        tokens, mask = slow_tokens(record)
        np.testing.assert_array_equal(batch.tokens[i], tokens)
        np.testing.assert_array_equal(batch.mask[i], mask)
        assert [bool(record["legal"] >> s & 1) for s in range(7)] == batch.legal[i].tolist()


@pytest.mark.parametrize("leave_played_slots", [False, True])
def test_packing_undoes_expansion(observations: NDArray[Any], leave_played_slots: bool) -> None:
    check_observations(observations)
    batch = expand(record_bytes(observations))
    tokens, mask = batch.tokens.numpy().copy(), batch.mask.numpy()
    if leave_played_slots:  # as published example files do
        tokens[:, 1:8][~mask[:, 1:8]] = [6, 4, 0, 2, 0, 0, 3, 1]
    packed = pack_tokens(tokens.astype(np.int32), mask)
    for name in ("hand", "decl", "n_plays", "in_hand", "plays"):
        np.testing.assert_array_equal(packed[name], observations[name], name)
    np.testing.assert_array_equal(packed["legal"], packed["in_hand"])


def _set(index: tuple[int, ...], value: int) -> Change:
    def change(tokens: NDArray[Any], _mask: NDArray[np.bool_]) -> None:
        tokens[index] = value

    return change


def _mask(index: tuple[int, int], value: bool) -> Change:
    def change(_tokens: NDArray[Any], mask: NDArray[np.bool_]) -> None:
        mask[index] = value

    return change


def _swap_slots(tokens: NDArray[Any], _mask: NDArray[np.bool_]) -> None:
    tokens[1, [1, 2]] = tokens[1, [2, 1]]


def _repeat_play(tokens: NDArray[Any], _mask: NDArray[np.bool_]) -> None:
    tokens[2, 9, :4] = tokens[2, 8, :4]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_set((2, 0, 6), 10), "observation 2 has a feature outside 0..9"),
        (_set((2, 8, 0), -1), "observation 2 has a feature outside 0..9"),
        (_set((2, 0, 0), 1), "observation 2 lacks a declaration token"),
        (_mask((2, 0), False), "observation 2 lacks a declaration token"),
        (_mask((2, 20), True), "observation 2 has a gap"),
        (_set((2, 8, 3), 9), "observation 2 has a token whose features contradict"),
        (_set((2, 1, 7), 2), "observation 2 has a token whose features contradict"),
        (_set((2, 9, 4), 0), "observation 2 has a play out of turn"),
        (_mask((2, 9), False), "observation 2 is not seen by the seat to play"),
        (_mask((2, 1), False), "observation 2 does not account for seven dominoes"),
        (_repeat_play, "observation 2 shows a domino twice"),
        (_swap_slots, "observation 1 has its slots out of order"),
    ],
)
def test_an_impossible_observation_is_named(change: Change, sentence: str) -> None:
    tokens, mask = _three_observations()
    change(tokens, mask)
    with pytest.raises(ValueError, match=sentence):
        pack_tokens(tokens, mask)


def _three_observations() -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Before any play, the same again, and after two plays of other seats."""
    records = np.zeros(3, dtype=OBS_DTYPE)
    records["hand"], records["in_hand"], records["legal"] = 0b1111111, 127, 127
    records["n_plays"] = [0, 0, 2]
    records["plays"][2, :2] = [10 | 2 << 5, 11 | 3 << 5]
    batch = expand(record_bytes(records))
    return batch.tokens.numpy().copy(), batch.mask.numpy().copy()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hand", 0b111111),
        ("hand", 0b111111 | 1 << 30),
        ("decl", 10),
        ("n_plays", 28),
        ("legal", 0),
        ("in_hand", 0),
        ("in_hand", 255),
    ],
)
def test_a_bad_record_is_named(observations: NDArray[Any], field: str, value: int) -> None:
    records = observations[:5].copy()
    records[field][3] = value
    with pytest.raises(ValueError, match="observation 3 is not one of a seat to play"):
        check_observations(records)


def test_wrong_shapes_and_types_are_refused() -> None:
    tokens, mask = _three_observations()
    with pytest.raises(ValueError, match="expected tokens"):
        pack_tokens(tokens[:, :35], mask)
    with pytest.raises(ValueError, match="tokens must be integers"):
        pack_tokens(tokens.astype(float), mask)
    with pytest.raises(ValueError, match="packed observations"):
        record_bytes(mask)
