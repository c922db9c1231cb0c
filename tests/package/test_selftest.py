"""The C core builds and tests itself with a C compiler alone: here, and for other platforms."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import pytest
from selftest import cloning_clang, need, said, selftest

SANITIZED = (
    "-O1",
    "-g1",  # enough to name the lines; more costs a quarter of the compilation
    "-DZF_NO_CLONES",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
)
STATIC = ("-O3", "-static")
ARM = ("aarch64-linux-gnu-gcc", "qemu-aarch64")
# What the core includes of a C library is in musl's headers as it is in Apple's.
MUSL_HEADERS = Path(f"/usr/include/{platform.machine()}-linux-musl")


@pytest.mark.parametrize("flags", [("-O3",), SANITIZED], ids=["optimised", "sanitized"])
def test_core_builds_alone_and_passes(repo_root: Path, flags: tuple[str, ...]) -> None:
    compiler = os.environ.get("CC", "cc")
    need(compiler)
    said(selftest(repo_root, compiler, flags))


def test_core_does_not_know_python(repo_root: Path) -> None:
    for path in (repo_root / "csrc").iterdir():
        assert "Python.h" not in path.read_text(encoding="utf-8"), path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_clones_are_picked_by_the_processor(repo_root: Path, name: str) -> None:
    """An emulated one that has no AVX stops a program that uses it."""
    compiler = cloning_clang() if name == "clang" else name
    need(compiler, "qemu-x86_64")
    if platform.machine() != "x86_64":
        pytest.skip("clones are made for x86-64 only")
    program = selftest(repo_root, compiler, STATIC)
    assert said(program, "qemu-x86_64", "-cpu", "Nehalem") == "baseline"
    assert said(program, "qemu-x86_64", "-cpu", "Haswell") == "x86-64-v3"


@pytest.mark.slow
def test_passes_with_musl(repo_root: Path) -> None:
    """Its loader knows no indirect functions: no clones there."""
    need("musl-gcc")
    assert said(selftest(repo_root, "musl-gcc", STATIC)) == "baseline"


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["cortex-a53", "max"])  # without dot products, and with
def test_passes_on_64_bit_arm(repo_root: Path, processor: str) -> None:
    need(*ARM)
    compiler, emulator = ARM
    said(selftest(repo_root, compiler, STATIC), emulator, "-cpu", processor)


@pytest.mark.slow
def test_compiles_for_apple(repo_root: Path) -> None:
    """As far as no library and no Apple headers are needed: every file, without a warning."""
    clang = cloning_clang()
    if not MUSL_HEADERS.is_dir():
        pytest.skip(f"no C headers for another system in {MUSL_HEADERS} (Debian: musl-dev)")
    flags = ["-target", "arm64-apple-macos11", "-std=c11", "-Wall", "-Wextra", "-Werror"]
    flags += ["-isystem", str(MUSL_HEADERS), "-fsyntax-only", f"-I{repo_root / 'csrc'}"]
    sources = sorted(map(str, (repo_root / "csrc").glob("*.c")))
    done = subprocess.run([clang, *flags, *sources], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_big_endian_is_refused(repo_root: Path) -> None:
    """While compiling: files and observations are read as the numbers that they hold."""
    compiler = "s390x-linux-gnu-gcc"
    need(compiler)
    source = repo_root / "csrc" / "worlds.c"
    done = subprocess.run([compiler, "-fsyntax-only", source], capture_output=True, text=True)
    assert done.returncode != 0
    assert "records are read as numbers" in done.stderr
