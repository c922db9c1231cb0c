"""A tiny checkpoint and the flags of a worker and a learner that are quick with it."""

from __future__ import annotations

from pathlib import Path

from zebfast.net import checkpoint
from zebfast.net.v1 import NetConfig

QUICK_WORKER = ("--threads", "1", "--device", "cpu", "--n-groups", "1", "--n-parallel-games", "8",
                "--n-simulations", "8", "--games-per-batch", "8",
                "--weight-sync-interval", "1")  # fmt: skip
QUICK_LEARNER = ("--threads", "1", "--device", "cpu", "--batch-size", "16",
                 "--min-buffer-size", "200", "--keep-example-files", "0",
                 "--eval-games", "20")  # fmt: skip


def tiny_checkpoint(path: Path) -> Path:
    """A fresh network so small that a process spends its time on everything else."""
    config = NetConfig(embed_dim=16, n_heads=2, n_layers=1, ff_dim=16, belief_head=True)
    checkpoint.save(checkpoint.fresh(config, seed=1), path)
    return path
