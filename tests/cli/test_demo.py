"""The demo as a newcomer starts it, cut to seconds."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def demo(*flags: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zebfast", "demo", *flags],
        cwd=cwd, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


def demo_until_it_has_learned(*flags: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The demo in ``run``, ended by Ctrl-C after its first training cycle."""
    command = [sys.executable, "-m", "zebfast", "demo", "--dir", "run", *flags]
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        log, deadline = cwd / "run" / "learner.log", time.monotonic() + 240
        while not (log.exists() and "Cycle    1" in log.read_text()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no cycle in four minutes"
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
        process.wait()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_demo_learns_and_reports(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = demo_until_it_has_learned("--eval-games", "40", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Stopping early: worker and learner save what they have" in done.stderr
    for name in ("random", "heuristic", "zeb"):
        interval = r"\d+\.\d% \(\d+\.\d% - \d+\.\d%\)"
        assert re.search(rf"^{name}\s+{interval}\s+{interval}\s+[+-]\d+\.\d%$", done.stdout, re.M)
    assert "Learning curves: run/curves.png" in done.stdout
    assert "python -m zebfast.worker --repo-id run --output-dir run/examples" in done.stdout
    assert re.search(r"\d+ games \([\d.]+/s\) \| [\d,]+ examples", done.stderr)
    assert "ETA" in done.stderr
    picture = (tmp_path / "run" / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_demo_refuses_a_directory_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    done = demo("--dir", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_demo_that_had_no_time_to_learn_says_so(tmp_path: Path) -> None:
    done = demo("--minutes", "0.001", "--eval-games", "4", cwd=tmp_path)
    assert done.returncode == 1
    assert "Nothing was learned yet" in done.stderr
    assert (tmp_path / "demo-run" / "untrained.pt").exists()
