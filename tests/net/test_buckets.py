"""Cutting batches for a GPU."""

from __future__ import annotations

import numpy as np
import pytest

from zebfast.net.torch.pipeline import largest_piece, length_bucket, padding, plan, rows_bucket


def test_buckets_are_few_and_never_too_small() -> None:
    sizes = {rows_bucket(n) for n in range(1, 4097)}
    assert sorted(sizes)[:6] == [32, 48, 64, 96, 128, 192]
    assert len(sizes) == 15
    assert all(n <= rows_bucket(n) <= max(32, 1.5 * n) for n in range(1, 4097))
    assert [length_bucket(n) for n in (0, 1, 8, 9, 29)] == [0, 2, 8, 10, 30]


@pytest.mark.parametrize("n", [1, 31, 300, 1000, 1024, 4100])
@pytest.mark.parametrize("limit", [None, 1, 200])
def test_pieces_hold_every_row_once_in_order_of_length(n: int, limit: int | None) -> None:
    lengths = np.random.default_rng(n).integers(8, 30, n)
    order, pieces = plan(lengths, limit)
    assert sorted(order) == list(range(n))
    assert [p.start for p in pieces] == np.cumsum([0, *(p.n for p in pieces)])[:-1].tolist()
    assert sum(p.n for p in pieces) == n
    for piece in pieces:
        assert piece.n <= piece.rows <= largest_piece(n, limit)
        held = lengths[order[piece.start : piece.start + piece.n]]
        assert held.max() <= piece.length < held.max() + 2
    if limit is not None:
        assert all(piece.rows <= limit for piece in pieces)


def test_sorting_by_length_saves_most_of_the_padding() -> None:
    lengths = np.random.default_rng(1).integers(8, 30, 2048)
    _, pieces = plan(lengths, None)
    cut = padding(lengths, pieces)
    whole = len(lengths) * length_bucket(int(lengths.max())) - int(lengths.sum())
    assert len(pieces) == 4
    assert cut < whole / 3


def test_without_lengths_nothing_is_padding() -> None:
    order, pieces = plan(np.zeros(600, dtype=np.int64), None)
    assert order.tolist() == list(range(600))
    assert [(p.start, p.n, p.rows, p.length) for p in pieces] == [
        (0, 256, 256, 0),
        (256, 256, 256, 0),
        (512, 88, 96, 0),
    ]
    assert padding(np.zeros(600, dtype=np.int64), pieces) == 0
