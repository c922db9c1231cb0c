"""The rooms keep their order, and only cli/ looks at the world outside."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOMS = (
    "exchange",
    "rules",
    "core",
    "net",
    "selfplay",
    "arena",
    "worker",
    "learner",
    "experiment",
    "fleet",
    "benchmark",
    "web",
    "environments",
    "cli",
)


@pytest.mark.lint
def test_import_contracts_hold(repo_root: Path) -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists():
        pytest.skip("import-linter is not installed in this environment")
    done = subprocess.run(
        [tool, "--no-cache"],
        cwd=repo_root,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repo_root), "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_contract_lists_every_room_in_order(repo_root: Path) -> None:
    contracts = tomllib.loads((repo_root / "pyproject.toml").read_text())["tool"]["importlinter"]
    [layers] = [c["layers"] for c in contracts["contracts"] if c["type"] == "layers"]
    named = [re.findall(r"\w+", layer) for layer in reversed(layers)]
    flat = [name for layer in named for name in sorted(layer, reverse=True) if name in ROOMS]
    assert flat == list(ROOMS)


def _outside_reads(source: str) -> list[str]:
    """Names of the process's environment and argv that a module's code mentions."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in ("os.environ", "os.getenv", "sys.argv"):
                found.append(f"line {node.lineno}: {name}")
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "sys"):
            found += [
                f"line {node.lineno}: {node.module}.{alias.name}"
                for alias in node.names
                if alias.name in ("environ", "getenv", "argv")
            ]
    return found


def test_only_cli_reads_argv_and_environment(repo_root: Path) -> None:
    package = repo_root / "zebfast"
    offenders = {
        str(path.relative_to(repo_root)): found
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] != "cli"
        and (found := _outside_reads(path.read_text(encoding="utf-8")))
    }
    assert offenders == {}


def _imported(source: str) -> set[str]:
    """Modules that a module's code imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_benchmarks_and_tools_need_no_command_line_and_no_tests(repo_root: Path) -> None:
    """What both need of either belongs below, in a room."""
    tests = repo_root / "tests"
    helpers = {p.stem for room in ("support", "servers") for p in (tests / room).glob("*.py")}
    offenders = {}
    for folder in ("bench", "tools"):
        own = {p.stem for p in (repo_root / folder).rglob("*.py")}
        for path in (repo_root / folder).rglob("*.py"):
            used = _imported(path.read_text(encoding="utf-8"))
            bad = {name for name in used if f"{name}.".startswith(("zebfast.cli.", "tests."))}
            bad |= used & (helpers - own)
            if bad and path.name != "readme.py":  # which writes down what the commands take
                offenders[str(path.relative_to(repo_root))] = sorted(bad)
    assert offenders == {}


def test_the_checks_above_see_what_they_must() -> None:
    assert _outside_reads("import os\nx = os.environ.get('A')") == ["line 2: os.environ"]
    assert _outside_reads("from os import getenv") == ["line 1: os.getenv"]
    assert _outside_reads("import os\nos.replace('a', 'b')") == []
    assert "zebfast.cli" in _imported("def f():\n    from zebfast import cli\n")
    assert _imported("import slow_tree") == {"slow_tree"}
