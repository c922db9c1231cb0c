"""What it takes to run zebfast at all: processor time and peak memory of commands, bytes installed.

    python -m bench.footprint --against OTHER/.venv/bin/python

Each command runs as a process of its own, in turns with the same one of the other environment; the
least of all turns counts, for others load a machine, too. Processor time is that of all threads, in
user mode and in the kernel, as time(1) tells it. Bytecode is kept, as pip makes it on installing:
the first turn makes what an editable tree lacks. Under PYTHONDONTWRITEBYTECODE time(1) shows, too,
how long Python compiles such a tree at every start. Bytes are those of the files that the metadata
of what is installed here lists, for the package with its extras and all that it needs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.net import checkpoint, shipped

ROOT = Path(__file__).resolve().parent.parent
_PACKAGED = (".py", ".pyi", ".so", ".toml", ".safetensors")
_WORKER = ("worker", "--repo-id", "run", "--output-dir", "examples", "--device", "cpu",
           "--seed", "1", "--max-batches", "1", "--games-per-batch", "64")  # fmt: skip
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "a match of two games": ("eval", "zeb", "vs", "random", "--n-games", "2"),
    "a worker's batch, self-play": (*_WORKER, "--n-simulations", "50"),
    "a worker's batch, exact teacher": (*_WORKER, "--mode", "exact", "--label-share", "0.1"),
    "a worker's batch, rollout teacher": (*_WORKER, "--mode", "rollout", "--label-share", "0.1"),
}
CPU_WORKER, LEARNER = ("hub",), ("hub", "train")


class Cost(NamedTuple):
    """Seconds on processors, and megabytes of memory at most."""

    seconds: float
    megabytes: float

    def least(self, other: Cost) -> Cost:
        return Cost(*map(min, self, other))


def cost(python: str, command: Sequence[str]) -> Cost:
    """Of one run, in a fresh folder with the shipped network published as ``run``."""
    with tempfile.TemporaryDirectory() as folder:
        held = checkpoint.load(shipped.PATH)
        store = LocalWeightStore(Path(folder) / "run", Namespace.parse(None))
        state = {"step": 1, "total_games": 1}
        store.publish(held.weights, held.config.to_dict(), state)
        with open(os.devnull, "wb") as nowhere:
            process = subprocess.Popen(
                [python, "-m", "zebfast", *command], cwd=folder, env=_environment(),
                stdout=nowhere, stderr=nowhere,
            )  # fmt: skip
            _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"error: {python} -m zebfast {' '.join(command)} failed")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def installed(*extras: str) -> int:
    """Bytes of the package with these extras and of all that it needs; what is not here is 0."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    own = (path for path in (ROOT / "zebfast").rglob("*") if path.suffix in _PACKAGED)
    return sum(path.stat().st_size for path in own) + sum(_sizes(wanted).values())


def _sizes(requirements: Iterable[str]) -> dict[str, int]:
    """Bytes of each package that these need, and of they themselves, by name."""
    sizes: dict[str, int] = {}
    seen, todo = set(), [Requirement(text) for text in requirements]
    while todo:
        wanted = todo.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        paths = [Path(str(found.locate_file(file))) for file in found.files or []]
        sizes[name] = sum(path.stat().st_size for path in paths if path.is_file())
        needs = map(Requirement, found.requires or [])
        todo += [need for need in needs if _applies(need, extras)]
    return sizes


def _applies(need: Requirement, extras: frozenset[str]) -> bool:
    marker = need.marker
    return marker is None or any(marker.evaluate({"extra": each}) for each in extras | {""})


def measured(against: str, turns: int) -> dict[str, Any]:
    """Every command's costs here and there, and the bytes of both kinds of machine."""
    costs: dict[str, dict[str, Cost]] = {name: {} for name in COMMANDS}
    for _ in range(turns):
        for name, command in COMMANDS.items():
            for where, python in (("there", against), ("here", sys.executable)):
                seen = cost(python, command)
                costs[name][where] = seen.least(costs[name].get(where, seen))
    return {
        "commands": {name: " ".join(("zebfast", *command)) for name, command in COMMANDS.items()},
        "costs": {name: {where: each._asdict() for where, each in found.items()}
                  for name, found in costs.items()},
        "bytes": {",".join(extras): installed(*extras) for extras in (CPU_WORKER, LEARNER)},
    }  # fmt: skip


def main() -> None:
    """Read the arguments, measure, print, and write what is to be kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", required=True, help="the other environment's interpreter")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--output", type=Path, help="file for the figures as JSON")
    told = parser.parse_args()
    found = measured(told.against, told.turns)
    for name, costs in found["costs"].items():
        here, there = Cost(**costs["here"]), Cost(**costs["there"])
        print(
            f"{name}: {here.seconds:.2f} s of processor, a {there.seconds / here.seconds:.1f}th; "
            f"{here.megabytes:.0f} MB, a {there.megabytes / here.megabytes:.1f}th"
        )
    for extras, n_bytes in found["bytes"].items():
        print(f"zebfast[{extras}] and what it needs: {n_bytes / 1e6:,.0f} MB")
    if told.output is not None:
        told.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
