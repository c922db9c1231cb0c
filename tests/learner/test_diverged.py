"""Weights that are no numbers: never saved or published, gone back from, explained at a start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learning import learn, run, state_of
from listening import listening, work
from taught import add_taught_file, tiny_recipe
from workers import one_batch

from zebfast.exchange import ExchangeError, LocalWeightStore, Namespace
from zebfast.exchange.state import pack_weights
from zebfast.learner.config import LearnerConfig
from zebfast.learner.session import StartError
from zebfast.learner.state import load_checkpoint, save_checkpoint
from zebfast.learner.train.losses import LOSSES
from zebfast.learner.train.trainer import Trainer, TrainingDiverged, TrainReport
from zebfast.net import checkpoint as model_file
from zebfast.net.v1 import NetConfig
from zebfast.net.v2 import V2Config
from zebfast.system.events import Event, Incident, subscribed
from zebfast.system.finite import NotFinite, first_non_finite
from zebfast.worker.network import SyncedNetwork

Make = Callable[..., LearnerConfig]
AddFile = Callable[..., str]
TINY = NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=16, belief_head=True)


def spoil(directory: Path) -> None:
    """Make the published weights what a learner of an earlier version could publish."""
    path = directory / "model.pt"
    weights = torch.load(path, weights_only=True)
    next(iter(weights.values())).fill_(torch.nan)
    torch.save(weights, path)
    state = json.loads((directory / "training_state.json").read_text())
    del state["weights_sha256"]
    (directory / "training_state.json").write_text(json.dumps(state))


def in_step(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[Trainer], None]) -> None:
    """Have ``act`` done in optimizer step ``number``, and every time it is taken."""
    step = Trainer._step

    def acting(self: Trainer, *args: Any, **how: Any) -> None:
        at = self.optimizer_steps + 1
        if at == number and act is infinite_gradient:
            monkeypatch.setattr(self._scaler, "unscale_", lambda _: act(self))
        step(self, *args, **how)
        if at == number:
            monkeypatch.undo() if act is infinite_gradient else act(self)

    monkeypatch.setattr(Trainer, "_step", acting)


def infinite_gradient(trainer: Trainer) -> None:
    next(trainer.net.parameters()).grad.view(-1)[0] = torch.inf  # type: ignore[union-attr]


def overflown_weight(trainer: Trainer) -> None:
    with torch.no_grad():
        list(trainer.net.parameters())[-1].view(-1)[0] = torch.inf


def lost_average(trainer: Trainer) -> None:
    assert trainer._average is not None
    next(iter(trainer._average.weights.values())).view(-1)[0] = torch.nan


def lost_moment(trainer: Trainer) -> None:
    next(iter(trainer.optimizer.state.values()))["exp_avg_sq"].view(-1)[0] = torch.inf


@pytest.mark.parametrize("name", [*LOSSES, "grad_norm"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_every_loss_and_the_gradient_are_looked_at(name: str, value: float) -> None:
    good = dict.fromkeys((*LOSSES, "grad_norm"), 1.0)
    assert TrainReport(1, 1.0, good).divergence is None
    found = TrainReport(1, 1.0, good | {name: value}).divergence
    assert found == f"{name} became {value}"


@pytest.mark.parametrize(
    "act", [infinite_gradient, overflown_weight, lost_average, lost_moment],
    ids=lambda act: act.__name__,
)  # fmt: skip
def test_the_last_step_before_a_save_is_looked_at(
    make_config: Make, add_file: AddFile, monkeypatch: pytest.MonkeyPatch, act: Any
) -> None:
    """A step's losses come before its update: after the last one, only the weights can tell."""
    config = make_config(max_cycles=3, ema=0.9)
    add_file(config.examples.path, 1)
    with monkeypatch.context() as patch:
        in_step(patch, 8, act)  # the last of the second cycle
        with pytest.raises(TrainingDiverged, match=r"in cycle 2, .* with a lower --lr") as raised:
            run(config)
    assert "goes on from it" in str(raised.value)
    saved = load_checkpoint(config.checkpoint_path)
    assert saved is not None
    assert (saved.progress.step, saved.first_non_finite) == (1, None)
    pulled = LocalWeightStore(config.stores.state_dir, Namespace()).pull()
    assert pulled is not None
    assert (pulled.step, first_non_finite(pulled.state_dict)) == (1, None)
    run(make_config(max_cycles=1, ema=0.9))  # the same command goes on
    assert state_of(config)["step"] == 2


@pytest.fixture
def recipe_config(make_config: Make, tmp_path: Path) -> LearnerConfig:
    """A quick run of a recipe, with its examples."""
    path = tmp_path / "tiny.pt"
    network = V2Config(width=16, n_blocks=1, belief_head=True)
    model_file.save(model_file.fresh(network, seed=1), path)
    config = make_config("run", checkpoint=path, recipe=tiny_recipe(), amp_dtype="bf16")
    for number in range(4):
        assert config.examples.path is not None
        add_taught_file(config.examples.path, number)
    return config


def test_a_recipe_goes_on_from_its_best_network(
    recipe_config: LearnerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[Event] = []
    in_step(monkeypatch, 5, overflown_weight)
    with subscribed(met.append):
        lines = run(recipe_config)
    [incident] = [e for e in met if isinstance(e, Incident) and e.what == "diverged"]
    assert " became " in incident.text
    assert incident.text.endswith("going on from the best network, of cycle 0")
    assert incident.text in lines
    assert lines[-1].startswith("Recipe tiny is done: 8 games")
    assert first_non_finite(model_file.load(recipe_config.best_path).weights) is None


def test_a_recipe_that_always_diverges_ends(
    recipe_config: LearnerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "divergence", "weights.x became NaN or infinite")
    lines: list[str] = []
    with pytest.raises(TrainingDiverged, match=r"with a lower lr of stage '\w+' than"):
        learn(recipe_config, say=lines.append)
    assert sum("going on from the best network" in line for line in lines) == 3
    saved = load_checkpoint(recipe_config.checkpoint_path)
    assert saved is not None
    assert saved.first_non_finite is None


def test_what_is_no_number_is_not_written(make_config: Make, add_file: AddFile) -> None:
    """Whoever asks: the three places where weights become bytes refuse, and leave what is there."""
    config = make_config(max_cycles=1)
    add_file(config.examples.path, 1)
    run(config)
    saved, before = load_checkpoint(config.checkpoint_path), config.checkpoint_path.read_bytes()
    assert saved is not None
    saved.trainer["optimizer"]["state"][0]["exp_avg"].fill(np.nan)
    with pytest.raises(NotFinite, match=r"model\.ckpt is not written, for '1\.optimizer\.state"):
        save_checkpoint(config.checkpoint_path, saved)
    assert config.checkpoint_path.read_bytes() == before
    made = model_file.fresh(TINY, seed=1)
    next(iter(made.weights.values())).fill(-np.inf)
    for name in ("one.pt", "one.safetensors"):
        path = config.stores.state_dir / name
        with pytest.raises(NotFinite, match="what was there before is untouched"):
            model_file.save(made, path)
        assert not path.exists()
    with pytest.raises(NotFinite, match="weights file"):
        pack_weights(made.weights)


def test_a_start_on_weights_that_are_no_numbers_says_so(
    make_config: Make, add_file: AddFile
) -> None:
    config = make_config(max_cycles=1, snapshot_every=1)
    add_file(config.examples.path, 1)
    run(config)
    spoil(config.stores.state_dir)
    config.checkpoint_path.unlink()
    with pytest.raises(StartError, match="has diverged; go back to earlier ones") as raised:
        run(make_config(max_cycles=1, resume="never"))
    sentence = str(raised.value)
    assert "put back the config" not in sentence
    assert "zebfast experiment revert NAME --to FILE" in sentence
    path = Path(sentence.partition("FILE can be ")[2])
    assert model_file.load(path).config == TINY


def test_a_spoilt_checkpoint_alone_costs_the_optimizer(
    make_config: Make, add_file: AddFile
) -> None:
    config = make_config(max_cycles=1)
    add_file(config.examples.path, 1)
    run(config)
    content = torch.load(config.checkpoint_path, weights_only=True)
    content["model_state_dict"]["pos_embed.weight"].fill_(torch.nan)
    torch.save(content, config.checkpoint_path)
    lines = run(config)
    assert any("'pos_embed.weight'" in line or "model.pos_embed.weight" in line for line in lines)
    assert any("going on from the published weights" in line for line in lines)
    assert state_of(config)["step"] == 2


def test_a_worker_plays_on_with_what_it_has(tmp_path: Path) -> None:
    config = one_batch(tmp_path)
    store = LocalWeightStore(tmp_path / "run", Namespace())
    weights = store.pull()
    assert weights is not None
    network = SyncedNetwork(store, weights, config)
    store.publish(weights.state_dict, weights.config, {"step": 1})
    spoil(tmp_path / "run")
    lines: list[str] = []
    with listening(lines.append):
        network.sync("w")
        network.sync("w")
    [line] = lines
    assert "has diverged" in line
    assert line.endswith("playing on with those of step 0")
    assert network.step == 0
    with pytest.raises(ExchangeError, match="has diverged; go back to earlier ones"):
        work(config)
