"""The gate: has any stage become slower than in another revision? Exit code 1 if so.

    make gate BASE=HEAD~1
    python tools/gate.py HEAD~1 --json

Both trees do the gate's workloads (zebfast/benchmark/) in turns, a process each, so that a busy
machine slows both alike. What is compared is processor time, as a ratio. The other revision's files
come from `git archive`, so that nothing of the checkout is touched, and lie below build/gate/ by
commit: a revision is built once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.compare import Result, Rule, compare_trees, failed  # noqa: E402
from bench.one_tree import Missing, Tree  # noqa: E402
from zebfast.benchmark.workloads import used_by  # noqa: E402

SERVER = ROOT / "bench" / "one_tree.py"
KEPT = 3  # built revisions; the ones used longest ago are removed
BUILD = (sys.executable, "setup.py", "-q", "build_ext", "--inplace")


class NoTree(Exception):
    """A revision cannot be had; one sentence."""


def commit_of(root: Path, revision: str) -> str:
    """The full hash of a revision. Raises NoTree."""
    command = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise NoTree(
            f"{revision} is no revision of this repository: expected a commit, tag or branch"
        )
    return done.stdout.strip()


def built(
    root: Path, commit: str, *, say: Callable[[str], None], build: Sequence[str] = BUILD
) -> Path:
    """The folder of a built commit, made unless it is there. Raises NoTree."""
    trees = root / "build" / "gate"
    tree = trees / commit[:12]
    if not tree.is_dir():
        trees.mkdir(parents=True, exist_ok=True)
        say(f"building {commit[:12]} (once, about a minute)")
        with tempfile.TemporaryDirectory(dir=trees) as folder:
            new = Path(folder) / "tree"
            _unpack(root, commit, new)
            done = subprocess.run(build, cwd=new, capture_output=True, text=True)
            if done.returncode:
                last = (done.stderr or done.stdout).strip().splitlines()[-1:]
                raise NoTree(f"{commit[:12]} does not build: {' '.join(last)}")
            new.rename(tree)
    tree.touch()
    for old in sorted(trees.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return tree


def _unpack(root: Path, commit: str, folder: Path) -> None:
    folder.mkdir()
    archive = subprocess.Popen(["git", "archive", commit], cwd=root, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(folder)], stdin=archive.stdout, check=True)
    if archive.wait():
        raise NoTree(f"{commit[:12]} cannot be unpacked: git archive failed")


class TreeProcess:
    """A tree in a process of its own, as bench/one_tree.py serves it."""

    def __init__(self, tree: Path, *, slow: float = 0.0) -> None:
        self.tree = tree
        environment = {**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(SERVER), str(tree), "--slow", str(slow)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def prepare(self, key: str) -> str:
        answer = self._ask({"prepare": key})
        if "missing" in answer:
            raise Missing(answer["missing"])
        return str(answer["work"])

    def run(self, key: str, repeats: int) -> float:
        return float(self._ask({"run": key, "repeats": repeats})["seconds"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise NoTree(f"the process of {self.tree.name} ended at {request}: see its error above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def both(tree: Path, base: Path, *, slow: float) -> Iterator[tuple[Tree, Tree]]:
    """Processes of the two trees; `slow` is added to the first one's time."""
    candidate, reference = TreeProcess(tree, slow=slow), TreeProcess(base)
    try:
        yield candidate, reference
    finally:
        candidate.close()
        reference.close()


def line(result: Result) -> str:
    """A row of the table."""
    if result.ratio is None:
        return f"{result.key:<18} {result.state:<8} {result.why}"
    ratio = result.ratio
    mark = f"{result.state}" if result.attempts == 1 else f"{result.state}, {result.attempts} tries"
    interval = f"{ratio.low - 1:+6.1%} to {ratio.high - 1:+6.1%}"
    return (
        f"{result.key:<18} {mark:<15} {ratio.median - 1:+6.1%}   ({interval})"
        f" {result.milliseconds:>9.2f} ms"
    )


def verdict(results: Sequence[Result], rule: Rule) -> str:
    """The last line: what failed, or that nothing did."""
    slower = failed(results)
    if slower:
        return f"slower by more than {rule.threshold:.0%} in every attempt: {', '.join(slower)}"
    states = [result.state for result in results]
    parts = [f"{states.count(state)} {state}" for state in ("ok", "changed", "skipped")]
    return f"no stage is slower by more than {rule.threshold:.0%}: {', '.join(parts)}"


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the speed of each stage with a revision.")
    parser.add_argument("base", nargs="?", help="revision to compare with")
    parser.add_argument("--base-tree", type=Path, help="a built checkout, instead of a revision")
    parser.add_argument(
        "--stage", action="append", choices=list(used_by("gate")), help="only this one"
    )
    parser.add_argument("--threshold", type=float, default=Rule.threshold, help="share, e.g. 0.07")
    parser.add_argument("--attempts", type=int, default=Rule.attempts, help="slower in so many")
    parser.add_argument(
        "--slow", type=float, default=0.0, help="add that share here: tries the gate"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    if (args.base is None) == (args.base_tree is None):
        parser.error("expected a revision, or --base-tree with a built checkout: BASE=REV")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args, began = options(argv), time.perf_counter()
    rule = Rule(threshold=args.threshold, attempts=args.attempts)

    def say(text: str) -> None:
        print(text, file=sys.stderr if args.json else sys.stdout, flush=True)

    try:
        base = args.base_tree or built(ROOT, commit_of(ROOT, args.base), say=say)
        results = compare_trees(
            partial(both, ROOT, base.resolve(), slow=args.slow),
            args.stage or list(used_by("gate")),
            rule,
            say=lambda result: say(line(result)),
        )
    except NoTree as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    seconds = time.perf_counter() - began
    if args.json:
        stages = [asdict(result) for result in results]
        print(json.dumps({"threshold": rule.threshold, "seconds": seconds, "stages": stages}))
    else:
        say(f"{verdict(results, rule)} ({seconds:.0f} s)")
    return 1 if failed(results) else 0


if __name__ == "__main__":
    sys.exit(main())
