"""An experiment to give commands to, and torch's threads put back after them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from experiments import add_examples, create
from quick import tiny_checkpoint


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as they are in a pipe, whatever width the tests are run in."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An experiment of a tiny network that has self-play files to learn from."""
    source = tiny_checkpoint(tmp_path / "tiny.pt")
    assert create(tmp_path, "--from", source).exit_code == 0
    for age in (9.0, 5.0):
        add_examples(tmp_path, age=age)
    return tmp_path
