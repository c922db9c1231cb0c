"""The stages of a training run as small repeatable pieces of work, for `zebfast bench` and bench/.

Every stage uses fixed seeds and fresh weights, so that two runs do the same work. `prepare` does
the set-up and returns a function that does one piece of work and says how many units it did.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zebfast.rules import N_PLIES
from zebfast.system.machine import usable_cores

SEED = 42
N_SIMULATIONS = 200
SIZE = "medium"


@dataclass(frozen=True)
class Done:
    """What one piece of work did: units of the stage, and figures that explain its speed."""

    units: float
    detail: Mapping[str, float] = field(default_factory=dict)


Work = Callable[[], Done]


@dataclass(frozen=True)
class Stage:
    """A thing whose speed matters: its unit, what exactly is measured, how to set it up."""

    key: str
    unit: str
    what: str
    prepare: Callable[[], Work]


@dataclass(frozen=True)
class Measurement:
    """What a stage did: units of work in seconds of wall time."""

    key: str
    unit: str
    what: str
    units: float
    seconds: float
    detail: Mapping[str, float]

    @property
    def rate(self) -> float:
        return self.units / self.seconds


def measure(stage: Stage, *, seconds: float) -> Measurement:
    """Repeat a stage's work for about `seconds` after a warm-up.

    Work that by itself takes longer than `seconds` is done once, without a warm-up.
    """
    work = stage.prepare()
    began = time.perf_counter()
    done = work()
    units, spent = done.units, time.perf_counter() - began
    if spent < seconds:
        units, began, spent = 0, time.perf_counter(), 0.0
        while spent < seconds:
            done = work()
            units += done.units
            spent = time.perf_counter() - began
    return Measurement(stage.key, stage.unit, stage.what, units, spent, done.detail)


def mixed_observations(n: int) -> np.ndarray:
    """OBS_DTYPE [n]: positions with a choice from random games, at every ply equally often."""
    from zebfast.core.engine import GameBatch

    found = []
    batch = GameBatch.deal(max(n // 8, 1), seed=SEED)
    while not batch.over.all():
        observed = batch.observe()
        found.append(observed[np.bitwise_count(observed["legal"]) > 1])
        batch.play_random(seed=SEED)
    every = np.concatenate(found)
    return every[np.linspace(0, len(every) - 1, n).astype(np.int64)].copy()


def fresh_network(size: str = SIZE, tokenizer: str = "v1") -> tuple[Any, Mapping[str, Any]]:
    """(config, weights) of an untrained network, always the same one."""
    import torch

    from zebfast.net import networks

    config = networks.sized(tokenizer, size, belief_head=False)
    generator_state = torch.random.get_rng_state()
    torch.manual_seed(SEED)
    weights = networks.build(config).state_dict()
    torch.random.set_rng_state(generator_state)
    return config, weights


def some_games(n: int) -> np.ndarray:
    """GAME_DTYPE [n]: finished games with policy targets, from short searches without a network."""
    from zebfast.core.observe import uniform_evaluate
    from zebfast.core.options import SearchOptions
    from zebfast.selfplay.config import SelfPlay, SelfPlayConfig

    class Constant:
        def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
            uniform_evaluate(obs, out)

    search = SearchOptions(n_simulations=32, exact_tricks=0)
    config = SelfPlayConfig(n_parallel_games=n, worlds="true", search=search)
    games, _ = SelfPlay(Constant(), config=config, seed=SEED).play(n, lookahead=False)
    return games


def random_games() -> Work:
    """Whole games with random legal plays, one core."""
    from zebfast.core.engine import random_games as play

    return lambda: Done(len(play(100_000, seed=SEED)))


def simulations(n_trees: int = 64, n_steps: int = 500) -> Work:
    """Trees alone, one core: a constant evaluator, true deals, nothing solved."""
    from zebfast.core.observe import uniform_evaluate
    from zebfast.core.options import SearchOptions
    from zebfast.core.records import OBS_DTYPE
    from zebfast.core.selfplay import SelfPlayForest

    options = SearchOptions(n_simulations=N_SIMULATIONS, exact_tricks=0)
    forest = SelfPlayForest(n_trees, options=options, seed=SEED, worlds="true")
    leaves = np.zeros(n_trees, OBS_DTYPE)
    evals = np.zeros((n_trees, 8), np.float32)
    # A step starts at most one game per tree, so this many never run out within one piece of work.
    room = n_trees * (2 + n_steps // N_SIMULATIONS)

    def work() -> Done:
        before, began = forest.counts(), time.thread_time()
        forest.allow(before["games"] + room)
        for _ in range(n_steps):
            n = forest.select(leaves)
            uniform_evaluate(leaves[:n], evals[:n])
            forest.update(evals[:n])
        forest.take()
        done = forest.counts()["simulations"] - before["simulations"]
        return Done(done, {"nanoseconds_each": 1e9 * (time.thread_time() - began) / done})

    return work


def network(size: str = SIZE, tokenizer: str = "v1") -> Any:
    """A leaf evaluator with fresh weights, on the GPU where there is one."""
    import torch

    from zebfast.net.evaluator import Evaluator

    # One torch thread per calling thread: that is how self-play uses it.
    torch.set_num_threads(1)
    config, weights = fresh_network(size, tokenizer)
    return Evaluator(config, weights, device=default_device())


def default_device() -> str:
    """The GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def evaluations(batch: int = 256, tokenizer: str = "v1") -> Work:
    """Positions through the leaf evaluator in batches, one core (or the GPU)."""
    evaluator = network(tokenizer=tokenizer)
    observations = mixed_observations(batch)
    out = np.zeros((batch, 8), np.float32)

    def work() -> Done:
        evaluator.evaluate(observations, out)
        return Done(batch)

    return work


def learner_config(**changes: Any) -> Any:
    """A LearnerConfig for training only: it names no place that could be read or written."""
    from zebfast.exchange import Namespace, Place, StoreOptions
    from zebfast.learner.config import LearnerConfig
    from zebfast.learner.recipe import Training, led_recipe

    nowhere = Path(os.devnull)
    of_recipe = ("lr", "batch_size", *(found.name for found in fields(Training)))
    recipe = led_recipe(**{name: changes.pop(name) for name in of_recipe if name in changes})
    return LearnerConfig(
        weights=Place.directory(nowhere),
        examples=Place.directory(nowhere),
        stores=StoreOptions(state_dir=nowhere),
        namespace=Namespace(),
        recipe=recipe,
        **changes,
    )


def learner_steps(n_steps: int = 10, tokenizer: str = "v1") -> Work:
    """Optimizer steps on batches of 64 from a replay buffer, every core (or the GPU)."""
    import torch

    from zebfast.core.observe import games_to_examples
    from zebfast.learner.data.mixture import ReplayMixture
    from zebfast.learner.train.trainer import Trainer
    from zebfast.net.networks import build

    torch.set_num_threads(usable_cores())
    config, weights = fresh_network(tokenizer=tokenizer)
    net = build(config)
    net.load_state_dict(weights)
    learner = learner_config(device=default_device())
    trainer, sources = Trainer(net, learner), ReplayMixture(learner)
    sources.selfplay.add(games_to_examples(some_games(64)))

    def work() -> Done:
        report = trainer.train(sources, n_steps=n_steps, should_stop=lambda: False)
        return Done(report.n_steps)

    return work


def bytes_per_example(n_games: int = 256) -> float:
    """Size of a compact example file divided by its examples (28 a game)."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_examples(Path(folder), some_games(n_games))
        return path.stat().st_size / (N_PLIES * n_games)


def write_examples(folder: Path, games: np.ndarray) -> Path:
    """A compact example file of GAME_DTYPE [n]."""
    from zebfast.selfplay.examples import write_native

    path = folder / "examples.safetensors"
    metadata = {
        "worker_id": "bench",
        "model_step": 0,
        "n_games": len(games),
        "timestamp": 0.0,
        "source": "selfplay-mcts",
    }
    write_native(path, games, metadata)
    return path


STAGES = (
    Stage("random_games", "games/s", "random games, one core", random_games),
    Stage(
        "simulations",
        "simulations/s",
        f"tree search, constant evaluator, {N_SIMULATIONS} a play, one core",
        simulations,
    ),
    Stage("evaluations", "evaluations/s", f"{SIZE} network, one core or the GPU", evaluations),
    Stage(
        "evaluations_v2",
        "evaluations/s",
        f"{SIZE} v2 network, one core or the GPU",
        partial(evaluations, tokenizer="v2"),
    ),
    Stage("learner_steps", "steps/s", f"learner, {SIZE} network, batches of 64", learner_steps),
    Stage(
        "learner_steps_v2",
        "steps/s",
        f"learner, {SIZE} v2 network, batches of 64",
        partial(learner_steps, tokenizer="v2"),
    ),
)
