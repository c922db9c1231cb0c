"""The pages as HTML: built without a warning, links and anchors checked, the reference complete."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import zebfast


def test_the_pages_build_without_a_warning(repo_root: Path, tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the documentation's tools are an extra: zebfast[docs]")
    pytest.importorskip("myst_parser", reason="the documentation's tools are an extra")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(repo_root / "docs"), str(tmp_path / "html")],
        cwd=repo_root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    reference = (tmp_path / "html" / "reference.html").read_text()
    for name in zebfast.__all__:
        assert name.startswith("__") or f'id="zebfast.{name}"' in reference, name
    assert (tmp_path / "html" / "strength.html").stat().st_size > 10_000


def test_examples_in_docstrings_hold() -> None:
    """Of everything that is public at the top, compiled or not."""
    names = {name: getattr(zebfast, name) for name in zebfast.__all__}
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    for name, found in names.items():
        members = inspect.getmembers(found) if inspect.isclass(found) else []
        for where, member in [(name, found), *((f"{name}.{own}", each) for own, each in members)]:
            text = inspect.getdoc(member) or ""
            runner.run(parser.get_doctest(text, dict(names), where, None, None))
    assert runner.tries > 3
    assert runner.failures == 0
