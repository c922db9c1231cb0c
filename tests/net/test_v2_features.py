"""The v2 features: the C kernel, the torch expansion and plain Python are one function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from contract_observations import for_contracts
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from slow_features import slow_features
from slow_network import value_of

from zebfast import rules
from zebfast.core.engine import Game, GameBatch
from zebfast.core.features import answers, feature_bits, first_gradient, first_layer
from zebfast.core.records import OBS_DTYPE
from zebfast.net.features import GROUPS, N_BITS, N_HAND_BITS, START
from zebfast.net.packing import check_observations
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.features import expand, leave_packed
from zebfast.net.torch.features import first_layer as torch_first_layer
from zebfast.rules import Contract


def unpacked(obs: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8[B, 1024] of zeros and ones by the C kernel."""
    return np.unpackbits(feature_bits(obs), axis=1, bitorder="little")


def names(differing: NDArray[Any]) -> set[str]:
    """The groups that hold these bits, for the message of a failure."""
    return {
        g for g in GROUPS if ((differing >= START[g]) & (differing < START[g] + GROUPS[g])).any()
    }


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """A contract that seat 0 or 2 has, whatever was called before."""
    bid = draw(st.integers(30, 48))
    bidder = draw(st.sampled_from([0, 2]))
    calls = [draw(st.sampled_from([0, 1, *range(30, bid + 1)])) for _ in range(4)]
    calls[bidder] = draw(st.sampled_from([0, bid]))
    marks = draw(st.tuples(st.integers(0, 15), st.integers(0, 15)))
    told = (calls[0], calls[1], calls[2], calls[3])
    return Contract(bid, bidder, draw(st.integers(0, 3)), marks, told)


@given(
    seed=st.integers(0, 2**32),
    decl=st.integers(0, 9),
    choices=st.lists(st.integers(0, 6), min_size=28, max_size=28),
    contract=st.none() | contracts(),
)
@settings(max_examples=60, deadline=None)
def test_three_ways_agree_at_every_ply(
    seed: int, decl: int, choices: list[int], contract: Contract | None
) -> None:
    hands, _, leader = rules.deal(seed, 0)
    leader &= ~1
    slow, game = rules.Position(hands, decl, leader), Game(hands, decl, leader, contract=contract)
    rows, records = [], []
    for choice in choices:
        rows.append(slow_features(slow, contract))
        records.append(game.observation())
        legal = slow.legal()
        slow.play(legal[choice % len(legal)])
        game.play(legal[choice % len(legal)])
    obs = np.array(records, OBS_DTYPE)
    by_c, want = unpacked(obs), np.array(rows)
    assert not names(np.nonzero(by_c != want)[1])
    by_torch = expand(record_bytes(obs)).features.numpy()
    assert not names(np.nonzero(by_torch != want)[1])


def test_expansion_and_kernel_agree_on_many_games() -> None:
    deals = GameBatch.deal(200, seed=1)
    games = GameBatch(deals.hands, np.arange(200) % 10, deals.leader)
    plies = []
    for _ in range(28):
        plies.append(games.observe())
        games.play_random(seed=2)
    obs = np.concatenate(plies)
    batch = expand(record_bytes(obs))
    assert not names(np.nonzero(batch.features.numpy() != unpacked(obs))[1])
    legal = (obs["legal"][:, None] >> np.arange(7)) & 1
    np.testing.assert_array_equal(batch.legal.numpy(), legal)
    np.testing.assert_array_equal(
        batch.in_hand.numpy(), (obs["in_hand"][:, None] >> np.arange(7)) & 1
    )


def test_what_the_others_hold_leaves_no_trace() -> None:
    """Two deals that look the same to the seat to play have the same features."""
    hands, decl, _ = rules.deal(5, 5)
    other = [hands[0], hands[2], hands[3], hands[1]]
    one, two = rules.Position(hands, decl, 0), rules.Position(other, decl, 0)
    assert slow_features(one) == slow_features(two)
    assert len(slow_features(one)) == N_BITS


def test_what_is_left_packed_says_the_same_of_the_slots(observations: NDArray[Any]) -> None:
    """As the learner does it: the observations are the first part of longer rows."""
    longer = torch.zeros(len(observations), 72, dtype=torch.uint8)
    longer[:, : OBS_DTYPE.itemsize] = record_bytes(observations)
    raw = longer[:, : OBS_DTYPE.itemsize]
    slow, fast = expand(raw), leave_packed(raw)
    for name in ("slots", "in_hand", "legal", "aim"):
        ours, theirs = getattr(fast, name), getattr(slow, name)
        assert ours.dtype == theirs.dtype, name
        assert torch.equal(ours, theirs), name


@pytest.mark.parametrize("n_bits", [N_HAND_BITS, N_BITS])
@pytest.mark.parametrize("width", [16, 80, 256])
def test_first_layer_of_packed_rows_is_the_product_with_its_gradients(
    observations: NDArray[Any], width: int, n_bits: int
) -> None:
    observations = for_contracts(observations)
    generator = torch.Generator().manual_seed(width)
    weight = torch.randn(width, n_bits, generator=generator, requires_grad=True)
    bias = torch.randn(width, generator=generator, requires_grad=True)
    given = torch.randn(len(observations), width, generator=generator)
    raw = record_bytes(observations)
    fast = torch_first_layer(raw, weight, bias)
    by_kernel = torch.autograd.grad(fast, (weight, bias), given)
    slow = torch.nn.functional.linear(expand(raw, n_bits).features, weight, bias)
    by_torch = torch.autograd.grad(slow, (weight, bias), given)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-4)
    for ours, theirs in zip(by_kernel, by_torch, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-3)


def test_rows_of_zeros_which_pad_a_batch_are_expanded_too() -> None:
    padding = expand(torch.zeros(3, OBS_DTYPE.itemsize, dtype=torch.uint8))
    assert (padding.slots < 28).all()
    assert not padding.legal.any()


def test_nothing_is_said_of_a_contract_where_there_is_none(observations: NDArray[Any]) -> None:
    assert not unpacked(observations)[:, N_HAND_BITS:].any()
    obs = for_contracts(observations)
    bits = unpacked(obs)
    np.testing.assert_array_equal(bits[:, :N_HAND_BITS], unpacked(observations)[:, :N_HAND_BITS])
    assert ((bits[:, N_HAND_BITS:].sum(axis=1) > 0) == (obs["contract"]["bid"] > 0)).all()
    assert not names(np.nonzero(expand(record_bytes(obs)).features.numpy() != bits)[1])
    few = expand(record_bytes(obs), N_HAND_BITS).features.numpy()
    np.testing.assert_array_equal(few, bits[:, :N_HAND_BITS])


@pytest.mark.parametrize("n_bits", [N_HAND_BITS, N_BITS])
@pytest.mark.parametrize("width", [16, 64, 80, 256])
def test_first_layer_is_the_sum_of_the_rows(
    observations: NDArray[Any], width: int, n_bits: int
) -> None:
    observations = for_contracts(observations)
    rng = np.random.default_rng(width)
    table = rng.standard_normal((n_bits, width)).astype(np.float32)
    bias = rng.standard_normal(width).astype(np.float32)
    out = np.empty((len(observations), width), np.float32)
    first_layer(observations, table, bias, out)
    seen = unpacked(observations)[:, :n_bits]
    for row, bits in zip(out[::97], seen[::97], strict=True):
        want = bias.copy()
        for i in np.flatnonzero(bits):
            want += table[i]  # in this order, so that equality is exact
        np.testing.assert_array_equal(row, want)
    exact = seen.astype(np.float64) @ table + bias
    np.testing.assert_allclose(out, exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize("width", [16, 80, 256])
def test_gradient_of_the_table_adds_rows_one_after_another(
    observations: NDArray[Any], width: int
) -> None:
    rng = np.random.default_rng(width)
    begun = rng.standard_normal((N_BITS, width)).astype(np.float32)
    gradient = rng.standard_normal((len(observations), width)).astype(np.float32)
    out, want = begun.copy(), begun.copy()
    first_gradient(observations, gradient, out)
    for row, bits in zip(gradient, unpacked(observations), strict=True):
        want[np.flatnonzero(bits)] += row  # in this order, so that equality is exact
    np.testing.assert_array_equal(out, want)


def test_answers_are_a_masked_softmax_and_a_difference_of_chances(
    observations: NDArray[Any],
) -> None:
    observations = for_contracts(observations)
    rng = np.random.default_rng(1)
    scores = (5 * rng.standard_normal((len(observations), 71))).astype(np.float32)
    out = np.empty((len(observations), 8), np.float32)
    answers(observations, scores, out)
    batch = expand(record_bytes(observations))
    exact = torch.from_numpy(scores).double()
    logits = exact[:, :28].gather(1, batch.slots).masked_fill(~batch.legal, -torch.inf)
    np.testing.assert_allclose(out[:, :7], torch.softmax(logits, 1), rtol=0, atol=1e-6)
    chances = torch.softmax(exact[:, 28:], 1)
    value = [
        value_of(chance, contract)
        for chance, contract in zip(chances.numpy(), observations["contract"], strict=True)
    ]
    np.testing.assert_allclose(out[:, 7], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("column", [0, 28, 49, 70])
def test_scores_that_are_not_finite_show(
    observations: NDArray[Any], bad: float, column: int
) -> None:
    obs = observations[(observations["hand"] & 1 == 1) & (observations["legal"] & 1 == 1)]
    scores = np.zeros((len(obs), 71), np.float32)
    scores[:, column] = bad
    out = np.zeros((len(obs), 8), np.float32)
    answers(obs, scores, out)
    assert len(obs)
    assert np.isnan(out).any(axis=1).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hand", 0b111111),
        ("hand", 0b111111 | 1 << 30),
        ("decl", 10),
        ("n_plays", 28),
        ("plays", 31),
        ("plays", 200),
        ("contract", (29, 0, 0, 0, (0, 0, 0, 0))),
        ("contract", (49, 0, 0, 0, (0, 0, 0, 0))),
        ("contract", (30, 4, 0, 0, (0, 0, 0, 0))),
        ("contract", (30, 0, 4, 0, (0, 0, 0, 0))),
        ("contract", (30, 0, 0, 0, (0, 2, 0, 0))),
        ("contract", (30, 0, 0, 0, (0, 0, 0, 49))),
    ],
)
def test_a_record_no_seat_could_have_is_named(
    observations: NDArray[Any], field: str, value: Any
) -> None:
    records = observations[:5].copy()
    records[field][3] = value
    with pytest.raises(ValueError, match="observation 3 is not one of a seat to play"):
        check_observations(records)
    with pytest.raises(ValueError, match="observation 3 is not one of a seat to play"):
        feature_bits(records)
    table, out = np.zeros((N_BITS, 16), np.float32), np.zeros((5, 16), np.float32)
    with pytest.raises(ValueError, match="observation 3 is not one of a seat to play"):
        first_layer(records, table, table[0], out)
    with pytest.raises(ValueError, match="observation 3 is not one of a seat to play"):
        first_gradient(records, out, table)


def test_shapes_that_do_not_fit_are_refused(observations: NDArray[Any]) -> None:
    obs = observations[:5]
    table, out = np.zeros((N_BITS, 32), np.float32), np.zeros((5, 32), np.float32)
    for bad_table, bias, bad_out in (
        (table[:-1], table[0], out),
        (
            np.zeros((N_BITS, 24), np.float32),
            np.zeros(24, np.float32),
            np.zeros((5, 24), np.float32),
        ),
        (table, table[0, :16].copy(), out),
        (table, table[0], out[:4]),
    ):
        with pytest.raises(ValueError, match=r"fit|multiple of 16"):
            first_layer(obs, bad_table, bias, bad_out)
    for gradient, bad_table in (
        (out[:4], table),
        (out[:, :16].copy(), table),
        (out, table[:-1]),
        (np.zeros((5, 24), np.float32), np.zeros((N_BITS, 24), np.float32)),
    ):
        with pytest.raises(ValueError, match=r"fit|multiple of 16"):
            first_gradient(obs, gradient, bad_table)
    with pytest.raises(ValueError, match="scores have shape"):
        answers(obs, np.zeros((5, 70), np.float32), np.zeros((5, 8), np.float32))
    with pytest.raises(ValueError, match="out has shape"):
        answers(obs, np.zeros((5, 71), np.float32), np.zeros((4, 8), np.float32))
    with pytest.raises(ValueError, match="packed observations"):
        feature_bits(np.zeros(3))
    assert feature_bits(obs[:0]).shape == (0, N_BITS // 8)
