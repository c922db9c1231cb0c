"""The loss on packed batches against its definition written out in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from taught import taught_games

from zebfast.core.observe import games_to_examples
from zebfast.core.records import EXAMPLE_EVAL_AUX
from zebfast.learner.data.replay import packed_rows
from zebfast.learner.train.losses import (
    SELFPLAY_WEIGHTS,
    TEACHER_WEIGHTS,
    compute_diagnostics,
    compute_losses,
    unpack_batch,
    unpack_batches,
)
from zebfast.net.torch.encoding import expand
from zebfast.net.torch.features import leave_packed
from zebfast.net.torch.output import Output
from zebfast.selfplay.play_values import labelled_examples


def log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def twin(records: np.ndarray, policy: np.ndarray, value: np.ndarray, belief: np.ndarray | None):
    """(policy, value, belief, points loss), one row and one domino at a time; no points head."""
    policy_terms, belief_terms = [], []
    for i, record in enumerate(records):
        slots = [s for s in range(7) if record["obs"]["in_hand"] >> s & 1]
        if record["flags"] & 1:
            weights = record["policy"].astype(float)
            log_p = log_softmax(policy[i][slots])
            policy_terms.append(-(weights[slots] / weights.sum() * log_p).sum())
        if record["flags"] & 2 and belief is not None:
            for domino in range(28):
                if record["obs"]["hand"] >> domino & 1:
                    continue
                owner = 0 if record["left"] >> domino & 1 else 1
                owner = owner if owner == 0 or record["partner"] >> domino & 1 else 2
                belief_terms.append(-log_softmax(belief[i, domino])[owner])
    value_loss = ((value - records["value"]) ** 2).mean()
    means = [float(np.mean(t)) if t else 0.0 for t in (policy_terms, belief_terms)]
    return means[0], value_loss, means[1], 0.0


@pytest.mark.parametrize("with_belief", [False, True])
@pytest.mark.parametrize("flags", [[3], [3, 0, 1, 2], [0]])
def test_losses_are_those_of_the_definition(
    make_games: Callable[..., np.ndarray], with_belief: bool, flags: list[int]
) -> None:
    records = games_to_examples(make_games(2, seed=3))
    records["flags"] = np.resize(flags, len(records))
    rng = np.random.default_rng(0)
    policy, value = rng.normal(size=(56, 7)), np.tanh(rng.normal(size=56))
    belief = rng.normal(size=(56, 28, 3)) if with_belief else None
    output = Output(
        torch.from_numpy(policy),
        torch.from_numpy(value),
        None if belief is None else torch.from_numpy(belief),
    )
    batch = unpack_batch(torch.from_numpy(packed_rows(records)), expand)
    losses = compute_losses(output, batch)
    expected = twin(records, policy, value, belief)
    found = [float(x) for x in (losses.policy, losses.value, losses.belief, losses.points)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    total = expected[0] + expected[1] + 0.5 * expected[2]
    np.testing.assert_allclose(float(losses.total), total, rtol=1e-5)


def test_points_teach_the_value_of_a_network_that_predicts_them(
    make_games: Callable[..., np.ndarray],
) -> None:
    """Known points by their bin, a known winner by its bins, a value between by its share."""
    records = games_to_examples(make_games(2, seed=3))
    half = len(records) // 2
    records["flags"][half:] = 3
    records["value"][-3:] = (0.0, 0.25, -0.5)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(len(records), 43))
    policy, value = torch.zeros(len(records), 7), torch.zeros(len(records), requires_grad=True)
    points = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    batch = unpack_batch(torch.from_numpy(packed_rows(records)), expand)
    losses = compute_losses(Output(policy, value, None, points), batch)

    expected = []
    for i, (record, log_p) in enumerate(zip(records, log_softmax(logits), strict=True)):
        if i < half:
            expected.append(-log_p[record["flags"] >> 8])
            continue
        lost, tie, won = np.exp(log_p[:21]).sum(), np.exp(log_p[21]), np.exp(log_p[22:]).sum()
        share = float(abs(record["value"]))
        side = won if record["value"] > 0 else lost
        expected.append(-share * np.log(side) - (1 - share) * np.log(tie))
    assert float(losses.points) == pytest.approx(np.mean(expected), rel=1e-5)
    squared = float((records["value"] ** 2).mean())
    assert float(losses.value) == pytest.approx(squared, rel=1e-5)  # told, but not trained
    total = float(losses.total.detach())
    assert total == pytest.approx(float(losses.policy + losses.points), rel=1e-6)
    losses.total.backward()
    assert value.grad is None or not value.grad.any()
    assert points.grad is not None
    assert torch.isfinite(points.grad).all()
    assert (points.grad.abs().sum(1) > 0).all()


def test_a_value_weight_of_zero_silences_the_points(make_games: Callable[..., np.ndarray]) -> None:
    records = games_to_examples(make_games(2, seed=3))
    is_eval = np.arange(56) >= 40
    records["flags"][is_eval] |= EXAMPLE_EVAL_AUX
    points = torch.zeros(56, 43, requires_grad=True)
    zeros = torch.zeros(56)
    batch = unpack_batch(torch.from_numpy(packed_rows(records)), expand)
    weights = torch.tensor([SELFPLAY_WEIGHTS, (1.0, 0.0, 1.0), TEACHER_WEIGHTS])
    losses = compute_losses(Output(torch.zeros(56, 7), zeros, None, points), batch, weights)
    losses.total.backward()
    assert points.grad is not None
    assert (points.grad[:40].abs().sum(1) > 0).all()
    assert (points.grad[40:] == 0).all()
    np.testing.assert_allclose(losses.counts[:, 3], [40, 16, 0])


@pytest.mark.parametrize("eval_weights", [(1.0, 1.0, 0.5), (0.0, 1.0, 0.5), (0.3, 0.0, 2.0)])
def test_every_source_has_its_weights(
    make_games: Callable[..., np.ndarray], eval_weights: tuple[float, float, float]
) -> None:
    records = games_to_examples(make_games(2, seed=3))
    is_eval = np.arange(56) % 3 == 0
    records["flags"] = np.where(is_eval, 3 | EXAMPLE_EVAL_AUX, 3)
    rng = np.random.default_rng(0)
    policy, value = rng.normal(size=(56, 7)), np.tanh(rng.normal(size=56))
    belief = rng.normal(size=(56, 28, 3))
    weights = torch.tensor([SELFPLAY_WEIGHTS, eval_weights, TEACHER_WEIGHTS])
    output = Output(*(torch.from_numpy(x) for x in (policy, value, belief)))
    batch = unpack_batch(torch.from_numpy(packed_rows(records)), expand)
    losses = compute_losses(output, batch, weights)

    by_source = [twin(records[m], policy[m], value[m], belief[m]) for m in (~is_eval, is_eval)]
    n_rows = np.array([[m.sum(), m.sum(), 21 * m.sum(), 0, 0] for m in (~is_eval, is_eval)])
    np.testing.assert_allclose(losses.counts, [*n_rows, np.zeros(5)])
    np.testing.assert_allclose(losses.sums[:2, :4], n_rows[:, :4] * by_source, rtol=1e-4)
    n_rows, by_source = n_rows[:, :3], np.array(by_source)[:, :3]
    part = n_rows * (weights.numpy()[:2] > 0)
    means = (part * by_source).sum(0) / part.sum(0)
    found = [float(x) for x in (losses.policy, losses.value, losses.belief)]
    np.testing.assert_allclose(found, means, rtol=1e-4)
    total = ((part * weights.numpy()[:2] * by_source).sum(0) / part.sum(0)).sum()
    np.testing.assert_allclose(float(losses.total), total, rtol=1e-4)


def test_policy_of_weight_zero_has_no_gradient(make_games: Callable[..., np.ndarray]) -> None:
    """The very numbers of a batch without those rows, for the policy."""
    records = games_to_examples(make_games(2, seed=3))
    is_eval = np.arange(56) >= 40
    mixed = records.copy()
    mixed["flags"][is_eval] |= EXAMPLE_EVAL_AUX
    gradients = []
    for rows, weights in (
        (mixed, torch.tensor([[1, 0, 0], [0, 0, 0], [0, 0, 0]])),
        (records[:40], None),
    ):
        policy = torch.zeros(len(rows), 7, requires_grad=True)
        zeros = torch.zeros(len(rows))
        batch = unpack_batch(torch.from_numpy(packed_rows(rows)), expand)
        compute_losses(Output(policy, zeros, None), batch, weights).total.backward()
        assert policy.grad is not None
        gradients.append(policy.grad)
    torch.testing.assert_close(gradients[0][:40], gradients[1])
    assert (gradients[0][40:] == 0).all()


def test_gradients_are_finite_and_spare_played_slots(
    make_games: Callable[..., np.ndarray],
) -> None:
    records = games_to_examples(make_games(2, seed=3))
    batch = unpack_batch(torch.from_numpy(packed_rows(records)), expand)
    policy = torch.zeros(56, 7, requires_grad=True)
    output = Output(policy, torch.zeros(56, requires_grad=True), None)
    compute_losses(output, batch).total.backward()
    assert policy.grad is not None
    assert torch.isfinite(policy.grad).all()
    assert (policy.grad[~batch.inputs.in_hand] == 0).all()


def test_diagnostics_of_a_perfect_policy(make_games: Callable[..., np.ndarray]) -> None:
    records = games_to_examples(make_games(2, seed=3))
    batch = unpack_batch(torch.from_numpy(packed_rows(records)), expand)
    logits = batch.policy.clamp(min=1e-9).log()
    entropy, top1, kl, mean, std, target, _ = compute_diagnostics(
        Output(logits, batch.value, None), batch
    ).tolist()
    assert top1 == 1.0
    assert kl == pytest.approx(0.0, abs=1e-5)
    assert entropy > 0.0
    assert mean == pytest.approx(target)
    assert std == pytest.approx(float(records["value"].std()), rel=1e-5)


@pytest.mark.parametrize("has_teacher", [False, True])
def test_batches_unpacked_together_are_those_unpacked_alone(
    make_games: Callable[..., np.ndarray], has_teacher: bool
) -> None:
    records = games_to_examples(make_games(3, seed=3))
    if has_teacher:
        labelled = labelled_examples(games_to_examples(taught_games(1, seed=4)))
        records[10 : 10 + len(labelled)] = labelled
    rows = torch.from_numpy(packed_rows(records)).view(3, 28, -1)
    for prepare in (expand, leave_packed):
        together = unpack_batches(rows, prepare, has_teacher=has_teacher)
        for batch, alone in zip(together, rows, strict=True):
            same(batch, unpack_batch(alone, prepare, has_teacher=has_teacher))


def same(ours: Any, theirs: Any) -> None:
    """Of tensors: bits, and how they lie in memory."""
    assert type(ours) is type(theirs)
    if isinstance(ours, torch.Tensor):
        assert (ours.dtype, ours.stride()) == (theirs.dtype, theirs.stride())
        assert torch.equal(ours, theirs)
    elif ours is not None:
        for mine, other in zip(ours, theirs, strict=True):
            same(mine, other)
