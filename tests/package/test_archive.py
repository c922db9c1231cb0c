"""The source archive is complete: a wheel built from it alone installs, runs and plays."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

LEFT_OUT = shutil.ignore_patterns(
    ".*", "build", "dist", "*.egg-info", "*.so", "__pycache__", "venv", "demo-run*", "runs",
    "experiments",
)  # fmt: skip
PAGES = ("html", "js", "css", "svg")  # kinds of files that browsers are sent
BUILD = "import sys; from setuptools import build_meta as b; print(b.build_{kind}(sys.argv[1]))"
SMOKE = """
import sys, zebfast
assert zebfast.__file__.startswith(sys.argv[1]), zebfast.__file__
game = zebfast.Game.deal(11)
while not game.over:
    game.play(game.legal()[0])
assert sum(game.points) == 42
from zebfast.core import engine
assert len(engine.random_games(64, seed=1)) == 64
"""
# The shipped network from an installed package: by the command's code, and as a program uses it.
STRONG = """
import json, sys, zebfast
from click.testing import CliRunner
from zebfast.cli.main import cli
words = ["eval", "zeb", "vs", "random", "--n-games", "400", "--device", "cpu", "--json"]
done = CliRunner().invoke(cli, words)
assert done.exit_code == 0, done.output
assert json.loads(done.stdout)["win_rate"] > 0.65, done.stdout
assert zebfast.__file__.startswith(sys.argv[1]), zebfast.__file__
player, game = zebfast.load_player(), zebfast.Game.deal(seed=7)
while not game.over:
    game.play(player.choose(game))
assert sum(game.points) == 42
"""


def _run(command: list[str], cwd: Path, **environment: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ZEBFAST_", "PIP_"))}
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**env, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unpack(archive: tarfile.TarFile, to: Path) -> None:
    """Our own archive; Python has had the safe filter since 3.11.4."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(to, filter="data")
    else:
        archive.extractall(to)


@pytest.fixture(scope="module")
def sdist(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source archive of the working tree."""
    pytest.importorskip("Cython", reason="building needs Cython in this environment")
    work = tmp_path_factory.mktemp("sdist")
    tree = work / "tree"
    shutil.copytree(repo_root, tree, ignore=LEFT_OUT)
    out = _run([sys.executable, "-c", BUILD.format(kind="sdist"), str(work)], tree)
    return work / out.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(repo_root: Path, sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from nothing but the source archive, without network.

    Unoptimised, in less than half the time: whether anything is missing does not depend on it, and
    the environment that runs these tests was built with the release's flags. It is kept in build/
    for an archive of the same contents and the same tools.
    """
    kept = repo_root / "build" / f"wheel-{_contents(sdist)}"
    if not kept.is_dir():
        wheel = _built(sdist, tmp_path_factory.mktemp("wheel"))
        for older in kept.parent.glob("wheel-*"):
            shutil.rmtree(older)
        part = Path(tempfile.mkdtemp(dir=repo_root / "build"))
        shutil.copy(wheel, part)
        part.rename(kept)
    [found] = kept.iterdir()
    return found


def _contents(sdist: Path) -> str:
    """What tells an archive from one with other files, or other tools to build it with."""
    tools = [version(name) for name in ("setuptools", "Cython", "numpy")]
    compiler = shutil.which(os.environ.get("CC", "cc"))
    known = hashlib.sha256(repr((sys.version, tools, compiler)).encode())
    with tarfile.open(sdist) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            known.update(
                f"{member.name}\0{member.size}\0".encode() + (file.read() if file else b"")
            )
    return known.hexdigest()[:16]


def _built(sdist: Path, work: Path) -> Path:
    with tarfile.open(sdist) as archive:
        unpack(archive, work)
    [tree] = (path for path in work.iterdir() if path.is_dir())
    build = [sys.executable, "-c", BUILD.format(kind="wheel"), str(work)]
    out = _run(build, tree, ZEBFAST_DEBUG="1")
    return work / out.splitlines()[-1]


def test_sdist_holds_every_source(repo_root: Path, sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "setup.py", "constraints.txt", "Makefile", "LICENSE", "README.md"}
    wanted |= {"CHANGELOG.md", "CONTRIBUTING.md", "zebfast/py.typed", "tests/conftest.py"}
    wanted |= {"zebfast/net/shipped/zeb.safetensors"}
    patterns = (("csrc", "*.[ch]"), ("zebfast", "*.py*"), ("tools", "*.py"), ("docs", "*.md"),
                ("docs", "*.py"), ("examples", "*.py"), ("findings", "*.sh"),
                *(("zebfast/web", f"*.{kind}") for kind in PAGES))  # fmt: skip
    for folder, pattern in patterns:
        found = (p for p in (repo_root / folder).rglob(pattern) if "__pycache__" not in p.parts)
        wanted |= {str(path.relative_to(repo_root)) for path in found if path.suffix != ".pyc"}
    assert wanted - names == set()
    written = {name for name in names if name.endswith((".so", ".o", ".pyc", ".html"))}
    assert written - wanted == set()


def test_wheel_holds_the_package_and_no_sources(repo_root: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "zebfast/py.typed" in names
    assert "zebfast/core/engine.pyi" in names
    assert "zebfast/net/shipped/zeb.safetensors" in names
    assert any(name.startswith("zebfast/core/engine.") and name.endswith(".so") for name in names)
    pages = {str(path.relative_to(repo_root)) for kind in PAGES
             for path in (repo_root / "zebfast/web").rglob(f"*.{kind}")}  # fmt: skip
    assert pages
    assert pages - set(names) == set()
    assert [name for name in names if name.endswith((".c", ".pyx", ".pxd", ".h"))] == []
    assert {name.split("/")[0].split("-")[0] for name in names} == {"zebfast"}


def test_wheel_installs_and_plays_without_torch(
    wheel: Path, tmp_path: Path, lean_python: Path
) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "--no-deps", "--no-index", "--target", str(target), str(wheel)], tmp_path)
    python = [sys.executable, "-c", SMOKE, str(target)]
    _run(python, tmp_path, PYTHONPATH=str(target))
    _run([str(lean_python), "-c", STRONG, str(target)], tmp_path, PYTHONPATH=str(target))
    program = [sys.executable, str(target / "bin" / "zebfast"), "--version"]
    version = _run(program, tmp_path, PYTHONPATH=str(target))
    assert version.startswith("zebfast ")
    assert "not built" not in version


def test_sdist_builds_for_python_312(sdist: Path, tmp_path: Path) -> None:
    """The other supported Python, where this machine has one that can build."""
    python = shutil.which("python3.12")
    needs = (
        "import sys, setuptools, Cython, numpy, click; sys.exit(sys.version_info[:2] != (3, 12))"
    )
    if python is None or subprocess.run([python, "-c", needs], capture_output=True).returncode:
        pytest.skip("no python3.12 with setuptools, Cython, numpy and click on this machine")
    with tarfile.open(sdist) as archive:
        unpack(archive, tmp_path)
    [tree] = (path for path in tmp_path.iterdir() if path.is_dir())
    # Unoptimised: what is in question is whether it builds, and that takes a fraction of the time.
    _run([python, "setup.py", "-q", "build_ext", "--inplace"], tree, ZEBFAST_DEBUG="1")
    _run([python, "-c", SMOKE, str(tree)], tree)


def test_sdist_is_the_same_bytes_for_the_same_files(
    repo_root: Path, sdist: Path, tmp_path: Path
) -> None:
    """Whenever and wherever it is made: only what is asked for is in it."""
    digests = set()
    for time in ("one", "two"):
        tree = tmp_path / time
        with tarfile.open(sdist) as archive:
            unpack(archive, tree)
        [project] = tree.iterdir()
        (project / "README.md").touch()
        build = [sys.executable, "-c", BUILD.format(kind="sdist"), str(tree)]
        name = _run(build, project, SOURCE_DATE_EPOCH="1700000000").splitlines()[-1]
        digests.add(hashlib.sha256((tree / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    with tarfile.open(tree / name) as again, tarfile.open(sdist) as first:
        files = {member.name for member in first if member.isfile()}
        assert set(again.getnames()) == files
        assert {member.mtime for member in again} == {1_700_000_000}
