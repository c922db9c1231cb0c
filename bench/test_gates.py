"""What must not get worse: exact counts of work, sizes, and ratios inside one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import work
from bench.gate import assert_faster, compare_counts
from zebfast.cli import exact_stages, stages
from zebfast.core.solve import Solver

Pinned = Callable[[str, Mapping[str, int]], None]
Gate = Callable[..., float]
SEARCH = "64 games, 200 simulations, constant evaluator"


def test_search_does_the_same_work(pinned: Pinned) -> None:
    """Simulations, evaluations, terminals and reused visits of fixed games."""
    pinned(SEARCH, work.search_counts(**work.PUBLISHED_WAY))
    pinned(f"{SEARCH}, sampled worlds", work.search_counts(**work.SAMPLED))


@pytest.mark.parametrize("saving", list(work.SAVINGS))
def test_savings_do_the_same_work(pinned: Pinned, saving: str) -> None:
    """Cache hits, nodes shared, searches stopped or cut: what each option saves, exactly."""
    counts = work.search_counts(**{**work.SAMPLED, **work.SAVINGS[saving]})
    pinned(f"{SEARCH}, sampled worlds, {saving}", counts)


def test_memory_and_sizes(pinned: Pinned) -> None:
    from zebfast.core.records import EXAMPLE_DTYPE, GAME_DTYPE, OBS_DTYPE

    per_node = work.forest_bytes(64, 1024) - work.forest_bytes(64, 512)
    sizes = {
        "observation": OBS_DTYPE.itemsize,
        "game": GAME_DTYPE.itemsize,
        "example in memory": EXAMPLE_DTYPE.itemsize,
        "node": per_node // (64 * 512),
        "64 trees of 512 nodes, with their games": work.forest_bytes(64, 512),
        "128 games in progress, default search": work.default_forest_bytes(128),
        "native file of 256 games": round(stages.bytes_per_example(256) * 256 * 28),
    }
    pinned("bytes", sizes)
    assert sizes["node"] <= 64, "a node may take 64 bytes"
    assert sizes["native file of 256 games"] <= 40 * 256 * 28, "an example may take 40 bytes"


def test_evaluator_computes_no_padding(pinned: Pinned) -> None:
    evaluator, observations = cpu_evaluator(), stages.mixed_observations(256)
    evaluator.evaluate(observations, np.zeros((256, 8), np.float32))
    counts = evaluator.counts
    found = {"tokens": counts.tokens, "padded tokens": counts.padded_tokens}
    pinned("evaluator, 256 positions", found)


def test_solver_does_the_same_work(pinned: Pinned) -> None:
    """Nodes of each question about fixed positions, and what a context takes."""
    solver, counts = Solver(), {}
    for tricks, n in ((7, 50), (5, 500)):
        positions, wins = exact_stages.solver_work(tricks, n)
        for question, ask in (
            ("points", partial(solver.values, positions)),
            ("one threshold", partial(solver.at_least, positions, wins)),
            ("all plays", partial(solver.play_values, positions)),
        ):
            before = solver.nodes
            ask()
            counts[f"{n} positions, {tricks} tricks left, {question}"] = solver.nodes - before
    pinned("solver", {**counts, "bytes of a context": solver.nbytes})
    assert solver.nbytes <= 8 << 20, "a context may take 8 MiB"


@pytest.mark.benchmark(group="ratios")
def test_engine_leaves_the_python_rules_far_behind(gate: Gate) -> None:
    from zebfast.core.engine import random_games

    n_compiled, n_python = 5000, 4
    expected = [work.python_random_game(game) for game in range(n_python)]
    assert random_games(n_python, seed=stages.SEED).tolist() == expected

    def plain() -> None:
        for game in range(n_python):
            work.python_random_game(game)

    gate(
        lambda: random_games(n_compiled, seed=stages.SEED),
        plain,
        key="ratio_random_games",
        what="random games, compiled engine against the plain-Python law",
        at_least=200,
        units=(n_compiled, n_python),
    )


def cpu_evaluator() -> Any:
    from zebfast.net.evaluator import Evaluator

    return Evaluator(*stages.fresh_network())


def evaluator_and_module(batch: int = 128) -> tuple[Callable[[], None], Callable[[], None]]:
    """The same positions through the leaf evaluator and through the plain module."""
    import torch

    from zebfast.net.encoding import expand, record_bytes
    from zebfast.net.v1 import V1Net

    config, weights = stages.fresh_network()
    net = V1Net(config)
    net.load_state_dict(weights)
    net.eval()
    evaluator, observations = cpu_evaluator(), stages.mixed_observations(batch)
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
        what=f"{stages.SIZE} network, evaluator against a plain forward over 36 tokens",
        at_least=2,
    )


@pytest.mark.benchmark(group="ratios")
def test_learner_beats_the_plain_module(gate: Gate) -> None:
    ours, sources = work.trainer("medium")
    theirs, _ = work.trainer("medium")
    raw = work.one_batch(theirs, sources)
    gate(
        lambda: ours.train(sources, n_steps=1, should_stop=lambda: False),
        lambda: work.plain_step(theirs, raw),
        key="ratio_learner",
        what="learner step, medium network, against the plain module over 36 tokens",
        at_least=1.2,
    )


@pytest.mark.benchmark(group="ratios")
def test_native_files_are_read_faster(gate: Gate, tmp_path: Path) -> None:
    from zebfast.selfplay.example_files import read_examples
    from zebfast.selfplay.examples import write_native
    from zebfast.selfplay.examples_pt import write_pt

    games = stages.some_games(work.N_GAMES)
    native, documented = tmp_path / "b_0_00.safetensors", tmp_path / "b_0_00.pt"
    write_native(native, games, work.METADATA)
    write_pt(documented, games, work.METADATA)
    gate(
        lambda: read_examples(native),
        lambda: read_examples(documented),
        key="ratio_reading",
        what="reading examples, compact files against the documented .pt layout",
        at_least=5,
    )


# --- the gates themselves -------------------------------------------------------------------------


def test_a_slow_down_fails_the_gate() -> None:
    """An evaluator that does its work four times over no longer passes."""
    fast, plain = evaluator_and_module(16)

    def slowed_down() -> None:
        for _ in range(4):
            fast()

    with pytest.raises(AssertionError, match="all below 2"):
        assert_faster(slowed_down, plain, at_least=2, blocks=2)


def test_a_changed_count_fails_the_gate() -> None:
    """One simulation more a play is noticed."""
    with pytest.raises(AssertionError, match=r"simulations: pinned \d+, now \d+.*--renew-counts"):
        compare_counts(SEARCH, work.search_counts(stages.N_SIMULATIONS + 1, **work.PUBLISHED_WAY))
