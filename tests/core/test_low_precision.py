"""int8 and bf16 in the core: every kernel against plain NumPy, and what none may be packed by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from slow_int8 import slow_blocks
from slow_network import random_tensors

from zebfast.benchmark.workload import mixed_observations
from zebfast.core.network import Network, kernels

INT8 = [name for name, precision, here in kernels() if precision == "int8" and here]
LOW = [(name, precision) for name, precision, here in kernels() if here and precision != "fp32"]
BF16 = [name for name, precision in LOW if precision == "bf16"]
SHAPES = [(16, 1), (48, 2), (80, 1), (128, 2), (256, 3), (272, 1), (512, 2)]


@pytest.fixture(scope="module")
def observations() -> NDArray[Any]:
    """OBS_DTYPE[300] of every ply, in no order."""
    return np.random.default_rng(0).permutation(mixed_observations(300))


def rows(n: int, width: int) -> NDArray[np.float32]:
    """[n, width] of which columns and rows are of different sizes, and one row is all the same."""
    rng = np.random.default_rng(width)
    x = rng.standard_normal((n, width)) * 10 ** rng.uniform(-1, 1, width)
    x *= 10 ** rng.uniform(-2, 2, (n, 1))
    x[3] = 0.5
    return x.astype(np.float32)


def through(net: Network, x: NDArray[np.float32]) -> NDArray[np.float32]:
    out = x.copy()
    net.blocks(out)
    return out


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_int8_is_its_twin_bit_for_bit(shape: tuple[int, int]) -> None:
    tensors, x = random_tensors(*shape, False), rows(70, shape[0])
    nets = [Network(*shape, False, tensors, precision="int8", kernel=name) for name in INT8]
    for net in nets:
        assert net.ranges is not None
        np.testing.assert_array_equal(net.ranges, nets[0].ranges)
        np.testing.assert_array_equal(through(net, x), slow_blocks(tensors, net.ranges, x))


@pytest.mark.parametrize("kernel", INT8)
def test_outputs_and_inputs_without_weight(kernel: str) -> None:
    """Columns and rows of zeros, a block of zeros, weights too small to divide by."""
    tensors = random_tensors(48, 3, False)
    tensors["blocks.0.up.weight"][:, 5] = 0
    tensors["blocks.0.up.weight"][7] = 0
    tensors["blocks.0.down.weight"][9] = 0
    tensors["blocks.0.down.weight"][11] = 1e-44
    tensors["blocks.1.up.weight"][:] = 0
    tensors["blocks.2.down.weight"][:] = 0
    net, x = Network(48, 3, False, tensors, precision="int8", kernel=kernel), rows(9, 48)
    want = slow_blocks(tensors, net.ranges, x)
    np.testing.assert_array_equal(through(net, x), want)
    assert np.isfinite(want).all()


@pytest.mark.parametrize(("kernel", "precision"), LOW)
@pytest.mark.parametrize("shape", [(256, 3, True), (48, 2, True)], ids=str)
def test_a_row_does_not_depend_on_its_batch_or_place(
    observations: NDArray[Any], shape: tuple[int, int, bool], kernel: str, precision: str
) -> None:
    net = Network(*shape, random_tensors(*shape), precision=precision, kernel=kernel)
    whole, _ = net.scores(observations)
    for n in (1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 17, 31, 63, 64, 65, 127, 129, 299):
        first = 300 - n if n % 2 else 7 * n % (300 - n)
        part, _ = net.scores(observations[first : first + n])
        np.testing.assert_array_equal(part, whole[first : first + n])


@pytest.mark.parametrize(("kernel", "precision"), LOW)
def test_near_to_fp32(observations: NDArray[Any], kernel: str, precision: str) -> None:
    for width, n_blocks in ((128, 2), (256, 3), (512, 4)):
        shape = (width, n_blocks, False)
        tensors, (got, want) = random_tensors(*shape), np.zeros((2, 300, 8), np.float32)
        Network(*shape, tensors, precision=precision, kernel=kernel).evaluate(observations, got)
        Network(*shape, tensors).evaluate(observations, want)
        gap = np.abs(got - want)
        bound = {"int8": 0.004, "bf16": 0.002}[precision]
        assert 0 < gap.mean() < bound
        assert gap.max() < 15 * bound


@pytest.mark.parametrize("kernel", BF16)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bf16_is_what_rounding_gives(shape: tuple[int, int], kernel: str) -> None:
    """Products of numbers rounded to bfloat16, sums in float64: the last bits are the processor's,
    and an input near the middle between two numbers may become the other one."""
    tensors, x = random_tensors(*shape, False), rows(70, shape[0])
    x[3] = x[4]  # a row that is all the same number is only noise after a norm
    net = Network(*shape, False, tensors, precision="bf16", kernel=kernel)
    want = x.astype(np.float64)
    for b in range(shape[1]):
        name = f"blocks.{b}"
        off = want - want.mean(1, keepdims=True)
        normed = off / np.sqrt((off * off).mean(1, keepdims=True) + 1e-5)
        up = tensors[f"{name}.up.weight"].astype(np.float64)
        folded = (up * tensors[f"{name}.norm.weight"]).astype(np.float32)
        bias = tensors[f"{name}.up.bias"] + up @ tensors[f"{name}.norm.bias"]
        inner = np.maximum(bfloat16(normed) @ bfloat16(folded).T + bias, 0)
        down = tensors[f"{name}.down.weight"]
        want = want + bfloat16(inner) @ bfloat16(down).T + tensors[f"{name}.down.bias"]
    size = np.abs(want - x).max(1, keepdims=True)
    assert (np.abs(through(net, x) - want) / size).max() < 2**-8


def bfloat16(x: NDArray[Any]) -> NDArray[np.float64]:
    """Rounded to bfloat16: to nearest, to even at a half."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return rounded.astype(np.uint32).view(np.float32).astype(np.float64)


def test_ranges_may_be_brought_along(observations: NDArray[Any]) -> None:
    tensors = random_tensors(48, 2, False)
    net = Network(48, 2, False, tensors, precision="int8")
    assert net.ranges is not None
    assert net.ranges.shape == (3, 2, 48)
    assert not net.ranges.flags.writeable
    again = Network(48, 2, False, tensors, precision="int8", ranges=net.ranges)
    np.testing.assert_array_equal(again.scores(observations)[0], net.scores(observations)[0])
    with pytest.raises(ValueError, match="ranges are for int8, not for fp32"):
        Network(48, 2, False, tensors, ranges=net.ranges)
    assert Network(48, 2, False, tensors).ranges is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2e12])
@pytest.mark.parametrize("of", [0, 1, 2])
def test_ranges_that_cannot_be(of: int, value: float) -> None:
    tensors = random_tensors(16, 2, False)
    ranges = np.stack([np.full((2, 16), edge, np.float32) for edge in (-1, 1, 1)])
    assert Network(16, 2, False, tensors, precision="int8", ranges=ranges)
    ranges[of, 1, 7] = value
    with pytest.raises(ValueError, match="int8 needs ranges that are finite and not reversed"):
        Network(16, 2, False, tensors, precision="int8", ranges=ranges)


@pytest.mark.parametrize(("of", "value"), [(0, 1.5), (1, -1.5), (2, -0.1)])
def test_ranges_that_are_reversed(of: int, value: float) -> None:
    ranges = np.stack([np.full((1, 16), edge, np.float32) for edge in (-1, 1, 1)])
    ranges[of, 0, 3] = value
    with pytest.raises(ValueError, match="not reversed"):
        Network(16, 1, False, random_tensors(16, 1, False), precision="int8", ranges=ranges)


def test_ranges_of_another_network() -> None:
    with pytest.raises(ValueError, match=r"shape \[3, 1, 32\] instead of \[3, 1, 16\]"):
        Network(
            16, 1, False, random_tensors(16, 1, False), precision="int8",
            ranges=np.ones((3, 1, 32), np.float32),
        )  # fmt: skip


@pytest.mark.parametrize("kernel", INT8)
def test_ranges_of_zero_do_no_harm(kernel: str) -> None:
    tensors, x = random_tensors(48, 1, False), rows(9, 48)
    ranges = np.zeros((3, 1, 48), np.float32)
    net = Network(48, 1, False, tensors, precision="int8", kernel=kernel, ranges=ranges)
    np.testing.assert_array_equal(through(net, x), slow_blocks(tensors, ranges, x))


@pytest.mark.parametrize(("kernel", "precision"), LOW)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_stay_so(kernel: str, precision: str, value: float) -> None:
    net = Network(48, 2, False, random_tensors(48, 2, False), precision=precision, kernel=kernel)
    x = rows(7, 48)
    want = through(net, x)
    x[2, 5] = value
    got = through(net, x)
    assert not np.isfinite(got[2]).all()
    np.testing.assert_array_equal(np.delete(got, 2, 0), np.delete(want, 2, 0))


def test_weights_too_large_to_be_calibrated_are_refused() -> None:
    tensors = random_tensors(16, 2, False)
    tensors["blocks.0.down.weight"] = np.full((16, 16), 3e38, np.float32)
    with pytest.raises(ValueError, match="these weights, or the ranges given, are not fit for it"):
        Network(16, 2, False, tensors, precision="int8")


@pytest.mark.parametrize("name", [name for name, precision, here in kernels() if not here])
def test_a_kernel_of_other_processors_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"processor cannot run the kernel '{name}'"):
        Network(
            16, 1, False, random_tensors(16, 1, False), precision=name.split("-")[0], kernel=name
        )


def test_x_of_another_width() -> None:
    net = Network(16, 1, False, random_tensors(16, 1, False))
    with pytest.raises(ValueError, match="x has 32 columns, not 16"):
        net.blocks(np.zeros((1, 32), np.float32))
    net.blocks(np.zeros((0, 16), np.float32))
