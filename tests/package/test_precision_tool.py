"""tools/precision.py: a record of what a network says, how it plays and how fast it is."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from zebfast.core.network import kernels
from zebfast.net import checkpoint
from zebfast.net.v2 import V2Config

TINY = V2Config(width=16, n_blocks=1)


def test_a_record_of_a_tiny_network(
    repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "tools"))
    tool = import_module("precision")
    weights, output = tmp_path / "tiny.safetensors", tmp_path / "record.json"
    checkpoint.save(checkpoint.fresh(TINY, seed=3), weights)
    command = ["--network", str(weights), "--output", str(output), "--rounds", "1"]
    assert tool.main([*command, "--positions", "300", "--games", "20"]) == 0
    found = json.loads(output.read_text())
    results, here = found["results"], {name for name, _, supported in kernels() if supported}
    assert found["network"] == "tiny.safetensors"
    assert str(tmp_path) not in output.read_text()
    assert results["said"]["int8"]["decisions"] == 300
    assert results["said"]["int8"]["same_favourite"] > 0.9
    assert results["played"]["random"]["fp32"]["less_fp32"] == 0
    assert results["played"]["heuristic2"]["int8"]["games"] == 20
    assert {name for name in here if "baseline" not in name} <= set(results["speed"])
    assert tool.main(command) == 1  # it is there already
