"""The C core builds and tests itself with a C compiler alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SANITIZED = (
    "-O1",
    "-g1",  # enough to name the lines; more costs a quarter of the compilation
    "-DZF_NO_CLONES",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
)


@pytest.mark.parametrize("flags", [("-O3",), SANITIZED], ids=["optimised", "sanitized"])
def test_core_builds_alone_and_passes(repo_root: Path, tmp_path: Path, flags: tuple[str]) -> None:
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        pytest.skip("no C compiler on this machine")
    sources = sorted(str(path) for path in (repo_root / "csrc").glob("*.c"))
    program = tmp_path / "selftest"
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", *flags]
    command += ["-pthread", f"-I{repo_root / 'csrc'}", *sources, "-o", str(program), "-lm"]
    built = subprocess.run(command, capture_output=True, text=True)
    if "cannot find -lasan" in built.stderr or "libasan" in built.stderr:
        pytest.skip("this compiler has no sanitizer libraries")
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_core_does_not_know_python(repo_root: Path) -> None:
    for path in (repo_root / "csrc").iterdir():
        assert "Python.h" not in path.read_text(encoding="utf-8"), path
