"""One tree that does workloads on request: in this process, or as a process of its own.

    python bench/one_tree.py TREE [--slow SHARE]

serves the workloads of the checkout TREE, each as that tree itself defines it: it knows best where
its own things are, and whether two trees did the same work is told from what it was. Requests and
answers are JSON, a line each: {"prepare": KEY} -> {"work": TEXT} or {"missing": WHY}, and
{"run": KEY, "repeats": N} -> {"seconds": S}.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

Clock = Callable[[], float]


class Missing(Exception):
    """This tree lacks a workload, or what it needs; the message says what."""


class Tree(Protocol):
    """Where workloads can be done and timed."""

    def prepare(self, key: str) -> str:
        """Set a workload up, do it once, and say what it did. Raises Missing."""

    def run(self, key: str, repeats: int) -> float:
        """Do a prepared workload so many times; the seconds that took."""


def workloads() -> tuple[dict[str, Callable[[Path], Any]], Callable[[Any], str]]:
    """How the zebfast imported here sets its workloads up, by key; and what one of them did."""
    try:
        from zebfast.benchmark.workload import identity
        from zebfast.benchmark.workloads import used_by
    except ModuleNotFoundError as error:
        if error.name != "zebfast.benchmark":
            raise
        old: Any = import_module("bench.pieces")  # of a revision from before that room
        return {key: piece.prepare for key, piece in old.pieces().items()}, old.identity
    prepare = {key: each.prepare for key, each in used_by("gate").items()}
    return prepare, lambda done: identity(done.trace)


def spin(seconds: float, clock: Clock) -> None:
    """Work for so long."""
    end = clock() + seconds
    while clock() < end:
        pass


class OwnTree:
    """The zebfast that is imported here.

    Seconds are those that the processor worked for this process, whichever thread: other processes
    take turns on a shared machine, and a disk its time. `slow` adds that share of each run's own
    time again, which is how the gate itself is tried.
    """

    def __init__(
        self, folder: Path, *, slow: float = 0.0, clock: Clock = time.process_time
    ) -> None:
        self._prepare, self._identity = workloads()
        self._folder = folder
        self._slow = slow
        self._clock = clock
        self._works: dict[str, Callable[[], object]] = {}

    def prepare(self, key: str) -> str:
        folder = self._folder / key
        folder.mkdir(parents=True, exist_ok=True)
        if key not in self._prepare:
            raise Missing("no such workload")
        self._works[key] = self._prepare[key](folder)
        did = self._works[key]()
        return self._identity(did)

    def run(self, key: str, repeats: int) -> float:
        work, clock = self._works[key], self._clock
        gc.disable()
        began = clock()
        for _ in range(repeats):
            work()
        spent = clock() - began
        if self._slow:
            spin(self._slow * spent, clock)
            spent = clock() - began
        gc.enable()
        return spent


def answer(tree: Tree, request: dict[str, Any]) -> dict[str, Any]:
    """What one request asks for."""
    if "prepare" in request:
        try:
            return {"work": tree.prepare(request["prepare"])}
        except Missing as missing:
            return {"missing": str(missing)}
    return {"seconds": tree.run(request["run"], request["repeats"])}


def _module_of(finder: object) -> object:
    return getattr(finder, "__module__", None)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve one tree's workloads.")
    parser.add_argument("tree", type=Path)
    parser.add_argument("--slow", type=float, default=0.0)
    args = parser.parse_args()
    sys.path[0] = str(args.tree.resolve())
    # An editable install would answer for every module that this tree has not got.
    sys.meta_path[:] = [f for f in sys.meta_path if "__editable__" not in str(_module_of(f))]
    import zebfast

    assert zebfast.__file__ == str(args.tree.resolve() / "zebfast" / "__init__.py")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints does not print into the answers
    with tempfile.TemporaryDirectory(prefix="zebfast-gate-") as folder:
        tree = OwnTree(Path(folder), slow=args.slow)
        for line in sys.stdin:
            print(json.dumps(answer(tree, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
