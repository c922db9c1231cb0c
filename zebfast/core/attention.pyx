"""What is left of a transformer between its matrix maps: attention over a few tokens at a time."""

from libc.stdint cimport int64_t, uint16_t

import numpy as np

MAX_TOKENS = ZF_ATTENTION_TOKENS


def fits(Py_ssize_t width):
    """Whether ``attention`` takes heads of this width: multiples of 8 up to 64."""
    return 0 < width <= ZF_ATTENTION_WIDTH and width % ZF_ATTENTION_STEP == 0


def attention(qkv, const int64_t[::1] lengths not None, out, *, n_heads):
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
    cdef Py_ssize_t i, total = 0, n = lengths.shape[0]
    cdef int heads = n_heads, width
    if qkv.ndim != 2 or out.ndim != 2 or heads < 1 or out.shape[1] % heads:
        raise ValueError(f"qkv {qkv.shape} and out {out.shape} do not fit {n_heads} heads")
    width = out.shape[1] // heads
    if not fits(width) or qkv.shape != (out.shape[0], 3 * out.shape[1]) or qkv.dtype != out.dtype:
        raise ValueError(
            f"qkv {qkv.dtype}{qkv.shape} and out {out.dtype}{out.shape} do not fit {n_heads} heads "
            f"of a multiple of {ZF_ATTENTION_STEP} numbers up to {ZF_ATTENTION_WIDTH}"
        )
    for i in range(n):
        if not 1 <= lengths[i] <= ZF_ATTENTION_TOKENS:
            raise ValueError(f"length {lengths[i]} is not between 1 and {ZF_ATTENTION_TOKENS}")
        total += lengths[i]
    if total != out.shape[0]:
        raise ValueError(f"the lengths make {total} tokens, not {out.shape[0]}")
    if not n:
        return
    if qkv.dtype == np.float32:
        _single(qkv, lengths, out, heads, width)
    else:
        _brief(qkv, lengths, out, heads, width)


cdef _single(const float[:, ::1] qkv, const int64_t[::1] lengths, float[:, ::1] out, int heads,
             int width):
    with nogil:
        zf_attention(&out[0, 0], &qkv[0, 0], &lengths[0], <size_t>lengths.shape[0], heads, width)


cdef _brief(const uint16_t[:, ::1] qkv, const int64_t[::1] lengths, uint16_t[:, ::1] out,
            int heads, int width):
    with nogil:
        zf_attention_bf16(&out[0, 0], &qkv[0, 0], &lengths[0], <size_t>lengths.shape[0], heads,
                          width)
