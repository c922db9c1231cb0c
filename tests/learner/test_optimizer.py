"""The optimizer is torch's own to the bit, and no program loads torch's compiler."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from imports import run_without

from zebfast.learner.train.trainer import EagerAdamW
from zebfast.net import checkpoint as model_file
from zebfast.net.v2 import V2Config

TINY = V2Config(width=16, n_blocks=1, belief_head=True)


def trained(
    kind: type[torch.optim.AdamW], n_steps: int, saved: dict[str, object] | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """Weights and optimizer after some steps, from its own state where there is one."""
    net = model_file.fresh(TINY, seed=0).network()
    optimizer = kind(net.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    if saved is not None:
        optimizer.load_state_dict(copy.deepcopy(saved))
    for step in range(n_steps):
        optimizer.zero_grad(set_to_none=True)
        for number, weight in enumerate(net.parameters()):
            (weight * (weight - number - step)).sum().backward()
        optimizer.step()
    return net.state_dict(), optimizer.state_dict()


def test_it_is_torchs_own_to_the_bit() -> None:
    ours, state = trained(EagerAdamW, 5)
    theirs, _ = trained(torch.optim.AdamW, 5)
    for name, weight in ours.items():
        assert torch.equal(weight, theirs[name]), name
    ours, _ = trained(EagerAdamW, 3, state)
    theirs, _ = trained(torch.optim.AdamW, 3, state)
    for name, weight in ours.items():
        assert torch.equal(weight, theirs[name]), name


def test_a_step_cannot_be_differentiated() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = EagerAdamW([weight], lr=0.1)
    weight.grad = torch.ones(2)
    optimizer.step()
    assert weight.is_leaf
    assert weight.requires_grad
    assert torch.is_grad_enabled()


def test_a_learner_that_plays_matches_does_without_the_compiler(
    tmp_path: Path, add_file: Callable[..., str]
) -> None:
    """Importing it is 2 to 3 seconds of every start."""
    model_file.save(model_file.fresh(TINY, seed=1), tmp_path / "init.pt")
    add_file(tmp_path / "examples" / "exp", 1)
    flags = [
        *("--weights-dir", str(tmp_path / "run"), "--input-dir", str(tmp_path / "examples")),
        *("--weights-name", "exp", "--checkpoint", str(tmp_path / "init.pt")),
        *("--state-dir", str(tmp_path / "home"), "--device", "cpu", "--threads", "1"),
        *("--batch-size", "8", "--training-steps-per-cycle", "2", "--min-buffer-size", "28"),
        *("--eval-every", "1", "--eval-games", "2", "--max-cycles", "1", "--disk-limit", "0"),
    ]
    done = run_without("torch._dynamo", "learn", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Eval     1: vs random" in done.stdout
