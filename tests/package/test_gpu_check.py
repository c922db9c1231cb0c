"""The script of what needs a GPU, as far as a CPU can run it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def tool(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(repo_root / "tools"))
    path = list(sys.path)
    yield importlib.import_module("gpu_check")
    sys.path[:] = path


@pytest.mark.parametrize("step", [pytest.param("evaluator", marks=pytest.mark.slow), "training"])
def test_a_step_runs_on_the_cpu_in_small(
    tool: ModuleType, step: str, one_torch_thread: None
) -> None:
    found = tool.STEPS[step].run(tool.Place("cpu", 0))
    assert tool.is_well(found)
    assert {f"{net} {dtype}" for net in ("v1", "v2") for dtype in ("fp32", "bf16", "fp16")} == {
        *found
    }


@pytest.mark.slow
def test_whole_learners_are_ranks_of_a_world_of_one(tool: ModuleType) -> None:
    found = tool.ranks(tool.Place("cpu", 0))
    assert found["losses_agree"] is True
    assert [found[name]["cycles"] for name in ("one process", "world 1")] == [4, 4]


@pytest.mark.parametrize("place", [("cpu", 0), ("cuda", 1)])
def test_what_fails_or_hangs_costs_the_other_steps_nothing(
    tool: ModuleType,
    place: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        name = command[-1]
        if name == "training":
            raise subprocess.TimeoutExpired(command, options["timeout"])
        if name == "ranks":
            return subprocess.CompletedProcess(command, 1, "", "CUDA error: it is gone")
        near = {"is_near": name != "evaluator"}
        return subprocess.CompletedProcess(command, 0, f"words\n{json.dumps({'v1': near})}\n", "")

    monkeypatch.setattr(tool.subprocess, "run", run)
    monkeypatch.setattr(tool, "here", lambda: tool.Place(*place))
    provenance = importlib.import_module("provenance")
    monkeypatch.setattr(provenance, "origin", lambda *_: {"date": "2030-01-02"})
    monkeypatch.setattr(provenance, "stamp", lambda: {"date": "2030-01-02"})
    record = tmp_path / "gpu.json"
    assert tool.main(["--output", str(record)]) == 1
    said = capsys.readouterr().out
    assert "facts: ok" in said
    for failed in ("evaluator", "training", "ranks"):
        assert f"{failed}: NOT WELL" in said
    assert "took more than" in said
    assert "it is gone" in said
    assert ("No GPU that torch can use here" in said) == (place[1] == 0)
    assert record.exists() == (place[1] > 0)
    if record.exists():
        assert json.loads(record.read_text())["results"]["facts"]["v1"] == {"is_near": True}
