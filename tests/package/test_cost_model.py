"""The model of games per dollar."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

GPU = {"name": "A", "tflops": 10.0, "cores": 4, "dollars_an_hour": 0.5}


@pytest.fixture
def tool(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repo_root / "tools"))
    path = repo_root / "tools" / "cost_model.py"
    spec = importlib.util.spec_from_file_location("cost_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "cost_model", module)
    spec.loader.exec_module(module)
    return module


def test_the_gpu_limits_until_the_cores_do(tool: ModuleType) -> None:
    way = tool.Setting("so", evaluations=1000.0, trees=100.0, lengths={8: 1})
    speeds = tool.rates(GPU, (0.1, 0.3), 5e6, way)  # 10 TFLOPS, 5 GFLOP a game
    assert speeds == [(200.0, False), (400.0, True)]
    assert tool.speed_text(speeds) == "200 to 400*"
    assert tool.dollar_text(speeds, 0.5) == "1.44 to 2.88"
    assert tool.speed_text(tool.rates(GPU, (0.3, 0.6), 5e6, way)) == "400*"


def test_operations_count_every_map_and_the_padding(tool: ModuleType) -> None:
    short = tool.operations("v1", "medium", {12: 1})
    # Per token and layer, 24 d^2 multiplications of d = 128 less what is folded away.
    assert short == pytest.approx(11.0e6, rel=0.02)
    assert tool.operations("v1", "medium", {11: 1}) == short
    assert tool.operations("v1", "medium", {12: 1, 24: 1}) > 1.4 * short
