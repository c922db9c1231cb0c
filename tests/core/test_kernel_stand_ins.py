"""Kernels of processors that this machine is not: their logic, and that nobody else meets them.

Programs of their own, built from csrc/: instructions that the machine may lack are plain C there
(tests/support/stand_ins), and a processor has the features that the program says.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from zebfast.core import engine, network

COMPILER = os.environ.get("CC", "gcc")
pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason="no C compiler")
on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="kernels of x86-64")
#: Endings of functions that may use more than every processor of the kind has.
FREE = r"(_avx2|_avx512|_avx512_vnni|_avx_vnni|_amx|\.arch_x86_64_v3)(\.\w+)*$"


def build(repo_root: Path, program: Path, sources: list[str], *flags: str) -> None:
    """Without optimization: that is faster, and no stand-in becomes the instruction again."""
    own = repo_root / "tests/support/stand_ins"
    files = [f"csrc/{name}" if not name.startswith("/") else name for name in sources]
    command = [COMPILER, "-std=c11", "-O0", "-g0", "-ffp-contract=off", "-w", "-Icsrc", f"-I{own}"]
    command += [*flags, *files, "-o", str(program), "-lm"]
    built = subprocess.run(command, cwd=repo_root, capture_output=True, text=True)
    if "multiple definition" in built.stderr or "unknown target" in built.stderr:
        pytest.skip("this compiler lets nobody else say what the processor has")
    assert built.returncode == 0, built.stderr


def lines(program: Path, *arguments: str) -> list[str]:
    ran = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@on_x86
def test_tiles_and_narrow_vnni_on_stand_ins(repo_root: Path, tmp_path: Path) -> None:
    here = {name for name, _, supported in network.kernels() if supported}
    own = repo_root / "tests/support/stand_ins"
    sources = ["net_int8.c", "net_int8_avx_vnni.c", "net_int8_amx.c", "net_bf16.c"]
    sources += ["net_bf16_amx.c", f"{own}/compare.c"]
    build(repo_root, tmp_path / "compare", sources, "-include", f"{own}/x86.h")
    # What a kernel uses besides must be real.
    runs = {
        "int8-avx-vnni": "int8-avx2",
        "int8-amx": "int8-avx512-vnni",
        "bf16-amx": "bf16-avx512",
    }
    asked = [name for name, needed in runs.items() if needed in here]
    assert lines(tmp_path / "compare", *asked) == [f"{name} agrees" for name in asked]


def test_neon_on_stand_ins_and_the_plain_kernel(repo_root: Path, tmp_path: Path) -> None:
    """Against the kernel in C that uses no intrinsics at all."""
    sources = ["net_int8.c", "net_int8_dotprod.c", "net_bf16.c"]
    sources += [f"{repo_root}/tests/support/stand_ins/compare.c"]
    build(repo_root, tmp_path / "compare", sources, "-DZF_DOTPROD", "-DZF_PLAIN")
    said = lines(tmp_path / "compare", "int8-neon-dotprod")
    assert said == ["int8-neon-dotprod agrees"]


@on_x86
def test_a_processor_that_lacks_a_feature(repo_root: Path, tmp_path: Path) -> None:
    """Every kernel is offered exactly where all that it uses is there, and made nowhere else."""
    sources = sorted(
        path.name for path in (repo_root / "csrc").glob("net*.c") if path.name != "net_amx.c"
    )
    sources += ["v2_features.c", "engine.c", "tables.c", "observe.c"]
    sources += [f"{repo_root}/tests/support/stand_ins/processor.c"]
    build(repo_root, tmp_path / "processor", sources, "-DZF_NO_CLONES")
    *features, left, taken = lines(tmp_path / "processor")
    needed = defaultdict(set)
    for line in features:
        feature, kernels = line.split(":")
        for kernel in kernels.split():
            needed[kernel].add(feature)
    wide = {"avx512f", "avx512bw", "avx512vl"}
    of_set = {"popcnt", "bmi", "bmi2", "avx2", "fma"}  # as zf_set_supported asks
    assert needed == {
        "fp32-avx512": wide | of_set | {"avx512dq"},
        "fp32-avx2": of_set,
        "bf16-avx512": wide | {"avx512bf16"},
        "bf16-amx": wide | {"avx512bf16", "amx-tile", "amx-bf16"},
        "int8-avx2": {"avx2"},
        "int8-avx-vnni": {"avx2", "avxvnni"},
        "int8-avx512-vnni": wide | {"avx512vnni"},
        "int8-amx": wide | {"avx512vnni", "amx-tile", "amx-int8"},
    }
    assert left == "nothing: fp32-baseline int8-baseline"
    assert taken == "fp32-baseline int8-baseline"


@on_x86
@pytest.mark.skipif(shutil.which("objdump") is None, reason="no disassembler")
@pytest.mark.skipif(engine.isa() == "native", reason="built for this machine alone")
def test_other_functions_use_what_every_processor_has() -> None:
    """No function but those of kernels and clones holds an instruction of AVX or beyond."""
    command = ["objdump", "-d", "--no-show-raw-insn", network.__file__]
    function, found = "", defaultdict(list)
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    ):
        if head := re.match(r"[0-9a-f]+ <(.+)>:", line):
            function = head[1]
        elif re.search(r"%[yzt]mm|\t(v[a-z0-9]+|tile\w+|ldtile\w+) ", line):
            found[function].append(line)
    assert any(function.startswith("run_avx2") for function in found)
    assert {function for function in found if not re.search(FREE, function)} == set()
