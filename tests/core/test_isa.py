"""The instruction set that is reported is the one that the loader picks for the hot kernels.

A program with a processor of its own: it defines what libgcc would have found out, so that both
the loader, which picks a clone before main, and `zf_isa` look at the same made-up features.
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest
from selftest import cloning_clang, need

PROGRAM = r"""
#include <stdio.h>
#include "platform.h"

struct { unsigned vendor, type, subtype, features[1]; } __cpu_model;
unsigned __cpu_features2[4];

int __cpu_indicator_init(void) {
    __cpu_model.vendor = 1;
    __cpu_model.features[0] = ~0u; /* AVX2 and BMI2 among them */
    for (int i = 0; i < 4; i++) __cpu_features2[i] = ~0u;
    if (!ALL) __cpu_features2[2] &= ~2u; /* not all of x86-64-v3: no MOVBE, say */
    return 0;
}

/* An address inside of the clone that runs. */
ZF_HOT void *place(void) {
    void *at;
    __asm__ volatile("leaq 0(%%rip), %0" : "=r"(at));
    return at;
}

int main(void) {
    printf("%p %s\n", place(), zf_isa());
    return 0;
}
"""
CLONES = {"arch_x86_64_v3": "x86-64-v3", "default": "baseline"}  # as compilers name them, nearly


def clone_at(program: Path, address: int) -> str:
    """The instruction set of the clone that holds the address, by the program's symbols."""
    listed = subprocess.run(["nm", "-n", program], capture_output=True, text=True, check=True)
    names = [line.split() for line in listed.stdout.splitlines() if " t " in line.lower()]
    [*_, (_, _, name)] = (words for words in names if int(words[0], 16) <= address)
    return CLONES[name.split(".")[1].replace("-", "_")]


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_reported_is_what_the_loader_picks(
    repo_root: Path, tmp_path: Path, name: str, everything: bool
) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("clones are made for x86-64 only")
    compiler = cloning_clang() if name == "clang" else name
    need(compiler, "nm")
    source, program = tmp_path / "isa.c", tmp_path / "isa"
    source.write_text(PROGRAM)
    command = [compiler, "-O1", "-no-pie", f"-DALL={int(everything)}", f"-I{repo_root / 'csrc'}"]
    command += [str(source), "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True)
    if "multiple definition" in built.stderr:
        pytest.skip("this compiler lets nobody else say what the processor has")
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program], capture_output=True, text=True, check=True)
    address, reported = ran.stdout.split()
    picked = clone_at(program, int(address, 16))
    assert reported == picked == ("x86-64-v3" if everything else "baseline")
