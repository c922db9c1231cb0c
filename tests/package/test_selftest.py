"""The C core builds and tests itself with a C compiler alone."""

from __future__ import annotations

import hashlib
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


def built(repo_root: Path, compiler: str, flags: tuple[str, ...]) -> Path:
    """The self-test, kept in build/ for the same sources, compiler and flags."""
    source_dir = repo_root / "csrc"
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", *flags]
    command += ["-pthread", f"-I{source_dir}", *sorted(map(str, source_dir.glob("*.c")))]
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    known = hashlib.sha256(repr((command, version)).encode())
    for path in sorted(source_dir.glob("*.[ch]")):
        known.update(path.read_bytes())
    program = repo_root / "build" / f"selftest-{known.hexdigest()[:16]}"
    if not program.is_file():
        program.parent.mkdir(exist_ok=True)
        part = program.with_suffix(f".{os.getpid()}")
        done = subprocess.run([*command, "-o", part, "-lm"], capture_output=True, text=True)
        if "cannot find -lasan" in done.stderr or "libasan" in done.stderr:
            pytest.skip("this compiler has no sanitizer libraries")
        assert done.returncode == 0, done.stderr
        part.rename(program)
    return program


@pytest.mark.parametrize("flags", [("-O3",), SANITIZED], ids=["optimised", "sanitized"])
def test_core_builds_alone_and_passes(repo_root: Path, flags: tuple[str, ...]) -> None:
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        pytest.skip("no C compiler on this machine")
    program = built(repo_root, compiler, flags)
    ran = subprocess.run([program], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_core_does_not_know_python(repo_root: Path) -> None:
    for path in (repo_root / "csrc").iterdir():
        assert "Python.h" not in path.read_text(encoding="utf-8"), path
