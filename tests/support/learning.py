"""Whole learner runs in this process, and what they leave."""

from __future__ import annotations

from typing import Any

from zebfast.exchange import LocalWeightStore
from zebfast.learner.config import LearnerConfig
from zebfast.learner.loop import learn


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
