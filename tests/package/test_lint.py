"""`make lint` as tests, so that continuous integration holds the same line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lint


def _tool(name: str) -> str:
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed in this environment")
    return str(path)


def _run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff(repo_root: Path) -> None:
    _run([_tool("ruff"), "check", "--no-cache", "."], repo_root)


def test_mypy(repo_root: Path) -> None:
    _run([_tool("mypy")], repo_root)


@pytest.mark.parametrize("writer", ["gen_tables", "gen_options", "gen_perft"])
def test_generated_files_are_current(repo_root: Path, writer: str) -> None:
    _run([sys.executable, f"tools/{writer}.py", "--check"], repo_root)


@pytest.mark.parametrize("writer", [("readme.py",), ("strength.py", "page")])
def test_generated_parts_of_pages_are_current(repo_root: Path, writer: tuple[str, ...]) -> None:
    _run([sys.executable, f"tools/{writer[0]}", *writer[1:], "--check"], repo_root)


def test_no_machine_paths_in_the_tree(repo_root: Path) -> None:
    """Nothing that is shipped may name a folder of the machine it was written on."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=repo_root,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    needles = ("/" + "work/", "/" + "root/", "/" + "tmp/", "/" + "home/")
    found = []
    for name in listed.stdout.splitlines():
        path = repo_root / name
        if path.suffix in (".py", ".pyx", ".pyi", ".c", ".h", ".md", ".toml", ".txt", ".json"):
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            found += [f"{name}: {needle}" for needle in needles if needle in text]
    assert found == []
