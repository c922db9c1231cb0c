"""What is tested here is the package as it is installed: programs start as a user starts them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from forkserver import Program


@pytest.fixture(autouse=True, scope="package")
def own_interpreters(forked_programs: None) -> Iterator[None]:
    """No forks of a process that has everything imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Program.__base__)
        yield
