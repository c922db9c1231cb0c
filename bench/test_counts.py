"""Work that is the same number every time: what must not grow, compared exactly.

Part of `make test`: nothing here is timed, so nothing depends on how busy the machine is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import counts
from zebfast.benchmark import workload
from zebfast.benchmark.core_workloads import SAMPLED, TRUE, asker
from zebfast.benchmark.workload import SEED
from zebfast.benchmark.workloads import used_by
from zebfast.core.options import SearchOptions
from zebfast.core.records import EXAMPLE_DTYPE
from zebfast.core.selfplay import SelfPlayForest
from zebfast.core.solve import Solver
from zebfast.net.networks import TOKENIZERS
from zebfast.rules import N_PLIES
from zebfast.selfplay.teaching import Teaching, TeachingConfig

Pinned = Callable[..., None]
GATE = used_by("gate")
TORCH = f"torch {'.'.join(torch.__version__.split('.')[:2])}"
SEARCH = "64 games, 200 simulations, constant evaluator"
COMMANDS = ("--help", "--version", "worker --help", "learn --help", "bench --help", "eval --help",
            "experiment --help", "fleet --help", "solve --help")  # fmt: skip
#: Workloads whose Python is thin, so that each call of it counts.
THIN = ("selfplay_true", "selfplay_network", "match", "match_network", "match_exact", "replay",
        "evaluations_v1", "evaluations_v2", "write_native", "read_native", "write_pt", "read_pt",
        "publish", "pull", "learner_step_v1", "learner_step_v2")  # fmt: skip
#: What saves evaluations, each alone on sampled worlds, and all of it together.
SAVINGS: dict[str, dict[str, Any]] = {
    "cache": {"cache_mb": 8},
    "transpositions": {"transpositions": True},
    "early stop": {"early_stop": True},
    "fast searches": {"full_share": 0.25, "fast_simulations": 16},
    "decided hands skipped": {"skip_decided": True},
    "gumbel root": {"root": "gumbel", "n_simulations": 32},
}
SAVINGS["everything"] = {
    name: value for saving in SAVINGS.values() for name, value in saving.items()
}


def search_counts(
    n_simulations: int = 200, *, worlds: str, cache_mb: int = 0, **search: Any
) -> dict[str, int]:
    """What the forest did in 64 fixed games with the constant evaluator."""
    options = SearchOptions(n_simulations=n_simulations, **search)
    forest = SelfPlayForest(64, options=options, seed=SEED, worlds=worlds, cache_mb=cache_mb)
    batches = workload.run_out(forest, 64)
    assert len(forest.take()) == 64
    return {"batches": batches, **forest.counts()}


@pytest.fixture(scope="module")
def counted() -> dict[str, int]:
    """Instructions of every kernel; skips where they cannot be counted."""
    try:
        return counts.every_kernel()
    except counts.CannotCount as missing:
        pytest.skip(str(missing))


def test_instructions(pinned: Pinned, counted: dict[str, int]) -> None:
    """Each kernel of the C core, to 2 %: the C library picks some of its functions by CPU."""
    only_for, tolerance = counts.compiler_name(), counts.TOLERANCE
    pinned("instructions", counted, only_for=only_for, tolerance=tolerance)


@pytest.mark.slow
def test_more_instructions_fail_the_gate(
    counted: dict[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every kernel given 15 % more to do."""
    monkeypatch.setattr(counts, "PINNED", tmp_path / "counts.json")
    counts.compare_counts("instructions", counted, renew=True)
    counts.build(program := tmp_path / "instructions")
    slowed = {kernel: counts.instructions(program, kernel, share=115) for kernel in counted}
    for kernel, number in slowed.items():
        with pytest.raises(AssertionError, match=rf"\({kernel}: pinned \d+, now {number}\)"):
            counts.compare_counts("instructions", {**counted, kernel: number}, tolerance=0.02)


def test_operators_of_an_evaluation(pinned: Pinned, tmp_path: Path) -> None:
    """32 positions on the CPU: what torch is asked to do for v1, and its arithmetic."""
    work = GATE["evaluations_v1"].prepare(tmp_path)
    work()
    found = {"operators": counts.operators(work).total, "FLOPs": counts.flops(work)}
    pinned("evaluation, v1 medium", found, only_for=TORCH)


def test_a_v2_evaluation_asks_nothing_of_torch(tmp_path: Path) -> None:
    work = GATE["evaluations_v2"].prepare(tmp_path)
    work()
    assert counts.operators(work).total == 0


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_operators_of_a_learner_step(pinned: Pinned, tokenizer: str, tmp_path: Path) -> None:
    work = GATE[f"learner_step_{tokenizer}"].prepare(tmp_path)
    work()
    found = {"operators": counts.operators(work).total, "FLOPs": counts.flops(work)}
    pinned(f"learner step, {tokenizer} small", found, only_for=TORCH)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_an_evaluation_on_a_device_waits_for_nothing(pinned: Pinned, tokenizer: str) -> None:
    """From packed observations to answers, on torch's device without data: no way to wait."""
    from zebfast.net.torch.encoding import record_bytes
    from zebfast.net.torch.folded import fold

    config, weights = workload.fresh_network("medium", tokenizer)
    meta = torch.device("meta")
    net = fold(config, weights, device=meta, dtype=torch.float16)
    asked = workload.mixed_observations(64)
    raw, length = record_bytes(asked).to(meta), int(net.lengths(asked).max())

    @torch.inference_mode()
    def work() -> None:
        assert net.on_device(raw, length).shape == (64, 8)

    work()
    counted = counts.operators(work)
    assert +counted.waits == {}
    found = {"operators": counted.total, "FLOPs": counts.flops(work)}
    pinned(f"evaluation on a device, {tokenizer} medium", found, only_for=TORCH)


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_learner_step_on_a_device_waits_for_nothing(tokenizer: str, taught: bool) -> None:
    """All but its last part: torch's fused optimizer knows no such device."""
    from zebfast.learner.train.losses import unpack_batches
    from zebfast.learner.train.trainer import Step, Sums

    training, _ = workload.trainer("small", tokenizer, belief_head=True, device="meta")
    training.optimizer.step = lambda *_: None  # type: ignore[method-assign]
    shape = (2, 64, EXAMPLE_DTYPE.itemsize)
    raw, sums = torch.zeros(shape, dtype=torch.uint8, device="meta"), Sums(training.device)

    def work() -> None:
        for batch in unpack_batches(raw, training.net.prepare, has_teacher=taught):
            training._step(Step(batch, None), sums)

    work()
    assert +counts.operators(work).waits == {}


def test_waits_are_seen() -> None:
    """Each way of waiting that a step could take by mistake."""
    x = torch.ones(4)
    for wait in (x.sum().item, x.nonzero, lambda: x[x > 0], lambda: x.to("meta")):
        assert counts.operators(wait).waits.total() >= 1, wait
    assert +counts.operators(lambda: x.softmax(0) + x[torch.tensor([1])]).waits == {}


@pytest.mark.parametrize("key", THIN)
def test_python_calls(pinned: Pinned, key: str, tmp_path: Path) -> None:
    """Calls by zebfast's own Python in one round of work."""
    work = GATE[key].prepare(tmp_path)
    work()
    only_for = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    pinned(f"calls, {key}", dict(counts.python_calls(work)), only_for=only_for)


def test_imports(pinned: Pinned) -> None:
    """What the commands load before they do anything; none of these needs torch, or a network."""
    found: dict[str, Any] = {}
    for command in COMMANDS:
        found[command], heavy = counts.imports(command.split())
        assert set(heavy) <= {"numpy", "rich"}, command
    pinned("imported modules", found)


def test_search_does_the_same_work(pinned: Pinned) -> None:
    """Simulations, evaluations, terminals and reused visits of fixed games."""
    pinned(SEARCH, search_counts(**TRUE))
    pinned(f"{SEARCH}, sampled worlds", search_counts(**SAMPLED))


@pytest.mark.parametrize("saving", list(SAVINGS))
def test_savings_do_the_same_work(pinned: Pinned, saving: str) -> None:
    """Cache hits, nodes shared, searches stopped or cut: what each option saves, exactly."""
    found = search_counts(**{**SAMPLED, **SAVINGS[saving]})
    pinned(f"{SEARCH}, sampled worlds, {saving}", found)


def forest_bytes(n_trees: int, max_nodes: int) -> int:
    """Memory of a forest on true deals, without a solver."""
    options = SearchOptions(max_nodes=max_nodes, exact_tricks=0)
    return SelfPlayForest(n_trees, options=options, seed=0, worlds="true").nbytes


def test_memory_and_sizes(pinned: Pinned, tmp_path: Path) -> None:
    from zebfast.core.records import EXAMPLE_DTYPE, GAME_DTYPE, OBS_DTYPE

    per_node = forest_bytes(64, 1024) - forest_bytes(64, 512)
    default = SelfPlayForest(128, options=SearchOptions(), seed=0)
    sizes = {
        "observation": OBS_DTYPE.itemsize,
        "game": GAME_DTYPE.itemsize,
        "example in memory": EXAMPLE_DTYPE.itemsize,
        "node": per_node // (64 * 512),
        "64 trees of 512 nodes, with their games": forest_bytes(64, 512),
        "128 games in progress, default search": default.nbytes,
        "native file of 256 games": counts.native_bytes(tmp_path),
    }
    pinned("bytes", sizes)
    assert sizes["node"] <= 64, "a node may take 64 bytes"
    assert sizes["native file of 256 games"] <= 40 * 256 * N_PLIES, "an example may take 40 bytes"


def test_evaluator_computes_no_padding(pinned: Pinned) -> None:
    evaluator, observations = workload.evaluator(), workload.mixed_observations(256)
    evaluator.evaluate(observations, np.zeros((256, 8), np.float32))
    seen = evaluator.counts
    found = {"tokens": seen.tokens, "padded tokens": seen.padded_tokens}
    pinned("evaluator, 256 positions", found)


def test_solver_does_the_same_work(pinned: Pinned) -> None:
    """Nodes of each question about fixed positions, and what a context takes."""
    solver, found = Solver(), {}
    for tricks, n in ((7, 50), (5, 500)):
        for question in ("points", "one threshold", "all plays"):
            ask, before = asker(question, tricks, n), solver.nodes
            ask(solver)
            found[f"{n} positions, {tricks} tricks left, {question}"] = solver.nodes - before
    pinned("solver", {**found, "bytes of a context": solver.nbytes})
    assert solver.nbytes <= 8 << 20, "a context may take 8 MiB"


@pytest.mark.parametrize("teacher", ["exact", "rollout"])
def test_a_teacher_does_the_same_work(pinned: Pinned, teacher: str) -> None:
    """Evaluations, rollouts and questions to the solver of fixed games."""
    config = TeachingConfig(teacher=teacher, n_groups=1, n_parallel_games=16)
    teaching = Teaching(workload.Constant(), config=config, seed=SEED)
    _, stats = teaching.play(16, lookahead=False)
    found = {
        name: getattr(stats, name)
        for name in ("labels", "rollouts", "evaluations", "solver_calls", "batches")
    }
    pinned(f"16 games, {teacher} teacher, constant evaluator", found)


def test_a_changed_count_fails_the_gate() -> None:
    """One simulation more a play is noticed."""
    with pytest.raises(AssertionError, match=r"simulations: pinned \d+, now \d+.*--renew-counts"):
        counts.compare_counts(SEARCH, search_counts(201, **TRUE))
