"""The network in the core: every kernel says what the definition says, whatever the batch."""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from contract_observations import for_contracts
from numpy.typing import NDArray
from slow_network import random_tensors, slow_network

from zebfast.benchmark.workload import mixed_observations
from zebfast.core.network import Network, kernels

FP32 = [name for name, precision, _ in kernels() if precision == "fp32"]
HERE = [name for name, precision, supported in kernels() if precision == "fp32" and supported]
#: Kernels with fused products: the same sums in the same order, so the same bits.
FUSED = [name for name in HERE if name != "fp32-baseline" or platform.machine() != "x86_64"]
SHAPES = [(16, 1, False), (48, 2, True), (80, 1, True), (128, 2, False), (256, 3, True)]
SHAPES += [(272, 1, False), (512, 2, True)]


@pytest.fixture(scope="module")
def observations() -> NDArray[Any]:
    """OBS_DTYPE[840] of every ply, in no order."""
    return np.random.default_rng(0).permutation(mixed_observations(840))


def made(shape: tuple[int, int, bool], **how: Any) -> Network:
    return Network(*shape, random_tensors(*shape), **how)


def evaluated(net: Network, obs: NDArray[Any]) -> NDArray[np.float32]:
    evals = np.full((len(obs), 8), np.nan, np.float32)
    net.evaluate(obs, evals)
    return evals


@pytest.mark.parametrize("kernel", HERE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_says_what_the_definition_says(
    observations: NDArray[Any], shape: tuple[int, int, bool], kernel: str
) -> None:
    obs, net = observations[:97], made(shape, kernel=kernel)
    want = slow_network(random_tensors(*shape), obs)
    np.testing.assert_allclose(evaluated(net, obs), want.evals, rtol=0, atol=1e-5)
    scores, belief = net.scores(obs)
    np.testing.assert_allclose(scores, want.scores, rtol=0, atol=2e-5)
    if belief is not None:
        np.testing.assert_allclose(belief, want.belief, rtol=0, atol=2e-5)


@pytest.mark.parametrize("n_bits", [856, 1024])
@pytest.mark.parametrize("shape", [(48, 2, True), (256, 3, True), (272, 1, False)], ids=str)
def test_plays_for_the_contract(
    observations: NDArray[Any], shape: tuple[int, int, bool], n_bits: int
) -> None:
    obs, tensors = for_contracts(observations[:97]), random_tensors(*shape, n_bits=n_bits)
    want = slow_network(tensors, obs)
    for kernel in HERE:
        net = Network(*shape, tensors, kernel=kernel)
        assert net.contract == (n_bits == 1024)
        np.testing.assert_allclose(evaluated(net, obs), want.evals, rtol=0, atol=1e-5)
    assert not np.allclose(want.evals[:, 7], slow_network(tensors, observations[:97]).evals[:, 7])


@pytest.mark.parametrize(
    ("precision", "kernel"), [(precision, name) for name, precision, can in kernels() if can]
)
def test_rows_that_a_network_lacks_count_as_zeros(
    observations: NDArray[Any], precision: str, kernel: str
) -> None:
    """And what it says of hands without a contract is what it said before there were any."""
    obs, old = for_contracts(observations), random_tensors(48, 2, True)
    first = np.zeros((48, 1024), np.float32)
    first[:, :856] = old["first.weight"]
    how = {"precision": precision, "kernel": kernel}
    few, many = (
        Network(48, 2, True, old, **how),
        Network(48, 2, True, {**old, "first.weight": first}, **how),
    )
    np.testing.assert_array_equal(evaluated(few, obs), evaluated(many, obs))
    for rows in (obs["contract"]["bid"] == 0, obs["contract"]["bid"] > 0):
        np.testing.assert_array_equal(
            evaluated(few, obs[rows])[:, :7], evaluated(few, observations[rows])[:, :7]
        )
    assert many.nbytes > few.nbytes


@pytest.mark.parametrize("kernel", HERE)
@pytest.mark.parametrize("shape", [(256, 3, True), (48, 2, True)], ids=str)
def test_a_row_does_not_depend_on_its_batch_or_place(
    observations: NDArray[Any], shape: tuple[int, int, bool], kernel: str
) -> None:
    net = made(shape, kernel=kernel)
    many = np.tile(observations, 5)[:4096]
    whole, scores, belief = evaluated(net, many), *net.scores(many)
    for n in (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 17, 31, 63, 64, 65, 127, 129, 500, 1000, 4095):
        first = 4096 - n if n % 2 else 7 * n % (4096 - n)
        part = many[first : first + n]
        np.testing.assert_array_equal(evaluated(net, part), whole[first : first + n])
        some, some_belief = net.scores(part)
        np.testing.assert_array_equal(some, scores[first : first + n])
        np.testing.assert_array_equal(some_belief, belief[first : first + n])  # type: ignore[index]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("width", [16, 48, 256])
@pytest.mark.parametrize("n_bits", [856, 1024])
def test_lower_precisions_sum_the_first_layer_in_13_bits(
    observations: NDArray[Any], width: int, precision: str, n_bits: int
) -> None:
    """Blocks that add nothing, so that the first layer shows: each column in units of its own."""
    observations = for_contracts(observations)
    tensors = random_tensors(width, 1, True, n_bits=n_bits)
    tensors["blocks.0.down.weight"][:] = tensors["blocks.0.down.bias"][:] = 0
    tensors["first.weight"][1] = 0
    first = tensors["first.weight"]
    most = np.abs(first).max(1, keepdims=True)
    whole = np.rint(np.divide(first, most, where=most > 0, out=np.zeros_like(first)) * 4095)
    rounded = whole.astype(np.float64) * (most / np.float32(4095))
    same = {**tensors, "first.weight": rounded.astype(np.float32)}
    want = Network(width, 1, True, same).scores(observations)[0]
    for name, p, can in kernels():
        if p == precision and can:
            net = Network(width, 1, True, tensors, precision=precision, kernel=name)
            np.testing.assert_allclose(net.scores(observations)[0], want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fused_kernels_give_the_same_bits(
    observations: NDArray[Any], shape: tuple[int, int, bool]
) -> None:
    answers = [evaluated(made(shape, kernel=name), observations) for name in FUSED]
    for other in answers[1:]:
        np.testing.assert_array_equal(other, answers[0])


def test_several_threads_at_once_with_one_network(observations: NDArray[Any]) -> None:
    net = made((128, 2, True))
    want = evaluated(net, observations)

    def work(first: int) -> bool:
        parts = [observations[first : first + n] for n in (1, 7, 64, 300)]
        return all(
            np.array_equal(evaluated(net, part), want[first : first + len(part)])
            for _ in range(20)
            for part in parts
        )

    with ThreadPoolExecutor(24) as pool:  # more than scratches are kept for
        assert all(pool.map(work, range(0, 480, 10)))


def test_what_it_is_made_of_may_change_afterwards(observations: NDArray[Any]) -> None:
    shape, tensors = (48, 2, True), random_tensors(48, 2, True)
    net = Network(*shape, tensors)
    before = evaluated(net, observations)
    for tensor in tensors.values():
        tensor[:] = 0
    np.testing.assert_array_equal(evaluated(net, observations), before)


def test_it_says_what_it_is() -> None:
    net = made((48, 2, True), precision="fp32")
    assert (net.width, net.n_blocks, net.belief_head) == (48, 2, True)
    assert (net.precision, net.kernel) == ("fp32", HERE[0])
    assert net.nbytes > 4 * (856 * 48 + 4 * 48 * 48 + 155 * 48)
    assert made((48, 2, False), kernel="fp32-baseline").kernel == "fp32-baseline"


def test_transposed_and_strided_tensors_are_read_as_they_stand(observations: NDArray[Any]) -> None:
    tensors = random_tensors(48, 2, False)
    odd = {
        name: np.asfortranarray(np.repeat(t, 2, axis=-1))[..., ::2] for name, t in tensors.items()
    }
    want = evaluated(Network(48, 2, False, tensors), observations[:9])
    np.testing.assert_array_equal(evaluated(Network(48, 2, False, odd), observations[:9]), want)


@pytest.mark.parametrize(
    "sizes", [(0, 1), (-16, 1), (24, 1), (4112, 1), (16, 0), (16, -1), (16, 65)]
)
def test_no_network_of_such_a_size(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"width -?\d+ is not a multiple|n_blocks must be from"):
        Network(*sizes, False, {})


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("blocks.1.up.weight", None, "lack 'blocks.1.up.weight'"),
        ("blocks.2.up.weight", np.zeros((48, 48), np.float32), "have 'blocks.2.up.weight'"),
        (7, np.zeros(3, np.float32), "have 7"),
        ("first.weight", np.zeros((856, 48), np.float32), "shape .856, 48. instead of .48, 856."),
        ("norm.bias", np.zeros((48, 1), np.float32), "shape .48, 1. instead of .48."),
        ("norm.bias", np.zeros(48), "float32, not float64"),
        ("norm.bias", [0.0] * 48, "float32, not list"),
        ("norm.bias", np.full(48, np.nan, np.float32), "'norm.bias' holds NaN or infinite"),
        ("first.weight", np.full((48, 856), -np.inf, np.float32), "'first.weight' holds NaN"),
    ],
)
def test_tensors_that_do_not_fit_are_named(name: Any, tensor: Any, message: str) -> None:
    tensors: dict[Any, Any] = {**random_tensors(48, 2, False), name: tensor}
    if tensor is None:
        del tensors[name]
    with pytest.raises(ValueError, match=message):
        Network(48, 2, False, tensors)


def test_a_belief_head_is_there_or_it_is_not() -> None:
    with pytest.raises(ValueError, match=r"lack 'belief_proj.bias'"):
        Network(16, 1, True, random_tensors(16, 1, False))
    with pytest.raises(ValueError, match=r"have 'belief_proj.bias'"):
        Network(16, 1, False, random_tensors(16, 1, True))


def test_kernels_that_there_are_not() -> None:
    with pytest.raises(
        ValueError, match=r"cannot be run in 'fp8' on this machine, only in: .*fp32"
    ):
        made((16, 1, False), precision="fp8")
    with pytest.raises(ValueError, match=r"no kernel 'fast' for fp32; there are: .*fp32-baseline"):
        made((16, 1, False), kernel="fast")
    for name in set(FP32) - set(HERE):
        with pytest.raises(ValueError, match=f"processor cannot run the kernel '{name}'"):
            made((16, 1, False), kernel=name)


def test_numbers_too_large_for_float32_show(observations: NDArray[Any]) -> None:
    """Finite weights whose sums are not: nothing hides it."""
    tensors = random_tensors(16, 1, False)
    tensors["blocks.0.down.weight"] = np.full((16, 16), 3e38, np.float32)
    for kernel in HERE:
        assert np.isnan(
            evaluated(Network(16, 1, False, tensors, kernel=kernel), observations)
        ).any()


@pytest.mark.parametrize("place", [0, 5, 64, 199])
@pytest.mark.parametrize(
    ("field", "value"), [("hand", 0b111111), ("decl", 10), ("n_plays", 28), ("plays", 31)]
)
def test_a_record_no_seat_could_have_is_named(
    observations: NDArray[Any], field: str, value: int, place: int
) -> None:
    records, net = observations[:200].copy(), made((16, 1, True))
    records[field][place] = value
    with pytest.raises(ValueError, match=f"observation {place} is not one of a seat to play"):
        net.evaluate(records, np.empty((200, 8), np.float32))
    with pytest.raises(ValueError, match=f"observation {place} is not one of a seat to play"):
        net.scores(records)


def test_arrays_that_do_not_fit_are_refused(observations: NDArray[Any]) -> None:
    net, obs = made((16, 1, True)), observations[:5]
    for evals in (np.zeros((4, 8), np.float32), np.zeros((5, 7), np.float32)):
        with pytest.raises(ValueError, match=r"evals has shape \[\d, \d\], not \[5, 8\]"):
            net.evaluate(obs, evals)
    for evals in (np.zeros((5, 8)), np.zeros((5, 16), np.float32)[:, ::2]):
        with pytest.raises(ValueError, match=r"not C-contiguous|Buffer dtype"):
            net.evaluate(obs, evals)
    with pytest.raises(ValueError, match=r"packed observations"):
        net.evaluate(np.zeros(5), np.zeros((5, 8), np.float32))
    net.evaluate(obs[:0], np.zeros((0, 8), np.float32))
    assert net.scores(obs[:0])[0].shape == (0, 71)
