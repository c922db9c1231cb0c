"""What a restarted learner continues from after a crash between saving and publishing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from learning import learn

from zebfast.learner.config import LearnerConfig


class Crash(Exception):
    """Stands for the end of the process at this very line."""


def test_own_checkpoint_is_known_after_weights_published_late(
    make_config: Callable[..., LearnerConfig], add_file: Callable[..., str]
) -> None:
    """Ended (which publishes after saving), then killed before it published again."""
    config = make_config(push_every=100, eval_every=1, eval_games=2, max_cycles=2)
    add_file(config.examples.path, 1)
    assert learn(config, say=lambda _line: None) == 0

    def die_once_saved(line: str) -> None:
        if line.startswith("Eval     3"):
            raise Crash

    with pytest.raises(Crash):
        learn(replace(config, max_cycles=None), say=die_once_saved)
    lines: list[str] = []
    assert learn(replace(config, max_cycles=1), say=lines.append) == 0
    text = "\n".join(lines)
    assert "Continuing model.ckpt from cycle 3" in text
    assert "Cycle    4:" in text


def test_last_files_are_counted_at_the_end(
    make_config: Callable[..., LearnerConfig], add_file: Callable[..., str]
) -> None:
    """Files that appear after the last look of the last cycle, before the learner is gone."""
    config = make_config(max_cycles=1)
    add_file(config.examples.path, 1)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if line.startswith("Cycle    1:"):
            add_file(config.examples.path, 2)

    assert learn(config, say=say) == 0
    assert lines[-1].startswith("Stopped after cycle 1 (4 games)")
