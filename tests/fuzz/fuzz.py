"""Coverage-guided fuzzing of every reader of bytes from outside: ``make fuzz``.

    python tests/fuzz/fuzz.py [--seconds 60] [--targets heartbeat,state] [--log FILE]

Each target runs in a process of its own, for so many seconds, from its seeds and from what earlier
runs found worth keeping in ``build/fuzz/``. Only a target's declared errors may come out, within
two seconds, and without more memory than an input can explain. What does not keep to that is kept
as ``build/fuzz/NAME/finding-…``, one for each place, and told; the exit code is then 1.

With atheris (``pip install 'zebfast[fuzz]'``) inputs that reach new code are kept and built upon.
Without it, as where it has no wheel, changes are made at random from the seeds alone.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import random
import re
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(ROOT)]
KEPT = HERE / "seeds"
WORK = ROOT / "build" / "fuzz"

MAX_SECONDS = 2.0
MAX_GROWTH = 256 << 20  # bytes that one input may add to the process, and a factor of its own size
MAX_FACTOR = 100
_INSTRUMENTED = ["zebfast", "json", "tomllib", "zipfile", "pickletools"]
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


class Finding(Exception):
    """A reader that took too long or too much memory."""


class Checked:
    """Calls a reader and judges what comes of it; ``findings`` by where they arose."""

    def __init__(self, read: Callable[[bytes], object], errors: tuple[type[BaseException], ...]):
        self.read, self.errors = read, errors
        self.findings: dict[str, bytes] = {}
        self.executed = 0
        self.told: Callable[[str, bytes], None] = lambda where, data: None

    def __call__(self, data: bytes) -> None:
        self.executed += 1
        try:
            check(self.read, self.errors, data)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            ours = [f for f in frames if "/zebfast/" in f.filename] or frames
            where = f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"
            if where not in self.findings:
                self.findings[where] = data
                text = "".join(traceback.format_exception(error)[-6:])
                self.told(f"{where}\n{text}", data)


def check(
    read: Callable[[bytes], object], errors: tuple[type[BaseException], ...], data: bytes
) -> None:
    """Whatever ``read`` raises but its declared errors; Finding where it takes too much."""
    before, began = _peak(), time.process_time()
    try:
        read(data)
    except errors as error:
        sentence = str(error)
        if "\n" in sentence or len(sentence) > 4000:
            raise Finding(f"an error of {len(sentence)} characters, or several lines") from error
    took, grew = time.process_time() - began, _peak() - before
    if took > MAX_SECONDS:
        raise Finding(f"{took:.1f} s for {len(data)} bytes")
    if grew > MAX_GROWTH + MAX_FACTOR * len(data):
        raise Finding(f"{grew:,} bytes of memory for {len(data)} bytes")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def kept_seeds(name: str) -> list[bytes]:
    """Inputs of a target that are kept: those that once were findings."""
    return [path.read_bytes() for path in sorted((KEPT / name).glob("*"))]


# --- one target, in this process -----------------------------------------------------------------


def run_target(name: str, seconds: float) -> None:
    """Fuzz one target; prints its executions and each finding."""
    work = WORK / name
    corpus = work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    guided = importlib.util.find_spec("atheris") is not None
    if guided:
        import atheris

        with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
            checked, seeds, form, largest = prepared(name)
    else:
        checked, seeds, form, largest = prepared(name)

    def told(text: str, data: bytes) -> None:
        path = work / f"finding-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        print(f"FINDING {name} {path}\n{text}", flush=True)

    checked.told = told
    for seed in seeds:
        checked(seed)
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    if not guided:
        print(f"{name}: without atheris, so not guided by coverage", flush=True)
        unguided(checked, seeds, form, largest, seconds)
        print(f"stat::number_of_executed_units: {checked.executed}", flush=True)
        return
    from fuzz_mutators import mutated

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.2:
            return bytes(atheris.Mutate(data, min(max_size, largest)))
        return mutated(data or rng.choice(seeds), form, rng, min(max_size, largest))

    arguments = [
        sys.argv[0], str(corpus), f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={largest}", "-timeout=20", "-rss_limit_mb=6000", "-print_final_stats=1",
        f"-artifact_prefix={work}/finding-", "-verbosity=0", "-close_fd_mask=0",
    ]  # fmt: skip
    # Plain text has no form to keep: libFuzzer's own changes are many times as fast.
    atheris.Setup(arguments, checked, custom_mutator=None if form == "text" else change)
    atheris.Fuzz()


def prepared(name: str) -> tuple[Checked, list[bytes], str, int]:
    """The reader of a target, its inputs, their form and largest size."""
    from fuzz_targets import TARGETS

    target = TARGETS[name]
    seeds = [*target.seeds(), *kept_seeds(name)]
    return Checked(*target.make()), seeds, target.form, target.largest


def unguided(
    checked: Checked, seeds: Sequence[bytes], form: str, largest: int, seconds: float,
    *, most: int | None = None, seed: int | None = None,
) -> None:  # fmt: skip
    """Changes at random, each from a seed or from the input before it, for so long or so many."""
    from fuzz_mutators import mutated

    rng = random.Random(seed)
    end, data = time.monotonic() + seconds, seeds[0]
    while time.monotonic() < end and (most is None or checked.executed < most):
        data = mutated(rng.choice(seeds) if rng.random() < 0.5 else data, form, rng, largest)
        checked(data)


# --- all of them, each in its own ----------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--targets", default="", help="some of them, with commas; default: all")
    parser.add_argument("--log", type=Path, help="append a line with the executions of each")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        run_target(given.child, given.seconds)
        return 0
    from fuzz_targets import TARGETS

    names = [name for name in given.targets.split(",") if name] or list(TARGETS)
    unknown = sorted(set(names) - set(TARGETS))
    if unknown:
        parser.error(f"unknown target {unknown[0]!r}: expected some of {', '.join(TARGETS)}")
    total, bad = 0, []
    for name in names:
        executed, found, text = run_child(name, given.seconds)
        total += executed
        line = f"{name}: {executed:,} executions, {found or 'no'} findings"
        print(line, flush=True)
        if found:
            bad.append(name)
            print(text, flush=True)
        if given.log:
            with given.log.open("a") as log:
                log.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    print(f"{total:,} executions in all; {len(bad)} targets with findings {' '.join(bad)}")
    return 1 if bad else 0


def run_child(name: str, seconds: float) -> tuple[int, int, str]:
    """Executions, findings and what was told of one target."""
    command = [sys.executable, str(Path(__file__)), "--child", name, "--seconds", str(seconds)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, text=True, errors="replace", timeout=10 * seconds + 300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    counted = _EXECUTED.findall(done.stdout)
    found = done.stdout.count("\nFINDING ") + done.stdout.startswith("FINDING ")
    if done.returncode != 0 and not found:
        found = 1  # killed for time or memory, or the harness itself is wrong
    return int(counted[-1]) if counted else 0, found, done.stdout[-6000:] if found else ""


if __name__ == "__main__":
    sys.exit(main())
