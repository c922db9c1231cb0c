"""Learning from play values: the loss against its definition, and a network that learns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zebfast.core.observe import games_to_examples
from zebfast.core.records import EXAMPLE_HAS_PLAY_VALUES
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.replay import ReplayMixture, packed_rows
from zebfast.learner.train.losses import (
    SELFPLAY_WEIGHTS,
    TEACHER_WEIGHTS,
    Batch,
    compute_losses,
    unpack_batch,
)
from zebfast.learner.train.trainer import Trainer
from zebfast.net import checkpoint as model_file
from zebfast.net.torch.encoding import TokenBatch, expand
from zebfast.net.torch.output import Output
from zebfast.net.v2 import V2Config
from zebfast.selfplay.play_values import (
    CONTRACT_EPSILON,
    EPSILON,
    TAU,
    labelled_examples,
    pack,
    unpack,
)

Games = NDArray[Any]
TINY = V2Config(width=32, n_blocks=1, belief_head=True)


@pytest.fixture
def taught(make_games: Callable[..., Games]) -> Games:
    """Labelled decisions of four games, of means over worlds: no whole points.

    Every other one is of a hand with a contract.
    """
    records = games_to_examples(make_games(4, seed=5))
    records["obs"]["contract"]["bid"][::2] = 31
    legal = records["obs"]["legal"][:, None] >> np.arange(7) & 1 == 1
    rng = np.random.default_rng(1)
    points = np.round(rng.uniform(0, 42, legal.shape) * 8) / 8
    labels = pack(points, np.clip((points - 21) / 10, -1, 1))
    records["policy"] = np.where(legal & (legal.sum(1) > 1)[:, None], labels, 0)
    return labelled_examples(records)


def batch_of(records: Games) -> Batch[TokenBatch]:
    return unpack_batch(torch.from_numpy(packed_rows(records)), expand)


def output_of(n: int, seed: int = 0) -> Output:
    rng = np.random.default_rng(seed)
    shapes = ((n, 7), (n,), (n, 28, 3), (n, 43))
    parts = [torch.from_numpy(rng.normal(size=shape)) for shape in shapes]
    return Output(*(part.requires_grad_() for part in parts))


def twin(record: Any, logits: NDArray[Any], log_p: NDArray[Any]) -> tuple[float, float, float]:
    """(play loss, points loss, balance of the favourite) of one decision, written out."""
    slots = [s for s in range(7) if record["policy"][s]]
    points, balance = unpack(record["policy"])
    per_point = CONTRACT_EPSILON if record["obs"]["contract"]["bid"] else EPSILON
    wanted = np.array([balance[s] + per_point * (2 * points[s] - 42) for s in slots])
    said = TAU * logits[slots]
    error = (said - said.mean()) - (wanted - wanted.mean())
    liked = slots[int(np.argmax(logits[slots]))]
    low = int(points[liked])
    share = points[liked] - low
    cross_entropy = -(1 - share) * log_p[low] - (share * log_p[low + 1] if share else 0.0)
    return float((error**2).sum() / (len(slots) - 1)), cross_entropy, float(balance[liked])


def test_losses_are_those_of_the_definition(taught: Games) -> None:
    output, batch = output_of(len(taught)), batch_of(taught)
    losses = compute_losses(output, batch)
    assert output.points is not None
    log_p = output.points.log_softmax(1).detach().numpy()
    logits = output.policy.detach().numpy()
    rows = [twin(*row) for row in zip(taught, logits, log_p, strict=True)]
    play, points, balance = np.array(rows).T
    np.testing.assert_allclose(float(losses.q), play.mean(), rtol=1e-5)
    np.testing.assert_allclose(float(losses.points), points.mean(), rtol=1e-5)
    value = ((output.value.detach().numpy() - balance) ** 2).mean()
    np.testing.assert_allclose(float(losses.value), value, rtol=1e-5)
    terms = np.array([play.mean(), points.mean(), float(losses.belief)])
    np.testing.assert_allclose(float(losses.total.detach()), TEACHER_WEIGHTS @ terms, rtol=1e-5)
    np.testing.assert_allclose(losses.counts[:2], 0)


def test_the_utilities_as_logits_are_the_perfect_answer(taught: Games) -> None:
    """Up to a constant of the row: no loss, and the policy is the one that is reported."""
    points, balance = unpack(taught["policy"])
    per_point = np.where(taught["obs"]["contract"]["bid"] > 0, CONTRACT_EPSILON, EPSILON)
    utility = balance + per_point[:, None] * (2 * points - 42)
    logits = torch.from_numpy(utility / TAU + np.arange(len(taught))[:, None])
    batch = batch_of(taught)
    losses = compute_losses(output_of(len(taught))._replace(policy=logits), batch)
    assert float(losses.q) == pytest.approx(0.0, abs=1e-8)
    legal = torch.from_numpy(taught["policy"] > 0)
    policy = logits.masked_fill(~legal, -torch.inf).softmax(1)
    torch.testing.assert_close(batch.policy.double(), policy, atol=1e-5, rtol=1e-4)


def test_only_legal_plays_of_labelled_rows_are_pulled(
    taught: Games, make_games: Callable[..., Games]
) -> None:
    """Beside self-play, each source moves the policy by its own loss, as it does alone."""
    plain = games_to_examples(make_games(2, seed=3))
    output = output_of(len(taught) + len(plain))
    losses = compute_losses(output, batch_of(np.concatenate([taught, plain])))
    losses.total.backward()
    gradient = output.policy.grad
    assert gradient is not None
    legal = torch.from_numpy(taught["policy"] > 0)
    assert (gradient[: len(taught)][legal] != 0).all()
    assert (gradient[: len(taught)][~legal] == 0).all()
    alone = output.policy[len(taught) :].detach().requires_grad_()
    value = output.value[len(taught) :].detach()
    compute_losses(Output(alone, value, None), batch_of(plain)).total.backward()
    assert alone.grad is not None
    torch.testing.assert_close(gradient[len(taught) :], alone.grad)
    assert losses.counts[:, 4].tolist() == [0, 0, len(taught)]


def test_weights_of_play_values_are_their_own(taught: Games) -> None:
    output = output_of(len(taught))
    silent = torch.tensor([SELFPLAY_WEIGHTS, SELFPLAY_WEIGHTS, (0.0, 0.0, 0.0)])
    compute_losses(output, batch_of(taught), silent).total.backward()
    for part in (output.policy, output.points, output.belief):
        assert part is not None
        assert part.grad is not None
        assert (part.grad == 0).all()


def test_a_network_learns_play_values(
    taught: Games, make_config: Callable[..., LearnerConfig]
) -> None:
    config = make_config(lr=0.01, batch_size=64)
    sources = ReplayMixture(config)
    sources.selfplay.add(taught)
    trainer = Trainer(model_file.fresh(TINY, seed=0).network(), config)
    first = trainer.train(sources, n_steps=1, should_stop=lambda: False).means
    trainer.train(sources, n_steps=80, should_stop=lambda: False)
    last = trainer.train(sources, n_steps=1, should_stop=lambda: False).means
    assert last["play_loss"] < 0.3 * first["play_loss"]
    assert last["policy_loss"] < first["policy_loss"]
    assert last["taught_play_loss"] == pytest.approx(last["play_loss"])
    assert not any(name.startswith("selfplay") for name in last)


def test_runs_without_play_values_say_nothing_of_them(
    make_games: Callable[..., Games], make_config: Callable[..., LearnerConfig]
) -> None:
    config = make_config()
    sources = ReplayMixture(config)
    sources.selfplay.add(games_to_examples(make_games(2, seed=3)))
    assert not (sources.selfplay.contents()["flags"] & EXAMPLE_HAS_PLAY_VALUES).any()
    trainer = Trainer(model_file.fresh(TINY, seed=0).network(), config)
    means = trainer.train(sources, n_steps=2, should_stop=lambda: False).means
    assert not [name for name in means if "play_loss" in name or "taught" in name]
