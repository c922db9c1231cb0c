"""Nothing that Python can do to an object of the compiled core ends the process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from extension_types import compiled_modules, extension_types

from zebfast import GameBatch
from zebfast.core.whole_game_batch import WholeGameBatch
from zebfast.core.worlds import WorldSet


@pytest.fixture(scope="module")
def ends(repo_root: Path) -> dict[str, tuple[int, str]]:
    """How the processes of hard_use ended, and the last that they printed."""
    program = str(repo_root / "tests/support/hard_use.py")
    ran = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return {name: (end, last) for name, end, last in map(json.loads, ran.stdout.splitlines())}


@pytest.mark.parametrize("name", [*extension_types(), *compiled_modules()])
def test_hard_use_ends_no_process(name: str, ends: dict[str, tuple[int, str]]) -> None:
    end, last = ends[name]
    assert end == 0, f"{name} with the seed 1 ended with {end} after {last}"


def test_what_others_may_be_at_work_on_is_made_once() -> None:
    games = GameBatch.deal(2, seed=1)
    with pytest.raises(RuntimeError, match="made once"):
        games.__init__(games.hands, 1, 1)  # type: ignore[misc]
    whole = WholeGameBatch(2, seed=1)
    with pytest.raises(RuntimeError, match="made once"):
        whole.__init__(3, seed=1)  # type: ignore[misc]
    worlds = WorldSet(games, 0)
    with pytest.raises(RuntimeError, match="made once"):
        worlds.__init__(games, 1)  # type: ignore[misc]
