"""What is tested here is the package as it is installed: programs start as a user starts them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def own_interpreters(own_interpreter: None) -> None:
    """No forks of a process that has everything imported."""
