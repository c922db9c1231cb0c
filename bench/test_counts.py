"""Work that is the same number every time: instructions, operators, waits, calls, imports."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import calls, gate, instructions, operators, pieces_net
from bench.pieces import pieces
from bench.pieces_core import observations
from zebfast.net.networks import TOKENIZERS

Pinned = Callable[..., None]
TORCH = f"torch {'.'.join(torch.__version__.split('.')[:2])}"
COMMANDS = ("--help", "--version", "worker --help", "learn --help", "bench --help", "eval --help",
            "experiment --help", "fleet --help", "solve --help")  # fmt: skip
#: Pieces whose Python is thin, so that each call of it counts.
THIN = ("selfplay_true", "selfplay_network", "match", "match_network", "match_exact", "replay",
        "evaluations_v1", "evaluations_v2", "write_native", "read_native", "write_pt", "read_pt",
        "publish", "pull", "learner_step_v1", "learner_step_v2")  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The counting program of the C core; skips where it cannot be had."""
    path = tmp_path_factory.mktemp("instructions") / "instructions"
    try:
        instructions.build(path)
    except instructions.CannotCount as missing:
        pytest.skip(str(missing))
    return path


def count(program: Path, kernel: str, *, share: int = 100) -> int:
    """`instructions.count`; skips where this machine's instructions cannot be counted."""
    try:
        return instructions.count(program, kernel, share=share)
    except instructions.CannotCount as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def counted(program: Path) -> dict[str, int]:
    """Instructions of every kernel."""
    return {kernel: count(program, kernel) for kernel in instructions.kernels(program)}


def test_instructions(pinned: Pinned, counted: dict[str, int]) -> None:
    """Each kernel of the C core, to 2 %: the C library picks some of its functions by CPU."""
    only_for, tolerance = instructions.compiler_name(), instructions.TOLERANCE
    pinned("instructions", counted, only_for=only_for, tolerance=tolerance)


def test_more_instructions_fail_the_gate(
    program: Path, counted: dict[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every kernel given 15 % more to do."""
    monkeypatch.setattr(gate, "PINNED", tmp_path / "counts.json")
    gate.compare_counts("instructions", counted, renew=True)
    slowed = {kernel: count(program, kernel, share=115) for kernel in counted}
    for kernel, number in slowed.items():
        with pytest.raises(AssertionError, match=rf"\({kernel}: pinned \d+, now {number}\)"):
            gate.compare_counts("instructions", {**counted, kernel: number}, tolerance=0.02)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_operators_of_an_evaluation(pinned: Pinned, tokenizer: str, tmp_path: Path) -> None:
    """32 positions on the CPU: what torch is asked to do, and its arithmetic."""
    work = pieces()[f"evaluations_{tokenizer}"].prepare(tmp_path)
    work()
    found = {"operators": operators.operators(work).total, "FLOPs": operators.flops(work)}
    pinned(f"evaluation, {tokenizer} medium", found, only_for=TORCH)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_operators_of_a_learner_step(pinned: Pinned, tokenizer: str, tmp_path: Path) -> None:
    work = pieces()[f"learner_step_{tokenizer}"].prepare(tmp_path)
    work()
    found = {"operators": operators.operators(work).total, "FLOPs": operators.flops(work)}
    pinned(f"learner step, {tokenizer} small", found, only_for=TORCH)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_an_evaluation_on_a_device_waits_for_nothing(pinned: Pinned, tokenizer: str) -> None:
    """From packed observations to answers, on torch's device without data: no way to wait."""
    from zebfast.net.folded import fold

    config, weights = pieces_net.weights(tokenizer, "medium")
    meta = torch.device("meta")
    net = fold(config, weights, device=meta, dtype=torch.float16)
    asked = observations(64)
    raw, length = torch.from_numpy(net.rows(asked)).to(meta), int(net.lengths(asked).max())

    @torch.inference_mode()
    def work() -> None:
        assert net.answers(raw, length).shape == (64, 8)

    work()
    counted = operators.operators(work)
    assert +counted.waits == {}
    found = {"operators": counted.total, "FLOPs": operators.flops(work)}
    pinned(f"evaluation on a device, {tokenizer} medium", found, only_for=TORCH)


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_learner_step_on_a_device_waits_for_nothing(tokenizer: str, taught: bool) -> None:
    """Forward, losses, backward and clipping; torch's fused optimizer knows no such device."""
    from zebfast.cli.stages import learner_config
    from zebfast.learner.train.trainer import Sums, Trainer

    training = Trainer(pieces_net.network(tokenizer, "small")[1], learner_config(device="meta"))
    training.optimizer.step = lambda *_: None  # type: ignore[method-assign]
    raw, sums = torch.zeros(64, 64, dtype=torch.uint8, device="meta"), Sums(training.device)
    training._step(raw, sums, has_teacher=taught)
    assert +operators.operators(lambda: training._step(raw, sums, has_teacher=taught)).waits == {}


def test_waits_are_seen() -> None:
    """Each way of waiting that a step could take by mistake."""
    x = torch.ones(4)
    for wait in (x.sum().item, x.nonzero, lambda: x[x > 0], lambda: x.to("meta")):
        assert operators.operators(wait).waits.total() >= 1, wait
    assert +operators.operators(lambda: x.softmax(0) + x[torch.tensor([1])]).waits == {}


@pytest.mark.parametrize("key", THIN)
def test_python_calls(pinned: Pinned, key: str, tmp_path: Path) -> None:
    """Calls by zebfast's own Python in one piece of work."""
    work = pieces()[key].prepare(tmp_path)
    work()
    only_for = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    pinned(f"calls, {key}", dict(calls.python_calls(work)), only_for=only_for)


def test_imports(pinned: Pinned) -> None:
    """What the commands load before they do anything; none of these needs torch, or a network."""
    found: dict[str, Any] = {}
    for command in COMMANDS:
        found[command], heavy = calls.imports(command.split())
        assert set(heavy) <= {"numpy", "rich"}, command
    pinned("imported modules", found)
