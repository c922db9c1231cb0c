"""Instructions that a kernel of the C core takes, counted by valgrind with bench/instructions.c.

A count belongs to one compiler and one set of flags, which its name in bench/counts.json says. It
is nearly, not exactly, the same on every machine: the C library picks its functions by CPU.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(__file__).with_suffix(".c")
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-DZF_NO_CLONES")
TOLERANCE = 0.02


class CannotCount(Exception):
    """This machine lacks something; one sentence."""


def compiler() -> list[str]:
    """The command of the C compiler. Raises CannotCount."""
    command = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(command[0]) is None:
        raise CannotCount(f"no C compiler {command[0]!r} on this machine")
    return command


def compiler_name() -> str:
    """Kind, version and processor, as the pinned counts are named: "gcc 12.2.0 x86_64"."""
    asked = [*compiler(), "-dM", "-E", "-x", "c", os.devnull]
    defined = subprocess.run(asked, capture_output=True, text=True).stdout
    macros = dict(re.findall(r"#define (\w+) (.*)", defined))
    if "__clang_version__" in macros:
        kind, version = "clang", macros["__clang_version__"].strip('"').split()[0]
    else:
        parts = ("__GNUC__", "__GNUC_MINOR__", "__GNUC_PATCHLEVEL__")
        kind, version = "gcc", ".".join(macros.get(part, "?") for part in parts)
    return f"{kind} {version} {platform.machine()}"


def build(program: Path) -> None:
    """Compile the counting program. Raises CannotCount if valgrind or a compiler is missing."""
    if shutil.which("valgrind") is None:
        raise CannotCount("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")
    core = sorted(str(p) for p in (ROOT / "csrc").glob("*.c") if p.name != "selftest.c")
    command = [*compiler(), *FLAGS, "-pthread", f"-I{ROOT / 'csrc'}", str(SOURCE), *core]
    done = subprocess.run([*command, "-o", str(program), "-lm"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def kernels(program: Path) -> list[str]:
    """Names of what can be counted."""
    return subprocess.run([program], capture_output=True, text=True).stdout.splitlines()


def count(program: Path, kernel: str, *, share: int = 100) -> int:
    """Instructions of so many per cent of a kernel's fixed work.

    Raises CannotCount if valgrind does not know an instruction of this machine.
    """
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    valgrind += ["--collect-atstart=no", "--toggle-collect=measured"]
    done = subprocess.run(
        [*valgrind, str(program), kernel, str(share)], capture_output=True, text=True
    )
    if "Unrecognised instruction" in done.stderr or "unhandled instruction" in done.stderr:
        raise CannotCount("this valgrind does not know an instruction of this machine's C library")
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert done.returncode == 0, done.stderr
    assert found, done.stderr
    return int(found[1])
