"""The learner with a network of tokenizer v2: what it trains on, tells, continues and refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learning import run, state_of

from zebfast.core.observe import games_to_examples
from zebfast.exchange import LocalWeightStore
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.replay import ReplayMixture
from zebfast.learner.metrics import read_metrics
from zebfast.learner.resume import StartError
from zebfast.learner.state import load_checkpoint
from zebfast.learner.train import trainer as train
from zebfast.learner.train.losses import LOSSES, compute_diagnostics, compute_losses, unpack_batch
from zebfast.learner.train.trainer import Trainer
from zebfast.net import checkpoint as model_file
from zebfast.net.torch.modules import build
from zebfast.net.v1 import NetConfig
from zebfast.net.v2 import V2Config
from zebfast.selfplay.examples_pt import write_pt

Make = Callable[..., LearnerConfig]
AddFile = Callable[..., str]
TINY_V2 = V2Config(width=16, n_blocks=1, belief_head=True)
TINY_V1 = NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=16, belief_head=True)


@pytest.fixture
def v2_path(tmp_path: Path) -> Path:
    """A tiny fresh v2 checkpoint."""
    path = tmp_path / "v2.pt"
    model_file.save(model_file.fresh(TINY_V2, seed=1), path)
    return path


def test_examples_of_either_tokenizer_teach_it(
    make_config: Make, add_file: AddFile, v2_path: Path
) -> None:
    """The games are what is learned from, whichever network played them."""
    config = make_config(checkpoint=v2_path, max_cycles=2, eval_every=2, eval_games=4)
    add_file(config.examples.path, 1, tokenizer="v1")
    add_file(config.examples.path, 2, tokenizer="v2")
    lines = run(config)
    assert "Ingested 112 examples from 2 files [buffer: 112]" in lines
    [first, _] = [line for line in lines if line.startswith("Cycle")]
    told = ("policy_loss=", ", value_loss=", ", belief_loss=", ", points_loss=", " (train=")
    assert sorted(told, key=first.index) == list(told)
    assert any(line.startswith("Eval     2: vs random") for line in lines)
    row = read_metrics(config.metrics_path)[0]
    for name in ("points_loss", "selfplay_points_loss", "value_loss", "belief_acc", "grad_norm"):
        assert row[f"train/{name}"] > 0, name
    assert row["train/grad_norm_value_head"] > 0
    assert LocalWeightStore(config.stores.state_dir, config.namespace).read_config() == (
        TINY_V2.to_dict()
    )


def test_a_v1_network_tells_nothing_of_points(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=1)
    add_file(config.examples.path, 1, tokenizer="v2")
    assert not any("points" in line for line in run(config))
    assert not any("points" in name for name in read_metrics(config.metrics_path)[0])


def test_files_without_points_are_used_and_that_is_said_once(
    make_config: Make, make_games: Callable[..., np.ndarray], v2_path: Path
) -> None:
    config = make_config(checkpoint=v2_path, max_cycles=1)
    config.examples.path.mkdir(parents=True)
    for number in (1, 2):
        metadata = {"worker_id": "w", "model_step": 0, "n_games": 2, "timestamp": number,
                    "source": "selfplay-mcts"}  # fmt: skip
        path = config.examples.path / f"w_{number}_ab.pt"
        write_pt(path, make_games(2, seed=number), metadata)
    lines = run(config)
    [said] = [line for line in lines if "final points" in line]
    assert "w_1_ab.pt has no final points" in said
    assert "learns from it who won" in said
    assert read_metrics(config.metrics_path)[0]["train/points_loss"] > 0


def test_two_and_two_cycles_are_four(make_config: Make, add_file: AddFile, v2_path: Path) -> None:
    whole = make_config("whole", checkpoint=v2_path, max_cycles=4)
    halves = make_config("halves", checkpoint=v2_path, max_cycles=2)
    for config in (whole, halves):
        add_file(config.examples.path, 1)
    run(whole)
    run(halves)
    lines = run(halves)
    assert any(line.startswith("Continuing model.ckpt from cycle 2") for line in lines)
    ours, theirs = (load_checkpoint(config.checkpoint_path) for config in (whole, halves))
    assert ours is not None
    assert theirs is not None
    for name, weight in ours.model_state_dict.items():
        assert np.array_equal(weight, theirs.model_state_dict[name]), name


def test_networks_of_the_two_tokenizers_do_not_mix(
    make_config: Make, init_path: Path, v2_path: Path
) -> None:
    for own, other in ((init_path, v2_path), (v2_path, init_path)):
        config = make_config(own.stem, checkpoint=own, max_minutes=1e-9)
        run(config)
        with pytest.raises(StartError, match="different network") as caught:
            run(replace(config, checkpoint=other))
        assert "'tokenizer': 'v1'" in str(caught.value)
        assert "'tokenizer': 'v2'" in str(caught.value)
        assert state_of(config)["step"] == 0


def test_training_state_of_the_other_tokenizer_is_not_continued(
    make_config: Make, add_file: AddFile, v2_path: Path
) -> None:
    """Another network put in the namespace's place: its weights, and a fresh optimizer."""
    config = make_config(max_cycles=1)
    add_file(config.examples.path, 1)
    run(config)
    new = model_file.load(v2_path)
    store = LocalWeightStore(config.stores.state_dir, config.namespace)
    store.publish(new.weights, new.config.to_dict(), {**state_of(config), "step": 7})
    lines = run(replace(config, checkpoint=None))
    assert any("fresh optimizer" in line for line in lines)
    assert any(line.startswith("Cycle    8:") for line in lines)
    saved = load_checkpoint(config.checkpoint_path)
    assert saved is not None
    assert saved.model_config == TINY_V2.to_dict()


@pytest.mark.parametrize("config", [TINY_V2, TINY_V1])
def test_no_step_waits_for_the_device(config: V2Config | NetConfig) -> None:
    """On the meta device, which has no values, whatever would read one on the host raises."""
    with torch.device("meta"):
        net = build(config)
        raw = torch.zeros(8, 72, dtype=torch.uint8)
        weights = torch.zeros(3, 3)
    batch = unpack_batch(raw, net.prepare)
    output = net.run(batch.inputs)
    losses = compute_losses(output, batch, weights)
    losses.total.backward()
    assert losses.sums.shape == (3, len(LOSSES))
    assert compute_diagnostics(output, batch).device.type == "meta"


@pytest.mark.parametrize("batch_size", [48, 50])
def test_which_batches_are_unpacked_together_changes_no_bit(
    make_config: Make,
    make_games: Callable[..., np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    batch_size: int,
) -> None:
    """Also where a run is cut in pieces, as by a stop, other batches are."""
    config = make_config(batch_size=batch_size)
    sources = ReplayMixture(config)
    sources.selfplay.add(games_to_examples(make_games(4, seed=3)))
    digests = []
    for rows, pieces in ((1, (11,)), (4096, (11,)), (4096, (3, 8)), (2 * batch_size, (3, 8))):
        monkeypatch.setattr(train, "_UNPACKED_ROWS", rows)
        trainer = Trainer(model_file.fresh(TINY_V2, seed=0).network(), config)
        for n_steps in pieces:
            trainer.train(sources, n_steps=n_steps, should_stop=lambda: False)
        digests.append(trainer.digest())
    assert len(set(digests)) == 1


def test_it_learns(make_config: Make, make_games: Callable[..., np.ndarray]) -> None:
    """The losses of a few games, again and again, fall: heads, points and belief alike."""
    config = make_config(lr=0.01, batch_size=56)
    sources = ReplayMixture(config)
    sources.selfplay.add(games_to_examples(make_games(2, seed=3)))
    trainer = Trainer(model_file.fresh(TINY_V2, seed=0).network(), config)
    first = trainer.train(sources, n_steps=1, should_stop=lambda: False).means
    trainer.train(sources, n_steps=60, should_stop=lambda: False)
    last = trainer.train(sources, n_steps=1, should_stop=lambda: False).means
    for name in ("policy_loss", "points_loss", "value_loss", "belief_loss"):
        assert last[name] < 0.9 * first[name], name
