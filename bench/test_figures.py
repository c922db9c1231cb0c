"""Figures that are no workload's speed: ratios inside one run, sizes, a learner's share of time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import counts
from bench.compare import assert_faster, interleaved_ratio
from bench.conftest import figure
from zebfast import rules
from zebfast.benchmark import workload
from zebfast.benchmark.core_workloads import simulations
from zebfast.benchmark.workload import SEED, SIZE
from zebfast.benchmark.workloads import whole_games
from zebfast.core.options import SearchOptions
from zebfast.core.selfplay import SelfPlayForest
from zebfast.core.solve import Solver
from zebfast.rules import N_PLIES
from zebfast.system.machine import usable_cores

Gate = Callable[..., float]


def python_random_game(game: int) -> int:
    """Points of team 0 in one random game by the plain-Python law, as core.random_games plays."""
    position = rules.Position(*rules.deal(SEED, game))
    key = rules.stream_key(SEED, rules.Stream.PLAY, game)
    while not position.over:
        legal = position.legal()
        position.play(legal[rules.bounded(key, len(position.plays), len(legal))])
    return position.points[0]


@pytest.mark.benchmark(group="ratios")
def test_engine_leaves_the_python_rules_far_behind(gate: Gate) -> None:
    from zebfast.core.engine import random_games

    n_compiled, n_python = 5000, 4
    expected = [python_random_game(game) for game in range(n_python)]
    assert random_games(n_python, seed=SEED).tolist() == expected

    def plain() -> None:
        for game in range(n_python):
            python_random_game(game)

    gate(
        lambda: random_games(n_compiled, seed=SEED),
        plain,
        key="ratio_random_games",
        what="random games, compiled engine against the plain-Python law",
        at_least=200,
        units=(n_compiled, n_python),
    )


def evaluator_and_module(batch: int = 128) -> tuple[Callable[[], None], Callable[[], None]]:
    """The same positions through the leaf evaluator and through the plain module."""
    import torch

    from zebfast.net.torch.encoding import expand, record_bytes
    from zebfast.net.torch.v1 import V1Net

    config, weights = workload.fresh_network()
    net = V1Net(config)
    net.load_state_dict(weights)
    net.eval()
    evaluator, observations = workload.evaluator(), workload.mixed_observations(batch)
    out = np.zeros((batch, 8), np.float32)

    def plain() -> None:
        with torch.inference_mode():
            inputs = expand(record_bytes(observations))
            net(inputs.tokens, inputs.mask, inputs.hand_indices)

    return lambda: evaluator.evaluate(observations, out), plain


@pytest.mark.benchmark(group="ratios")
def test_evaluator_beats_the_plain_module(gate: Gate) -> None:
    gate(
        *evaluator_and_module(),
        key="ratio_evaluator",
        what=f"{SIZE} network, evaluator against a plain forward over 36 tokens",
        at_least=2,
    )


def core_and_torch(
    precision: str, batch: int
) -> tuple[Callable[[], None], Callable[[], None], tuple[int, int]]:
    """The same positions through the core and as torch does it best: rows of the first layer
    summed, oneDNN's products between, answers by the kernel; and how many positions each does."""
    import torch

    from zebfast.core.features import answers, first_layer
    from zebfast.core.network import Network
    from zebfast.net.torch.modules import network as module_of
    from zebfast.net.torch.v2_fast import FoldedV2

    config, weights = workload.fresh_network(tokenizer="v2")
    shape = (config.width, config.n_blocks, config.belief_head)
    net = Network(*shape, weights, precision=precision)
    folded = FoldedV2(module_of(config, weights).eval(), dtype=torch.float32)
    table = np.ascontiguousarray(weights["first.weight"].T)
    asked, n = workload.mixed_observations(batch), max(1, 64 // batch)
    evals, x = np.empty((batch, 8), np.float32), np.empty((batch, config.width), np.float32)

    def core() -> None:
        for _ in range(n):
            net.evaluate(asked, evals)

    @torch.inference_mode()
    def by_torch() -> None:
        first_layer(asked, table, weights["first.bias"], x)
        answers(asked, folded._scores(torch.from_numpy(x)).numpy(), evals)

    return core, by_torch, (n * batch, batch)


@pytest.mark.benchmark(group="ratios")
@pytest.mark.parametrize(
    ("precision", "batch", "at_least"),
    [("fp32", 1, 8), ("fp32", 64, 1.2), ("int8", 1, 15), ("int8", 64, 2)],
)
def test_the_core_leaves_torch_behind(
    gate: Gate, precision: str, batch: int, at_least: float
) -> None:
    """On a processor with AVX-512; int8 with VNNI."""
    import torch

    from zebfast.core.network import kernels

    if not any(p == precision and can and "avx512" in kernel for kernel, p, can in kernels()):
        pytest.skip(f"no AVX-512 for {precision} here")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    core, by_torch, units = core_and_torch(precision, batch)
    gate(
        core,
        by_torch,
        key=f"ratio_core_{precision}_{batch}",
        what=f"medium v2 network, core in {precision} against torch in fp32, batches of {batch}",
        at_least=at_least,
        units=units,
    )
    torch.set_num_threads(before)


def plain_step(training: Any, raw: Any) -> None:
    """The optimizer step of ``training`` with the module's own forward over all 36 tokens."""
    from torch import autograd, nn

    from zebfast.learner.train.losses import compute_losses, unpack_batch

    batch = unpack_batch(raw, training.net.prepare)
    losses = compute_losses(training.net(*batch.inputs[:3]), batch)
    training.optimizer.zero_grad(set_to_none=True)
    autograd.backward(losses.total)
    nn.utils.clip_grad_norm_(training.net.parameters(), training.config.max_grad_norm)
    training.optimizer.step()


@pytest.mark.benchmark(group="ratios")
def test_learner_beats_the_plain_module(gate: Gate) -> None:
    import torch

    ours, sources = workload.trainer()
    theirs, _ = workload.trainer()
    drawn = sources.draw(n_steps=1, batch_size=64, seed=0, step=0)
    raw = torch.from_numpy(drawn.rows[0])
    gate(
        lambda: ours.train(sources, n_steps=1, should_stop=lambda: False),
        lambda: plain_step(theirs, raw),
        key="ratio_learner",
        what="learner step, medium network, against the plain module over 36 tokens",
        at_least=1.2,
    )


@pytest.mark.benchmark(group="ratios")
def test_native_files_are_read_faster(gate: Gate, tmp_path: Path) -> None:
    from zebfast.selfplay.example_files import read_examples

    games = workload.finished_games(64, 32)
    native, documented = tmp_path / "b_0_00.safetensors", tmp_path / "b_0_00.pt"
    for path in (native, documented):
        workload.example_writer(path.suffix[1:], games)(path)
    gate(
        lambda: read_examples(native),
        lambda: read_examples(documented),
        key="ratio_reading",
        what="reading examples, compact files against the documented .pt layout",
        at_least=5,
    )


def random_decisions(n_games: int) -> np.ndarray:
    """POSITION_DTYPE: every position with a choice of so many random games."""
    found, batch = [], workload.games_at(0, n_games)
    while not batch.over.all():
        legal = batch.legal()
        found.append(batch.positions(np.flatnonzero(legal & (legal - np.uint32(1)))))
        batch.play_random(seed=SEED)
    return np.concatenate(found)


@pytest.mark.benchmark(group="ratios")
def test_all_plays_against_one_value(benchmark: Any) -> None:
    """What the values of all plays cost, over all decisions of whole games."""
    positions, solver = random_decisions(5 if benchmark.disabled else 100), Solver()
    plays, values = partial(solver.play_values, positions), partial(solver.values, positions)
    ratio = interleaved_ratio(plays, values, blocks=1 if benchmark.disabled else 3)
    benchmark.pedantic(plays, rounds=1)
    figure(
        benchmark,
        key="ratio_all_plays",
        what="solver, values of all plays against one value, all decisions of random games",
        unit="times",
        value=ratio,
    )


@pytest.mark.benchmark(group="self-play")
def test_two_groups_against_one(benchmark: Any) -> None:
    """Trees alone, so that only the engine's own threads count; no gate: cores may be shared.

    Many games, because every step of a group costs a hand-over between threads.
    """
    n_games = 16 if benchmark.disabled else 512
    one, two = (whole_games(workload.Constant(), n_groups=n, n_games=n_games) for n in (1, 2))
    one(), two()
    gain = 1 / interleaved_ratio(two, one, blocks=1 if benchmark.disabled else 3)
    done = benchmark.pedantic(two, rounds=1, iterations=1)
    figure(
        benchmark,
        key="ratio_two_groups",
        what=f"self-play, constant evaluator, {n_games} games, two groups against one",
        unit="times",
        value=gain,
        detail={**done.detail, "cores": usable_cores()},
    )


@pytest.mark.benchmark(group="self-play")
def test_threads_scale(benchmark: Any) -> None:
    """Two threads with a forest each; no gate: what two cores give depends on the machine."""
    n_steps = 5 if benchmark.disabled else 500
    alone, *_ = works = [simulations(Path(), n_trees=256, n_steps=n_steps) for _ in range(2)]
    with ThreadPoolExecutor(len(works)) as pool:

        def together() -> None:
            wait([pool.submit(work) for work in works])

        ratio = interleaved_ratio(together, alone, blocks=1 if benchmark.disabled else 10)
        benchmark.pedantic(together, rounds=1, iterations=1)
    figure(
        benchmark,
        key="scaling_two_threads",
        what="tree search, constant evaluator: each of two threads against one alone",
        unit="of 1",
        value=1 / ratio,
        detail={"cores": usable_cores()},
    )


@pytest.mark.benchmark(group="sizes")
def test_bytes_per_node(benchmark: Any) -> None:
    """All memory of a forest, games included, over the nodes that it has room for."""

    def forest_bytes(max_nodes: int) -> int:
        options = SearchOptions(max_nodes=max_nodes, exact_tricks=0)
        return SelfPlayForest(64, options=options, seed=0, worlds="true").nbytes

    n_nodes = 64 * 512
    total = benchmark.pedantic(forest_bytes, args=(512,), rounds=1, iterations=1)
    figure(
        benchmark,
        key="bytes_per_node",
        what="forest of 64 trees of 512 nodes, all memory per node",
        unit="bytes",
        value=total / n_nodes,
        detail={"each_further_node": (forest_bytes(1024) - total) / n_nodes},
    )


@pytest.mark.benchmark(group="sizes")
def test_bytes_per_example(benchmark: Any, tmp_path: Path) -> None:
    """A size, kept beside the speeds: the figure is the size, the time is that of writing."""
    size = benchmark.pedantic(counts.native_bytes, args=(tmp_path,), rounds=1, iterations=1)
    figure(
        benchmark,
        key="bytes_per_example",
        what="compact example file, per example",
        unit="bytes",
        value=size / (N_PLIES * 256),
    )


@pytest.mark.benchmark(group="learner")
def test_training_does_not_wait_for_files(benchmark: Any, tmp_path: Path) -> None:
    """Share of the time spent training while 10 files of the documented layout come every cycle."""
    from zebfast.exchange import Namespace, Place, StoreOptions
    from zebfast.learner.config import LearnerConfig
    from zebfast.learner.loop import learn
    from zebfast.learner.metrics import read_metrics
    from zebfast.learner.recipe import led_recipe
    from zebfast.net import checkpoint
    from zebfast.system.events import CycleDone, Event, subscribed

    waiting, examples = tmp_path / "waiting", tmp_path / "examples"
    waiting.mkdir()
    examples.mkdir()
    n_cycles, n_files, n_games = 5, 10, 64
    write = workload.example_writer("pt", workload.finished_games(n_games, 32))
    for number in range(n_cycles * n_files):
        write(waiting / f"bench_{number}_00.pt")
    net_config, weights = workload.fresh_network()
    checkpoint.save(checkpoint.Checkpoint(config=net_config, weights=weights), tmp_path / "init.pt")
    config = LearnerConfig(
        weights=Place.directory(tmp_path),
        examples=Place.directory(examples),
        stores=StoreOptions(state_dir=tmp_path),
        namespace=Namespace(),
        checkpoint=tmp_path / "init.pt",
        recipe=led_recipe(training_steps_per_cycle=40),
        eval_every=0,
        max_cycles=n_cycles,
        poll_seconds=0.05,
        replay_cache_dir=tmp_path / "cache",
    )
    pending = sorted(waiting.iterdir())

    def deliver(event: Event) -> None:
        if isinstance(event, CycleDone):
            for path in pending[:n_files]:
                path.rename(examples / path.name)
            del pending[:n_files]

    deliver(CycleDone(cycle=0, metrics={}))
    with subscribed(deliver):
        benchmark.pedantic(learn, args=(config,), rounds=1)
    rows = [row for row in read_metrics(tmp_path / "metrics.jsonl") if row["step"] > 1]
    share = sum(row["train/share_of_time"] for row in rows) / len(rows)
    read = sum(row["ingest/selfplay_examples"] for row in rows)
    assert read >= (n_cycles - 2) * n_files * n_games * N_PLIES
    assert share > 0.8, "training waits for something"
    figure(
        benchmark,
        key="learner_share_of_time",
        what=f"learner: share of the time spent training, {n_files} .pt files a cycle coming in",
        unit="of 1",
        value=share,
        detail={"examples_read_per_s": rows[-1]["ingest/selfplay_examples_per_s"]},
    )


def test_a_slow_down_fails_the_gate() -> None:
    """An evaluator that does its work four times over no longer passes."""
    fast, plain = evaluator_and_module(16)

    def slowed_down() -> None:
        for _ in range(4):
            fast()

    with pytest.raises(AssertionError, match="all below 2"):
        assert_faster(slowed_down, plain, at_least=2, blocks=2)
