"""Example files of random legal games with play values, and a recipe that learns from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from random_games import random_games

from zebfast.core.observe import games_to_examples
from zebfast.learner.recipe import Recipe, parse_recipe
from zebfast.selfplay.examples import write_native
from zebfast.selfplay.play_values import pack
from zebfast.selfplay.producer_kinds import EXACT

RECIPE = """
name = "tiny"

[network]
size = "small"

[arena]
every_minutes = 1000
n_games = 8
opponents = ["random"]

[training]
ema = 0.9
min_buffer_size = 1
training_steps_per_cycle = 4
push_every = 1
warmup_steps = 2

[[stages]]
name = "first"
until_games = 4
producer = { mode = "exact", explore = 0.1 }
lr = 1e-2
lr_end = 1e-3
reuse = 2
batch_size = 8

[[stages]]
name = "second"
until_games = 8
producer = { mode = "rollout" }
lr = 2e-3
lr_end = 0
reuse = 1
batch_size = 4
forget = true
"""


def tiny_recipe(*changes: tuple[str, str]) -> Recipe:
    """The recipe above, with pieces of its text replaced: (old, new) each."""
    text = RECIPE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_recipe(text)


def taught_games(n: int, seed: int) -> NDArray[Any]:
    """Random games in which every open decision has play values, made up from its dominoes."""
    games = random_games(n, seed=seed)
    examples = games_to_examples(games)
    legal = examples["obs"]["legal"][:, None] >> np.arange(7) & 1 == 1
    points = (examples["obs"]["hand"][:, None] // 7 + 6 * np.arange(7)) % 43
    labels = pack(points, np.sign(points - 21.0))
    labels[~legal | (legal.sum(1) < 2)[:, None]] = 0
    games["policy"] = labels.reshape(games["policy"].shape)
    return games


def add_taught_file(directory: Path, number: int, n_games: int = 2) -> str:
    """Write one file of such games; its name."""
    metadata = {
        "worker_id": "w",
        "model_step": 0,
        "n_games": n_games,
        "timestamp": number,
        "source": EXACT.source,
    }
    name = f"w_{1_700_000_000 + number}_{number:08x}.safetensors"
    directory.mkdir(parents=True, exist_ok=True)
    write_native(directory / name, taught_games(n_games, seed=number), metadata)
    return name
