"""What is tested here is the package as it is installed: programs start as a user starts them."""

from __future__ import annotations

import sysconfig
import venv
from pathlib import Path

import pytest

_TORCHES = ("torch", "functorch")


@pytest.fixture(autouse=True)
def own_interpreters(own_interpreter: None) -> None:
    """No forks of a process that has everything imported."""


@pytest.fixture(scope="session")
def lean_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has no torch.

    A real one, so that metadata lacks torch as imports do: its packages are links to those of this
    interpreter, but for torch's.
    """
    home = tmp_path_factory.mktemp("lean")
    venv.create(home, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    for found in Path(sysconfig.get_path("purelib")).iterdir():
        if found.name.partition("-")[0] not in _TORCHES:
            (site / found.name).symlink_to(found)
    return home / "bin" / "python"
