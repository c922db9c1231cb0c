"""What is left of a transformer between its matrix maps: attention over a few tokens at a time."""

import numpy as np

MAX_TOKENS: int

def fits(width: int) -> bool:
    """Whether ``attention`` takes heads of this width: multiples of 8 up to 64."""

def attention(qkv: np.ndarray, lengths: np.ndarray, out: np.ndarray, *, n_heads: int) -> None:
    """Softmax attention within every observation, all heads. Releases the GIL.

    bfloat16 is given as the uint16 of its bits; it is computed in float32 as well.

    Args:
        qkv: float32 or uint16 [T, 3 d], C-contiguous: queries, keys, values, each of n_heads heads
            of d / n_heads numbers; the observations end to end.
        lengths: int64 [n]: tokens of every observation, 1 to MAX_TOKENS, T in all.
        out: [T, d] of qkv's type, C-contiguous, written.

    Raises:
        ValueError: shapes, types or lengths that do not fit.
    """
