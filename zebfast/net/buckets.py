"""How a batch is cut for a GPU: few shapes, so that each can have its captured graph.

Rows are sorted by length and cut into pieces of equal size; a piece is a rectangle of a bucketed
number of rows and of its longest row's length, rounded up. Pure: NumPy in, plain numbers out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: A batch is cut into about so many pieces: one is packed on the CPU and one copied back while
#: another runs, and short rows do not pay for long ones.
PIECES = 4
#: Smaller pieces are not cut off: they would cost launches and fill nothing.
LEAST_ROWS = 256
_SMALLEST = 32
_LENGTH_STEP = 2


class Piece(NamedTuple):
    """Rows ``start`` to ``start + n`` of the sorted batch, run as a rectangle."""

    start: int
    n: int
    rows: int  # n rounded up to a bucket
    length: int  # the longest of them rounded up; 0 where the network has no lengths


def rows_bucket(n: int) -> int:
    """n rounded up to 32, 48, 64, 96, 128, 192, ...: at most half as many again."""
    size = _SMALLEST
    while size < n:
        size *= 2
    return size * 3 // 4 if size > _SMALLEST and n <= size * 3 // 4 else size


def length_bucket(length: int) -> int:
    """A length rounded up to an even number."""
    return -(-length // _LENGTH_STEP) * _LENGTH_STEP


def largest_piece(n: int, limit: int | None) -> int:
    """Rows of the pieces of a batch of n, padding included; ``limit``: the most there may be."""
    size = rows_bucket(max(-(-n // PIECES), min(n, LEAST_ROWS)))
    return size if limit is None else min(size, limit)


def plan(lengths: NDArray[np.int64], limit: int | None) -> tuple[NDArray[np.int64], list[Piece]]:
    """The order int64[B] in which rows go to the device, and its pieces.

    ``limit``: the most rows in one piece, padding included; None = as many as fit in PIECES.
    """
    n = len(lengths)
    order = np.argsort(lengths, kind="stable")
    size = largest_piece(n, limit)
    pieces = []
    for start in range(0, n, size):
        held = min(size, n - start)
        longest = int(lengths[order[start + held - 1]])
        pieces.append(Piece(start, held, min(rows_bucket(held), size), length_bucket(longest)))
    return order, pieces


def padding(lengths: NDArray[np.int64], pieces: list[Piece]) -> int:
    """Tokens that the pieces run beyond those of the rows themselves."""
    return sum(piece.rows * piece.length for piece in pieces) - int(lengths.sum())
