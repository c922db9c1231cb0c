"""The pages as HTML: built without a warning, links and anchors checked, the reference complete."""

from __future__ import annotations

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
