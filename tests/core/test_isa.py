"""The instruction set that is reported is the one that the loader picks for the hot kernels.

A program with a processor of its own: it defines what libgcc would have found out, so that both
the loader, which picks a clone before main, and `zf_isa` look at the same made-up features.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

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

/* GCC writes i for %~ where it compiles for AVX2, else f. */
ZF_HOT static int letter(void) {
    int c;
    __asm__("movl $'%~, %0" : "=r"(c));
    return c;
}

int main(void) {
    printf("%s %s\n", letter() == 'i' ? "x86-64-v3" : "baseline", zf_isa());
    return 0;
}
"""


@pytest.mark.parametrize("everything", [False, True])
def test_reported_is_what_the_loader_picks(
    repo_root: Path, tmp_path: Path, everything: bool
) -> None:
    compiler = os.environ.get("CC", "gcc")
    if platform.machine() != "x86_64" or shutil.which(compiler) is None:
        pytest.skip("clones are made by gcc for x86-64 only")
    source, program = tmp_path / "isa.c", tmp_path / "isa"
    source.write_text(PROGRAM)
    command = [compiler, "-O1", f"-DALL={int(everything)}", f"-I{repo_root / 'csrc'}"]
    command += [str(source), "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True)
    if "clang" in built.stderr or "multiple definition" in built.stderr:
        pytest.skip("this compiler lets nobody else say what the processor has")
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program], capture_output=True, text=True, check=True)
    picked, reported = ran.stdout.split()
    assert reported == picked == ("x86-64-v3" if everything else "baseline")
