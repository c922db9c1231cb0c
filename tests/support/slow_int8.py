"""The int8 residual blocks in NumPy: the slow twin of csrc/net_int8.h, bit for bit.

Every operation on floats is one of float32, in the order that is written down in
csrc/net_int8_body.h; sums of products are whole numbers and exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

F = np.float32
Floats = NDArray[np.float32]


def slow_blocks(tensors: Mapping[str, Any], ranges: Floats, x: Floats) -> Floats:
    """What the blocks of these tensors, packed by ``ranges`` [3, n_blocks, width], make of x."""
    for b in range(ranges.shape[1]):
        x = _block(tensors, f"blocks.{b}", *ranges[:, b], x)
    return x


def _block(tensors: Mapping[str, Any], name: str, *packed_by: Any) -> Floats:
    low, high, hidden, x = packed_by
    up, up_bias = _folded(tensors, name)
    down, down_bias = tensors[f"{name}.down.weight"], tensors[f"{name}.down.bias"]
    of_up = _divisors(F(0.5) * (high - low), up, F(0.1))
    of_down = _divisors(hidden, down, F(0.3))
    middle = F(0.5) * (high + low)
    up_whole, up_scale = _whole(up * of_up)
    down_whole, down_scale = _whole(down * of_down)
    terms = np.concatenate([up_bias[:, None].astype(np.float64), up.astype(np.float64) * middle], 1)
    moved = np.cumsum(terms, axis=1)[:, -1]  # one by one, as C adds them
    gain = F(1) / of_up
    inputs = _norm(x) * gain - middle * gain
    sums = _products(inputs, up_whole, 127)
    inner = sums * (up_scale / of_down) + (moved / of_down).astype(F)
    inner = np.maximum(inner, F(0))
    out: Floats = x + (_products(inner, down_whole, 255) * down_scale + down_bias)
    return out


def _folded(tensors: Mapping[str, Any], name: str) -> tuple[Floats, Floats]:
    """Weight and bias of up with its norm's scale and shift moved in."""
    weight = tensors[f"{name}.up.weight"].astype(np.float64)
    shift = tensors[f"{name}.norm.bias"].astype(np.float64)
    bias = tensors[f"{name}.up.bias"] + (weight * shift).sum(1)
    return (weight * tensors[f"{name}.norm.weight"].astype(np.float64)).astype(F), bias.astype(F)


def _divisors(size: Floats, weight: Floats, least: np.float32) -> Floats:
    """What inputs are divided by, to the 3/4 their own size and to the 1/4 what their weights take
    away."""
    most, heaviest = np.abs(size).max(), np.abs(weight).max()
    if not (most > 0 and heaviest > 0):
        return np.ones_like(size)
    size = np.maximum(size, least * most)
    column = np.maximum(np.abs(weight).max(0), F(0.01) * heaviest)
    found: Floats = np.sqrt(size * np.sqrt(size)) / np.sqrt(np.sqrt(column))
    return found


def _whole(weight: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Weights -127..127 and the scale of each output."""
    scale = np.abs(weight).max(1) / F(127)
    scale[scale < np.finfo(F).tiny] = 0
    per = np.where(scale > 0, scale, F(1))[:, None]
    whole = np.where(scale[:, None] > 0, np.rint(weight / per), 0)
    return whole.astype(np.int64), scale


def _sum(x: Floats) -> Floats:
    """[B, width] -> [B]: sixteen sums side by side, then halves onto each other."""
    lanes = np.zeros((len(x), 16), F)
    for k in range(0, x.shape[1], 16):
        lanes += x[:, k : k + 16]
    four = (lanes[:, :4] + lanes[:, 8:12]) + (lanes[:, 4:8] + lanes[:, 12:])
    found: Floats = (four[:, 0] + four[:, 2]) + (four[:, 1] + four[:, 3])
    return found


def _norm(x: Floats) -> Floats:
    width = F(x.shape[1])
    off = x - (_sum(x) / width)[:, None]
    factor = F(1) / np.sqrt(_sum(off * off) / width + F(1e-5))
    normed: Floats = off * factor[:, None]
    return normed


def _products(inputs: Floats, weight: NDArray[np.int64], most: int) -> Floats:
    """Inputs as whole numbers by their row's largest, times the weights, times its scale."""
    largest = np.abs(inputs).max(1, keepdims=True)
    usable = (largest > F(1e-30)) & (largest <= np.finfo(F).max)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        whole = np.where(usable, np.rint(inputs * (F(most) / largest)), 0)
        scale = np.where(usable, largest / F(most), F(0))
    found: Floats = (whole.astype(np.int64) @ weight.T).astype(F) * scale
    return found
