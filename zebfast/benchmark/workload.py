"""What a workload is, how it is timed, and the fixed positions, games and networks it works on.

Everything comes from fixed seeds and fresh weights, so that two runs do the same work.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zebfast.core.engine import GameBatch
from zebfast.core.masks import has_choice
from zebfast.core.observe import uniform_evaluate
from zebfast.core.options import SearchOptions
from zebfast.core.records import OBS_DTYPE
from zebfast.core.selfplay import SelfPlayForest

SEED = 42
N_SIMULATIONS = 200
SIZE = "medium"


class Missing(Exception):
    """This machine, or this revision, lacks what a workload needs; one sentence."""


@dataclass(frozen=True)
class Done:
    """What one piece of work did.

    Attributes:
        units: of the workload's unit.
        detail: figures that explain its speed.
        trace: what it worked on and how much, for ``identity``; never a network's answers, whose
            last bits differ between builds.
        how: what of its conditions only running it could tell, for people.
    """

    units: float
    detail: Mapping[str, float] = field(default_factory=dict)
    trace: object = 0
    how: str = ""


#: Does the work once.
Work = Callable[[], Done]

#: Who runs a workload: `zebfast bench` and, as all of its figures are kept, the records of the
#: speed suite; only those; `make gate`; all three. The speed suite times every one.
REPORT, RECORD, GATE = ("report", "record"), ("record",), ("gate",)
EVERYWHERE = REPORT + GATE


@dataclass(frozen=True)
class Workload:
    """A thing whose speed matters.

    Attributes:
        key: its name in reports and records, or in the gate; never changed.
        unit: "games/s" and the like, or the time that one unit takes: "microseconds".
        what: what exactly is measured, for people.
        prepare: called with an empty folder of its own, sets up and returns the work. Raises
            Missing.
        uses: see above. A workload of the gate takes some milliseconds on one thread.
        rounds: times that the speed suite does it; 1 for work that sees to its own length.
    """

    key: str
    unit: str
    what: str
    prepare: Callable[[Path], Work]
    uses: tuple[str, ...]
    rounds: int

    def figure(self, units: float, seconds: float) -> float:
        """So many units in so many seconds, in this workload's unit."""
        return 1e6 * seconds / units if self.unit == "microseconds" else units / seconds


def workload(
    uses: tuple[str, ...],
    key: str,
    unit: str,
    what: str,
    prepare: Callable[..., Work],
    *,
    rounds: int = 20,
    **options: Any,
) -> Workload:
    """A Workload whose set-up takes these options besides its folder."""
    return Workload(key, unit, what, partial(prepare, **options), uses, rounds)


@dataclass(frozen=True)
class Measurement:
    """What a workload did: units of work in seconds of wall time."""

    key: str
    unit: str
    what: str
    units: float
    seconds: float
    detail: Mapping[str, float]

    @property
    def rate(self) -> float:
        return self.units / self.seconds


def measure(workload: Workload, *, seconds: float) -> Measurement:
    """Repeat a workload for about `seconds` after a warm-up.

    Work that by itself takes longer than `seconds` is done once, without a warm-up.
    """
    with tempfile.TemporaryDirectory(prefix="zebfast-bench-") as folder:
        work = workload.prepare(Path(folder))
        began = time.perf_counter()
        done = work()
        units, spent = done.units, time.perf_counter() - began
        if spent < seconds:
            units, began, spent = 0, time.perf_counter(), 0.0
            while spent < seconds:
                done = work()
                units += done.units
                spent = time.perf_counter() - began
    return Measurement(workload.key, workload.unit, workload.what, units, spent, done.detail)


def identity(trace: object) -> str:
    """A short text that is equal where traces are: arrays and numbers, and groups of them."""
    digest = hashlib.sha256()
    _feed(digest, trace)
    return digest.hexdigest()[:12]


def _feed(digest: Any, trace: object) -> None:
    if isinstance(trace, dict):
        trace = sorted(trace.items())
    if isinstance(trace, (list, tuple)):
        for part in trace:
            _feed(digest, part)
    elif hasattr(trace, "tobytes"):
        digest.update(trace.tobytes())
    elif isinstance(trace, (int, str)):
        digest.update(repr(trace).encode())
    else:
        raise TypeError(f"a piece of work must not return a {type(trace).__name__}")


# --- what is worked on ----------------------------------------------------------------------------


class Constant:
    """The constant evaluator as an object: no prior, no opinion."""

    def evaluate(self, obs: np.ndarray, evals: np.ndarray) -> None:
        """See zebfast.selfplay.groups.BatchEvaluator."""
        uniform_evaluate(obs, evals)


def games_at(n_plays: int, n: int) -> GameBatch:
    """n random games, n_plays random plays into them."""
    batch = GameBatch.deal(n, seed=SEED)
    for _ in range(n_plays):
        batch.play_random(seed=SEED)
    return batch


def mixed_observations(n: int) -> np.ndarray:
    """OBS_DTYPE [n]: positions with a choice from random games, at every ply equally often."""
    found, batch = [], GameBatch.deal(max(n // 8, 1), seed=SEED)
    while not batch.over.all():
        observed = batch.observe()
        found.append(observed[has_choice(observed["legal"])])
        batch.play_random(seed=SEED)
    every = np.concatenate(found)
    return every[np.linspace(0, len(every) - 1, n).astype(np.int64)].copy()


def run_out(forest: SelfPlayForest, n_games: int) -> int:
    """Play so many games to their end with the constant evaluator; the number of batches."""
    leaves, evals = np.zeros(n_games, OBS_DTYPE), np.zeros((n_games, 8), np.float32)
    n_batches = 0
    forest.allow(n_games)
    while n := forest.select(leaves):
        uniform_evaluate(leaves[:n], evals[:n])
        forest.update(evals[:n])
        n_batches += 1
    return n_batches


def finished_games(n: int, n_simulations: int = 16) -> np.ndarray:
    """GAME_DTYPE [n] with policy targets, from short searches without a network."""
    options = SearchOptions(n_simulations=n_simulations, exact_tricks=0)
    forest = SelfPlayForest(n, options=options, seed=SEED, worlds="true")
    run_out(forest, n)
    return forest.take()


def fresh_network(
    size: str = SIZE, tokenizer: str = "v1", *, belief_head: bool = False, contract: bool = False
) -> tuple[Any, dict[str, Any]]:
    """(config, weights) of an untrained network, always the same one.

    Missing where it takes torch, which is not installed: to draw a v1 network.
    """
    from zebfast.net import checkpoint
    from zebfast.net.networks import sized
    from zebfast.net.v2 import V2Config

    config = sized(tokenizer, size, belief_head=belief_head)
    if tokenizer == "v2":
        assert isinstance(config, V2Config)
        config = replace(config, contract=contract)
        return config, _drawn(config.parameters())
    _require_torch("v1 networks need torch")
    return config, checkpoint.fresh(config, seed=SEED).weights


def _drawn(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Weights of a v2 network, about as large as untrained ones."""
    rng, found = np.random.default_rng(SEED), {}
    for name, shape in shapes.items():
        if len(shape) == 2:
            spread = 0.002 if name == "first.weight" else 0.6 / math.sqrt(shape[1])
            found[name] = rng.normal(0, spread, shape).astype(np.float32)
        else:
            found[name] = np.full(shape, name.endswith("norm.weight"), np.float32)
    return found


def _require_torch(what: str) -> None:
    """Missing where torch is."""
    from zebfast.net.devices import NeedsTorch, require_torch

    try:
        require_torch(what)
    except NeedsTorch as error:
        raise Missing(str(error)) from None


def default_device() -> str:
    """The GPU where there is one that torch can use."""
    from zebfast.net import devices

    return devices.default_device()


def evaluator(
    size: str = SIZE, tokenizer: str = "v1", *, belief_head: bool = False, **options: Any
) -> Any:
    """A leaf evaluator with fresh weights; one thread, as each of self-play's has."""
    from zebfast.net.devices import open_evaluator

    network = fresh_network(size, tokenizer, belief_head=belief_head)
    return open_evaluator(*network, threads=1, **options)


def trainer(
    size: str = SIZE,
    tokenizer: str = "v1",
    *,
    n_threads: int = 1,
    belief_head: bool = False,
    **settings: Any,
) -> tuple[Any, Any]:
    """(trainer, sources) with fresh weights and examples of 64 games. Missing without torch."""
    _require_torch("training needs torch")
    from zebfast.core.observe import games_to_examples
    from zebfast.learner.data.replay import ReplayMixture
    from zebfast.learner.train.trainer import Trainer
    from zebfast.net.torch.modules import network as module_of
    from zebfast.net.torch.runtime import use_threads

    use_threads(n_threads)
    module = module_of(*fresh_network(size, tokenizer, belief_head=belief_head))
    config = training_config(**settings)
    sources = ReplayMixture(config)
    sources.selfplay.add(games_to_examples(finished_games(64)))
    return Trainer(module, config), sources


def training_config(**settings: Any) -> Any:
    """A TrainerConfig; settings of a recipe's stage or training go into its recipe."""
    from zebfast.learner.config import TrainerConfig
    from zebfast.learner.recipe import Training, led_recipe

    of_recipe = ("lr", "batch_size", *(found.name for found in fields(Training)))
    recipe = led_recipe(**{name: settings.pop(name) for name in of_recipe if name in settings})
    return TrainerConfig(recipe=recipe, **settings)


def example_writer(suffix: str, games: np.ndarray) -> Callable[[Path], None]:
    """Writes an example file of this format."""
    from zebfast.selfplay.examples import write_native
    from zebfast.selfplay.examples_pt import write_pt

    metadata = {
        "worker_id": "bench",
        "model_step": 0,
        "n_games": len(games),
        "timestamp": 0.0,
        "source": "selfplay-mcts",
    }
    write = write_pt if suffix == "pt" else write_native
    return lambda path: write(path, games, metadata)
