"""Compiles the self-test of the C core, for this machine or by another compiler for another."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-pthread")
CLANGS = ("clang", "clang-22", "clang-21", "clang-20", "clang-19")
CLONING = 19  # the first clang that makes clones (csrc/platform.h)


def need(*programs: str) -> None:
    """Skip the test, with the names, where one of the programs is not on this machine."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")


def cloning_clang() -> str:
    """A clang new enough for clones; the test is skipped where there is none."""
    for name in filter(shutil.which, CLANGS):
        told = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
        found = re.search(r"clang version (\d+)", told)
        if found and int(found[1]) >= CLONING:
            return name
    pytest.skip(f"no clang from {CLONING} on is on this machine")


def selftest(repo_root: Path, compiler: str, flags: tuple[str, ...]) -> Path:
    """The self-test, kept in build/ for the same sources, compiler and flags."""
    source_dir = repo_root / "csrc"
    command = [compiler, *STRICT, *flags, f"-I{source_dir}"]
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    known = hashlib.sha256(repr((command, version)).encode())
    for path in sorted(source_dir.glob("*.[ch]")):
        known.update(path.read_bytes())
    program = repo_root / "build" / f"selftest-{known.hexdigest()[:16]}"
    if not program.is_file():
        program.parent.mkdir(exist_ok=True)
        objects = program.with_suffix(f".{os.getpid()}")
        objects.mkdir()
        try:
            _link(command, _compile(command, source_dir, objects), objects / program.name)
            (objects / program.name).rename(program)
        finally:
            shutil.rmtree(objects)
    return program


def _compile(command: list[str], source_dir: Path, to: Path) -> list[Path]:
    """Two files at a time, as this machine may have cores."""

    def one(source: Path) -> Path:
        target = to / f"{source.stem}.o"
        _run([*command, "-c", str(source), "-o", str(target)])
        return target

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, sorted(source_dir.glob("*.c"))))


def _link(command: list[str], objects: list[Path], program: Path) -> None:
    _run([*command, *map(str, objects), "-o", str(program), "-lm"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if "cannot find -lasan" in done.stderr or "libasan" in done.stderr:
        pytest.skip("this compiler has no sanitizer libraries")
    assert done.returncode == 0, done.stderr


def said(program: Path, *emulator: str) -> str:
    """What a self-test that passes says last: the instruction set of its hot kernels."""
    ran = subprocess.run([*emulator, program], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = re.search(r"all checks passed \((.+)\)", ran.stdout)
    assert found, ran.stdout
    return found[1]
