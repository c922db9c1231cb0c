"""Work that is the same number every time, and the numbers it is pinned to in counts.json.

Instructions of a kernel of the C core, operators that torch was asked for, calls of the package's
own Python, modules that a command imports. None of it depends on how busy a machine is.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from zebfast.benchmark.workload import example_writer, finished_games
from zebfast.system.files import write_atomic

ROOT = Path(__file__).resolve().parent.parent
PINNED = Path(__file__).with_suffix(".json")
RENEW = "pytest bench/test_counts.py --renew-counts"


class NotPinned(Exception):
    """No counts are pinned for this compiler, or whatever else they depend on; one sentence."""


def compare_counts(
    name: str,
    counts: Mapping[str, int],
    *,
    renew: bool = False,
    only_for: str = "",
    tolerance: float = 0.0,
) -> None:
    """Counts must equal the pinned ones; with `renew` they are pinned anew.

    Args:
        only_for: what the counts depend on besides the code ("torch 2.13"). Others keep theirs.
        tolerance: share by which a count may be higher; fewer is right only within it, too, so
            that a gain is pinned.

    Raises:
        AssertionError: names each count that differs and how to accept the change.
        NotPinned: there is nothing to compare with, for this `only_for`.
    """
    pinned = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    name = f"{name}, {only_for}" if only_for else name
    if renew:
        pinned[name] = dict(counts)
        PINNED.write_text(json.dumps(pinned, indent=2, sort_keys=True) + "\n")
        return
    if only_for and name not in pinned:
        raise NotPinned(f"no counts are pinned for {name!r}; pin the present ones: {RENEW}")
    expected = pinned.get(name, {})
    differences = [
        f"{key}: pinned {expected.get(key)}, now {counts.get(key)}"
        for key in sorted({*expected, *counts})
        if not _agree(expected.get(key), counts.get(key), tolerance)
    ]
    assert not differences, (
        f"counts of {name!r} changed ({'; '.join(differences)}). If that is intended, say so in "
        f"the commit and renew them: {RENEW}"
    )


def _agree(pinned: int | None, now: int | None, tolerance: float) -> bool:
    if pinned is None or now is None:
        return False
    return abs(now - pinned) <= tolerance * pinned


# --- instructions of a kernel, by valgrind --------------------------------------------------------

SOURCE = Path(__file__).with_name("instructions.c")
# A count belongs to one compiler and one set of flags, which its name in counts.json says. It is
# nearly, not exactly, the same on every machine: the C library picks its functions by CPU.
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
    """Compile the counting program. Raises CannotCount if a compiler is missing."""
    core = sorted(str(p) for p in (ROOT / "csrc").glob("*.c") if p.name != "selftest.c")
    command = [*compiler(), *FLAGS, "-pthread", f"-I{ROOT / 'csrc'}", str(SOURCE), *core]
    done = subprocess.run([*command, "-o", str(program), "-lm"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def kernels(program: Path) -> list[str]:
    """Names of what can be counted."""
    return subprocess.run([program], capture_output=True, text=True).stdout.splitlines()


def instructions(program: Path, kernel: str, *, share: int = 100) -> int:
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


def every_kernel() -> dict[str, int]:
    """Instructions of every kernel, kept in build/ for the same sources, compiler and valgrind.

    Raises CannotCount.
    """
    compiled_with = compiler_name()
    if shutil.which("valgrind") is None:
        raise CannotCount("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")
    version = subprocess.run(["valgrind", "--version"], capture_output=True, text=True).stdout
    known = hashlib.sha256(repr((compiled_with, FLAGS, version)).encode())
    for source in (SOURCE, *sorted((ROOT / "csrc").glob("*.[ch]"))):
        known.update(source.read_bytes())
    path = ROOT / "build" / f"instructions-{known.hexdigest()[:16]}.json"
    if path.is_file():
        return dict(json.loads(path.read_text()))
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "instructions"
        build(program)
        found = {kernel: instructions(program, kernel) for kernel in kernels(program)}
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, json.dumps(found).encode())
    return found


# --- what torch was asked to do -------------------------------------------------------------------

#: Operators for which the host waits until the device has reached them: their answer is a Python
#: number, or a tensor whose size depends on the data.
WAITING = {
    "aten::_local_scalar_dense",
    "aten::equal",
    "aten::is_nonzero",
    "aten::item",
    "aten::masked_select",
    "aten::nonzero",
    "aten::repeat_interleave.Tensor",
    "aten::_unique2",
    "aten::unique_consecutive",
    "aten::unique_dim",
}
COPYING = {"aten::_to_copy", "aten::copy_", "aten::to"}


class Operators(TorchDispatchMode):
    """Counts the operators that torch dispatches inside the block, by name.

    ``waits`` are those that make a host wait for its device: answers it needs at once, masks used
    as indices, and copies between the two.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_name: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self.by_name.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, overload = func._schema.name, func._schema.overload_name
        result = func(*args, **(kwargs or {}))
        self.by_name[name] += 1
        waits = name in WAITING or f"{name}.{overload}" in WAITING
        if name in COPYING:
            tensors = [x for x in (*args[:2], result) if isinstance(x, Tensor)]
            waits = len({x.device.type for x in tensors}) > 1
        elif name in ("aten::index", "aten::index_put_"):
            waits = any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1])
        self.waits[name] += waits
        return result


def _linear_flops(x: Any, weight: Any, *_args: Any, out_shape: Any = None, **_kwargs: Any) -> int:
    return 2 * x[:-1].numel() * x[-1] * out_shape[-1]


def _binary_linear_flops(x: Any, _other: Any, weight: Any, *args: Any, **kwargs: Any) -> int:
    return _linear_flops(x, weight, *args, **kwargs)


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products inside, the packed ones of oneDNN too."""
    packed = torch.ops.mkldnn._linear_pointwise
    mapping = {packed: _linear_flops, packed.binary: _binary_linear_flops}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        work()
    return counter.get_total_flops()


def operators(work: Callable[[], object]) -> Operators:
    """What torch was asked to do inside."""
    with Operators() as counter:
        work()
    return counter


# --- Python ---------------------------------------------------------------------------------------

PACKAGE = str(ROOT / "zebfast")
OWN = str(ROOT / "zebfast" / "benchmark")  # the workloads themselves are not what is counted
HEAVY = ("torch", "numpy", "rich", "huggingface_hub", "wandb", "vastai", "matplotlib")

_IMPORTS = """
import sys
from zebfast.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""


def python_calls(work: Callable[[], object]) -> Counter[str]:
    """Calls inside, on this thread and those it starts: of Python functions, and of C functions.

    A comprehension is part of the function it stands in, whether or not this Python gives it a
    frame of its own.
    """
    found: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _what: Any) -> None:
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE) and not code.co_filename.startswith(OWN):
            if event == "call" and not code.co_name.startswith("<"):
                found["of Python functions"] += 1
            elif event == "c_call":
                found["of C functions"] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def imports(command: Sequence[str]) -> tuple[int, list[str]]:
    """Modules of zebfast that a command has imported when it ends, and which of HEAVY."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS, *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    modules = done.stderr.split()
    own = [name for name in modules if name.split(".")[0] == "zebfast"]
    return len(own), [name for name in HEAVY if name in modules]


def native_bytes(folder: Path) -> int:
    """Size of a compact file of 256 different games."""
    path = folder / "b_0_00.safetensors"
    example_writer("safetensors", finished_games(256, 32))(path)
    return path.stat().st_size
