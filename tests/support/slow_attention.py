"""Softmax attention written out, in double precision."""

from __future__ import annotations

import math

import numpy as np


def slow_attention(qkv: np.ndarray, lengths: np.ndarray, n_heads: int) -> np.ndarray:
    """float64 [T, d] for queries, keys and values [T, 3 d] of observations end to end."""
    dim = qkv.shape[1] // 3
    width = dim // n_heads
    out = np.zeros((len(qkv), dim))
    start = 0
    for length in lengths:
        for head in range(n_heads):
            columns = slice(head * width, (head + 1) * width)
            rows = qkv[start : start + length].astype(np.float64)
            q, k, v = (rows[:, i * dim : (i + 1) * dim][:, columns] for i in range(3))
            for t in range(length):
                scores = [float(q[t] @ k[j]) / math.sqrt(width) for j in range(length)]
                weights = [math.exp(score - max(scores)) for score in scores]
                mixed = sum(w * v[j] for j, w in enumerate(weights)) / sum(weights)
                out[start + t, columns] = mixed
        start += length
    return out
