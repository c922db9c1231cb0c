"""The compiled core under sanitizers: `make sanitize`.

    python tools/sanitize.py [address] [thread] [-- ARGUMENTS OF PYTEST]

For each sanitizer: the C self-test, then the Python tests of rules, core, search, solver pool and
self-play with extension modules that are compiled for it, in a copy of the checkout below
build/sanitize/ (the modules beside the sources stay as they are). `address` is with that of
undefined behaviour; `thread` runs the tests that start threads. The first report of a sanitizer
ends the run with exit code 1; a sanitizer that the compiler has no runtime library for is skipped,
which is said.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILER = os.environ.get("CC", "cc")
_THREADS = (
    "tests/core/test_solver_pool.py", "tests/core/test_solve.py", "tests/core/test_worlds.py",
    "tests/core/test_rollouts.py", "tests/core/test_network.py", "tests/forest",
    "tests/selfplay/test_threads.py",
)  # fmt: skip


@dataclass(frozen=True)
class Sanitizer:
    """Flags of the compiler, libraries that must be there first, options of the runtime, tests.

    C++ of other packages throws exceptions, which only the C++ library itself, loaded early, hands
    to the sanitizer.
    """

    flags: str
    libraries: tuple[str, ...]
    options: dict[str, str]
    tests: tuple[str, ...]


SANITIZERS = {
    "address": Sanitizer(
        "-fsanitize=address,undefined -fno-sanitize-recover=undefined",
        ("libasan.so", "libubsan.so", "libstdc++.so.6"),
        # CPython keeps memory until its end, on purpose.
        {
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:abort_on_error=1",
        },
        ("tests/rules", "tests/core", "tests/forest", "tests/selfplay"),
    ),
    "thread": Sanitizer(
        "-fsanitize=thread",
        ("libtsan.so", "libstdc++.so.6"),
        # The interpreter and torch are not compiled for it: what they do alone is not its matter.
        {"TSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:ignore_noninstrumented_modules=1"},
        _THREADS,
    ),
}


def main(arguments: list[str]) -> int:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    chosen, more = arguments[:at] or list(SANITIZERS), arguments[at + 1 :]
    for name in chosen:
        if name not in SANITIZERS:
            print(f"error: no sanitizer {name!r}: expected {' or '.join(SANITIZERS)}",
                  file=sys.stderr)  # fmt: skip
            return 2
        libraries = [library(each) for each in SANITIZERS[name].libraries]
        if None in libraries:
            lacks = SANITIZERS[name].libraries[libraries.index(None)]
            say(f"{name}: skipped, {COMPILER} has no {lacks} here")
            continue
        code = run(name, [each for each in libraries if each], more)
        if code:
            say(f"{name}: failed with exit code {code}")
            return 1
    return 0


def run(name: str, libraries: list[str], more: list[str]) -> int:
    """Self-test and Python tests under one sanitizer; the first exit code that is not 0."""
    sanitizer = SANITIZERS[name]
    tree = ROOT / "build" / "sanitize" / name
    say(f"{name}: the C self-test")
    selftest = compiled_selftest(tree.parent, name)
    environment = os.environ | sanitizer.options
    code = subprocess.run([*fixed_addresses(), selftest], env=environment).returncode
    if code:
        return code
    say(f"{name}: compiling the extension modules in {tree.relative_to(ROOT)} (some minutes)")
    copy_checkout(tree)
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(build, cwd=tree, env=os.environ | {"ZEBFAST_SANITIZE": name}, check=True)
    say(f"{name}: the Python tests")
    # The interpreter's own allocator would hide what is read beyond a small object.
    report = tree.parent / f"report-{name}"
    for old in tree.parent.glob(f"{report.name}.*"):
        old.unlink()
    for variable, options in sanitizer.options.items():  # pytest would keep what is printed
        environment[variable] = f"{options}:log_path={report}"
    environment |= {"LD_PRELOAD": " ".join(libraries), "PYTHONMALLOC": "malloc",
                    "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "2"}  # fmt: skip
    tests = [sys.executable, "-m", "pytest", "-q", "-m", "not slow and not gpu", "-p",
             "no:cacheprovider", "-p", "no:faulthandler", *(more or sanitizer.tests)]  # fmt: skip
    code = subprocess.run([*fixed_addresses(), *tests], cwd=tree, env=environment).returncode
    for found in sorted(tree.parent.glob(f"{report.name}.*")):
        print(found.read_text(errors="replace"), flush=True)
        code = code or 1
    return code


def library(name: str) -> str | None:
    """The compiler's shared library of that name; None where it has none."""
    asked = [COMPILER, f"-print-file-name={name}"]
    found = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return str(Path(found).resolve()) if os.path.isabs(found) and Path(found).exists() else None


def fixed_addresses() -> list[str]:
    """What starts a program without random addresses, which newer kernels spread too widely."""
    setarch = shutil.which("setarch")
    return [setarch, platform.machine(), "-R"] if setarch else []


def compiled_selftest(folder: Path, name: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"selftest-{name}"
    sources = sorted(str(path) for path in (ROOT / "csrc").glob("*.c"))
    command = [COMPILER, "-std=c11", "-O1", "-g", "-DZF_NO_CLONES",
               *SANITIZERS[name].flags.split(), "-pthread", f"-I{ROOT / 'csrc'}", *sources, "-o",
               str(program), "-lm"]  # fmt: skip
    subprocess.run(command, check=True)
    return str(program)


def copy_checkout(tree: Path) -> None:
    """The files that git knows or could know, as they are now; what is unchanged stays."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, tree / name
        if not source.is_file():
            continue
        was = target.stat() if target.exists() else None
        now = source.stat()
        if was is None or (was.st_size, was.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
