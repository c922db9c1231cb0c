"""Records, README's table and the gates of the speed suite."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench import gate


def _tool(root: Path, name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root / "tools"))  # as for a script: tools share `generated`
        return importlib.import_module(name)


def _run_of_the_suite(value: float) -> dict[str, Any]:
    """The parts of pytest-benchmark's JSON that a record is made from."""
    extra = {"key": "k", "what": "a thing", "unit": "games/s", "value": value, "detail": {"a": 1}}
    return {
        "datetime": "2030-01-02T03:04:05+00:00",
        "commit_info": {"id": "abc", "dirty": False},
        "machine_info": {
            "system": "Linux",
            "machine": "x86_64",
            "node": "secret-host",
            "python_version": "3.11.7",
            "cpu": {"brand_raw": "A CPU"},
        },
        "benchmarks": [
            {"extra_info": extra, "stats": {"rounds": 3}},
            {"extra_info": {}, "stats": {"rounds": 1}},
        ],
    }


def test_record_and_table(repo_root: Path, tmp_path: Path) -> None:
    records, table = _tool(repo_root, "records"), _tool(repo_root, "readme_table")
    run, folder = tmp_path / "run.json", tmp_path / "records"
    for slug, value in (("a-old", 10.0), ("b-new", 1234567.0)):
        run.write_text(json.dumps(_run_of_the_suite(value)))
        assert records.main([str(run), "--slug", slug, "--records", str(folder)]) == 0
    written = (folder / "2030-01-02-b-new.json").read_text()
    assert "secret-host" not in written
    assert json.loads(written)["figures"] == [
        {
            "key": "k",
            "what": "a thing",
            "unit": "games/s",
            "value": 1234567.0,
            "rounds": 3,
            "detail": {"a": 1},
        }
    ]
    text = table.renewed(f"before\n{table.BEGIN}\nstale\n{table.END}\nafter\n", folder)
    assert "| a thing | 1,230,000 games/s | [2030-01-02-b-new]" in text
    assert "stale" not in text
    assert "a-old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert table.renewed(text, folder) == text


def test_record_refuses_what_is_not_a_run(
    repo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = _tool(repo_root, "records")
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    assert records.main([str(bad), "--slug", "x", "--records", str(tmp_path)]) == 1
    assert "not a usable benchmark run" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        records.main([str(bad), "--slug", "Not Good", "--records", str(tmp_path)])
    assert stop.value.code == 2


def test_counts_gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gate, "PINNED", tmp_path / "counts.json")
    gate.compare_counts("work", {"nodes": 10, "leaves": 4}, renew=True)
    gate.compare_counts("work", {"nodes": 10, "leaves": 4})
    with pytest.raises(AssertionError, match=r"leaves: pinned 4, now 5.*renew"):
        gate.compare_counts("work", {"nodes": 10, "leaves": 5})
    with pytest.raises(AssertionError, match="extra: pinned None, now 1"):
        gate.compare_counts("work", {"nodes": 10, "leaves": 4, "extra": 1})


def test_speed_gate_needs_every_attempt_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    ratios = iter([1.5, 0.5])
    monkeypatch.setattr(gate, "interleaved_ratio", lambda *_args, **_kwargs: next(ratios))
    assert gate.assert_faster(lambda: None, lambda: None, at_least=1.0) == 2.0
    monkeypatch.setattr(gate, "interleaved_ratio", lambda *_args, **_kwargs: 1.25)
    with pytest.raises(AssertionError, match=r"\[0.8, 0.8, 0.8\] times .* below 1"):
        gate.assert_faster(lambda: None, lambda: None, at_least=1.0)
    assert gate.assert_faster(lambda: None, lambda: None, at_least=8, units=(10, 1)) == 8.0


def test_speed_suite_runs_and_its_counts_hold(repo_root: Path) -> None:
    """Once through the suite without timing, so that it cannot rot; the counts are exact."""
    pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed")
    # Three quarters of the suite's time; the stages of `zebfast bench` have tests of their own.
    chosen = "not selfplay_games and not does_not_wait and not test_stage[ and not slowed_stage"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "bench",
            "-q",
            "--benchmark-disable",
            "-k",
            chosen,
        ],
        cwd=repo_root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
