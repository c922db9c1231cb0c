"""A tiny network and files of random legal games, so that a whole learner runs in a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from random_games import random_games

from zebfast.exchange import Namespace, Place, StoreOptions
from zebfast.learner.config import LearnerConfig
from zebfast.learner.recipe import Training, led_recipe
from zebfast.net import checkpoint
from zebfast.net.v1 import NetConfig
from zebfast.selfplay.examples import write_native

Games = NDArray[Any]
TINY = NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=16, belief_head=True)


@pytest.fixture(autouse=True)
def one_thread(one_torch_thread: None) -> None:
    """Every test of this room."""


@pytest.fixture(scope="session")
def make_games() -> Callable[..., Games]:
    """``make_games(n, seed=0)``: random legal games with random visit counts as targets."""
    return random_games


@pytest.fixture
def add_file(make_games: Callable[..., Games]) -> Callable[..., str]:
    """``add_file(directory, number, n_games=2, **metadata)`` writes one example file."""

    def add(directory: Path, number: int, n_games: int = 2, **more: Any) -> str:
        metadata = {
            "worker_id": "w",
            "model_step": 0,
            "n_games": n_games,
            "timestamp": number,
            "source": "selfplay-mcts",
        }
        name = f"w_{1_700_000_000 + number}_{number:08x}.safetensors"
        directory.mkdir(parents=True, exist_ok=True)
        write_native(directory / name, make_games(n_games, seed=number), metadata | more)
        return name

    return add


@pytest.fixture
def init_path(tmp_path: Path) -> Path:
    """A tiny fresh checkpoint."""
    path = tmp_path / "init.pt"
    checkpoint.save(checkpoint.fresh(TINY, seed=1), path)
    return path


@pytest.fixture
def make_config(tmp_path: Path, init_path: Path) -> Callable[..., LearnerConfig]:
    """``make_config(run="run", **changes)``: quick cycles over ``tmp_path/run``."""

    def make(run: str = "run", **changes: Any) -> LearnerConfig:
        base: dict[str, Any] = {
            "weights": Place.directory(tmp_path / run),
            "examples": Place.directory(tmp_path / run / "examples"),
            "stores": StoreOptions(state_dir=tmp_path / run),
            "namespace": Namespace(),
            "checkpoint": init_path,
            "min_buffer_size": 28,
            "replay_buffer_size": 1000,
            "batch_size": 8,
            "training_steps_per_cycle": 4,
            "push_every": 1,
            "eval_every": 0,
            "max_example_age": 0.0,
            "replay_cache_dir": tmp_path / run / "cache",
            "poll_seconds": 0.01,
            "disk_limit": 0.0,  # whatever the disk of this machine holds
            "max_minutes": 0.5,
        }
        given = base | changes
        of_stage = {name: given.pop(name) for name in ("lr", "batch_size") if name in given}
        names = [found.name for found in fields(Training) if found.name in given]
        training = {name: given.pop(name) for name in names}
        recipe = given.pop("recipe", None)
        if recipe is None:
            recipe = led_recipe(**training, **of_stage)
        else:
            recipe = replace(recipe, training=replace(recipe.training, **training))
        return LearnerConfig(recipe=recipe, **given)

    return make
