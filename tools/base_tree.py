"""Another revision of this repository, built and ready to be imported, for tools/gate.py.

Its files come from `git archive`, so that nothing of the checkout is touched, and lie under
build/gate/ by commit: a revision is built once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

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
