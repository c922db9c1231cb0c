"""Whole learner runs in this process, and what they leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from listening import listening

from zebfast.exchange import LocalWeightStore
from zebfast.learner import loop
from zebfast.learner.config import LearnerConfig


def learn(config: LearnerConfig, *, say: Callable[[str], object]) -> int:
    """Run a learner, whose every line ``say`` takes. Returns its exit code."""
    with listening(say):
        return loop.learn(config)


def run(config: LearnerConfig) -> list[str]:
    """The lines of one whole run that ended by itself."""
    lines: list[str] = []
    assert learn(config, say=lines.append) == 0
    return lines


def state_of(config: LearnerConfig) -> dict[str, Any]:
    """The state that a run over a directory has published."""
    state = LocalWeightStore(config.stores.state_dir, config.namespace).read_state()
    assert state is not None
    return state
