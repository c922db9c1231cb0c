"""Small published networks for tests that run workers or learners."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.net import checkpoint
from zebfast.net.v1 import SIZES

Start = Callable[..., "subprocess.Popen[str]"]


def publish(
    directory: Path,
    *,
    step: int,
    seed: int = 0,
    size: str = "small",
    name: str | None = None,
    **state: Any,
) -> None:
    """Publish a fresh network as a namespace of ``directory`` (default: the nameless one).

    ``state``: what the state says beside its counters.
    """
    store = LocalWeightStore(directory, Namespace.parse(name))
    made = checkpoint.fresh(SIZES[size], seed=seed)
    counters = {"step": step, "total_games": 10 * step}
    store.publish(made.weights, made.config.to_dict(), counters | state)
