"""The C core's attention against attention written out, and within the evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from slow_attention import slow_attention

from zebfast.core.attention import MAX_TOKENS, attention, fits
from zebfast.net.checkpoint import Checkpoint
from zebfast.net.torch import v1_fast
from zebfast.net.torch.evaluator import TorchEvaluator

EVERY_LENGTH = np.arange(1, MAX_TOKENS + 1)


def _random(lengths: NDArray[Any], dim: int, scale: float = 1.0) -> NDArray[np.float32]:
    made = np.random.default_rng(dim).normal(0, scale, (lengths.sum(), 3 * dim))
    return made.astype(np.float32)


@pytest.mark.parametrize(("n_heads", "width"), [(2, 32), (1, 8), (3, 64), (2, 24)])
def test_every_length_equals_the_slow_twin(n_heads: int, width: int) -> None:
    qkv = _random(EVERY_LENGTH, n_heads * width, scale=2.0)
    out = np.full((len(qkv), n_heads * width), np.nan, dtype=np.float32)
    attention(qkv, EVERY_LENGTH, out, n_heads=n_heads)
    np.testing.assert_allclose(out, slow_attention(qkv, EVERY_LENGTH, n_heads), rtol=0, atol=1e-5)


def test_bfloat16_is_rounded_once() -> None:
    exact = torch.from_numpy(_random(EVERY_LENGTH, 64)).bfloat16()
    out = torch.zeros(len(exact), 64, dtype=torch.bfloat16)
    bits, written = exact.view(torch.uint16).numpy(), out.view(torch.uint16).numpy()
    attention(bits, EVERY_LENGTH, written, n_heads=2)
    want = torch.from_numpy(slow_attention(exact.float().numpy(), EVERY_LENGTH, 2))
    torch.testing.assert_close(out.double(), want, rtol=2**-8, atol=1e-5)


def test_an_observation_does_not_see_its_neighbours() -> None:
    lengths = np.array([5, 9, 3])
    qkv = _random(lengths, 64)
    whole, alone = np.empty((17, 64), np.float32), np.empty((9, 64), np.float32)
    attention(qkv, lengths, whole, n_heads=2)
    attention(qkv[5:14].copy(), lengths[1:2], alone, n_heads=2)
    np.testing.assert_array_equal(whole[5:14], alone)


def test_extremes_stay_finite_and_nan_stays_nan() -> None:
    lengths = np.array([4])
    qkv = _random(lengths, 32, scale=100.0)
    out = np.empty((4, 32), np.float32)
    attention(qkv, lengths, out, n_heads=1)
    np.testing.assert_allclose(out, slow_attention(qkv, lengths, 1), rtol=1e-4, atol=1e-3)
    qkv[2, 70] = np.nan  # a value of token 2
    attention(qkv, lengths, out, n_heads=1)
    assert np.isnan(out[:, 6]).all()
    qkv[2, 40] = np.nan  # and one of its key, which every score then contains
    attention(qkv, lengths, out, n_heads=1)
    assert np.isnan(out).all()


@pytest.mark.parametrize(
    ("lengths", "shape", "dtype", "n_heads", "why"),
    [
        ([4], (4, 36), np.float32, 1, "do not fit 1 heads of a multiple of 8"),
        ([4], (4, 32), np.float64, 1, "do not fit 1 heads"),
        ([4], (4, 32), np.float32, 5, "do not fit 5 heads"),
        ([3], (4, 32), np.float32, 1, "the lengths make 3 tokens, not 4"),
        ([0, 4], (4, 32), np.float32, 1, "length 0 is not between 1 and 40"),
        ([41], (41, 32), np.float32, 1, "length 41 is not between"),
    ],
)
def test_what_does_not_fit_is_refused(
    lengths: list[int], shape: tuple[int, int], dtype: Any, n_heads: int, why: str
) -> None:
    qkv = np.zeros((shape[0], 3 * shape[1]), np.float32)
    with pytest.raises(ValueError, match=why):
        attention(qkv, np.array(lengths), np.zeros(shape, dtype), n_heads=n_heads)
    attention(np.zeros((0, 96), np.float32), np.zeros(0, np.int64), np.zeros((0, 32), np.float32),
              n_heads=1)  # fmt: skip
    assert [w for w in range(100) if fits(w)] == [8, 16, 24, 32, 40, 48, 56, 64]


@pytest.mark.parametrize(("dtype", "atol"), [("fp32", 1e-5), ("bf16", 0.03)])
def test_the_evaluator_says_the_same_with_and_without_it(
    small: Checkpoint,
    observations: NDArray[Any],
    dtype: str,
    atol: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluator = TorchEvaluator(small.config, small.weights, dtype=dtype)
    used: list[bool] = []
    own = v1_fast._own_attention
    monkeypatch.setattr(v1_fast, "_own_attention", lambda *a: used.append(True) or own(*a))
    got, want = (np.empty((len(observations), 8), dtype=np.float32) for _ in range(2))
    evaluator.evaluate(observations, got)
    assert used
    monkeypatch.setattr(v1_fast, "_own_kernel", lambda net: False)
    used.clear()
    evaluator.evaluate(observations, want)
    assert not used
    np.testing.assert_allclose(got, want, rtol=0, atol=atol)
