"""One tree that does pieces of work on request: in this process, or as a process of its own.

    python bench/one_tree.py TREE [--slow SHARE]

serves the zebfast of the checkout TREE with the pieces of the checkout this file lies in. Requests
and answers are JSON, a line each: {"prepare": KEY} -> {"work": TEXT} or {"missing": WHY}, and
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
from pathlib import Path
from typing import Any, Protocol

HERE = Path(__file__).resolve().parent.parent
Clock = Callable[[], float]


class Missing(Exception):
    """This tree has not got what a piece needs; the message says what."""


class Tree(Protocol):
    """Where pieces of work can be done and timed."""

    def prepare(self, key: str) -> str:
        """Set a piece up, do it once, and say what it did. Raises Missing."""

    def run(self, key: str, repeats: int) -> float:
        """Do a prepared piece so many times; the seconds that took."""


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
        from bench.pieces import pieces

        self._pieces = pieces()
        self._folder = folder
        self._slow = slow
        self._clock = clock
        self._works: dict[str, Callable[[], object]] = {}

    def prepare(self, key: str) -> str:
        from bench.pieces import identity

        folder = self._folder / key
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._works[key] = self._pieces[key].prepare(folder)
            return identity(self._works[key]())
        except (ImportError, AttributeError, TypeError) as error:
            raise Missing(f"{type(error).__name__}: {error}") from error

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


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve one tree's pieces of work.")
    parser.add_argument("tree", type=Path)
    parser.add_argument("--slow", type=float, default=0.0)
    args = parser.parse_args()
    # The other tree may have a bench/ of its own: only its zebfast is taken, the rest is ours.
    sys.path[0] = str(args.tree.resolve())
    import zebfast

    assert zebfast.__file__ == str(args.tree.resolve() / "zebfast" / "__init__.py")
    sys.path[0] = str(HERE)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints does not print into the answers
    with tempfile.TemporaryDirectory(prefix="zebfast-gate-") as folder:
        tree = OwnTree(Path(folder), slow=args.slow)
        for line in sys.stdin:
            print(json.dumps(answer(tree, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
