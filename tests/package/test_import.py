"""What importing the package costs and needs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

BLOCK_TORCH = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "wandb", "huggingface_hub", "vastai", "matplotlib"}:
            raise ImportError(f"{name} is blocked in this test")
        return None
sys.meta_path.insert(0, Blocker())
"""


def _python(code: str, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)


def test_engine_works_without_torch(repo_root: Path) -> None:
    code = """
import zebfast
game = zebfast.Game.deal(7)
while not game.over:
    game.play(game.legal()[0])
assert sum(game.points) == 42, game.points
import zebfast.core.engine, zebfast.core.observe, zebfast.core.forest, zebfast.core.selfplay
assert "torch" not in sys.modules
print(zebfast.__version__)
"""
    done = _python(BLOCK_TORCH + code, repo_root)
    assert done.returncode == 0, done.stderr


def test_every_public_name_loads_without_torch(repo_root: Path) -> None:
    code = """
import zebfast
values = {name: getattr(zebfast, name) for name in zebfast.__all__}
homeless = [n for n in zebfast.__all__ if n[0] != "_" and n not in zebfast._MODULES]
print(homeless, sorted(set(zebfast._MODULES) - set(zebfast.__all__)))
"""
    done = _python(BLOCK_TORCH + code, repo_root)
    assert done.stdout == "[] []\n", done.stderr


def test_importing_the_package_loads_nothing_heavy(repo_root: Path) -> None:
    code = "import sys, zebfast; print(sorted({'torch', 'numpy', 'rich'} & set(sys.modules)))"
    assert _python(code, repo_root).stdout.strip() == "[]"


def test_unknown_name_is_an_attribute_error() -> None:
    import zebfast

    with pytest.raises(AttributeError, match="nonsense"):
        _ = zebfast.nonsense  # type: ignore[attr-defined]
    assert "Game" in dir(zebfast)


def test_version_is_in_the_changelog(repo_root: Path) -> None:
    import zebfast

    changelog = (repo_root / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == zebfast.__version__


def test_constraints_satisfy_the_requirements(repo_root: Path) -> None:
    """Every direct requirement is pinned, and the pin satisfies it."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = {}
    for line in (repo_root / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            [spec] = pin.specifier
            pins[canonicalize_name(pin.name)] = spec.version
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *extras["train"], *extras["dev"], *extras["plot"]]:
        wanted = Requirement(line)
        if wanted.name == project["name"]:  # whose extras are looked at themselves
            continue
        assert wanted.specifier.contains(pins[canonicalize_name(wanted.name)]), line
