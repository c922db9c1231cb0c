"""The tool that makes a trained network the shipped one."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from zebfast.net import checkpoint, shipped
from zebfast.net.networks import sized
from zebfast.net.v2 import V2Config

pytestmark = pytest.mark.usefixtures("one_torch_thread")

QUICK = ("--recipe", "quick", "--seed", "3", "--games", "80")


@pytest.fixture
def tool(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repo_root / "tools"))  # as for a script: tools share modules
    return importlib.import_module("ship_weights")


@pytest.fixture
def untrained(tmp_path: Path) -> Path:
    path = tmp_path / "untrained.pt"
    checkpoint.save(checkpoint.fresh(sized("v2", "small", belief_head=True), seed=5), path)
    return path


def test_weights_and_where_they_came_from(
    tool: ModuleType, untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, records = tmp_path / "zeb.safetensors", ("bench/counts.json", "README.md")
    named = [word for name in records for word in ("--record", name)]
    assert tool.main([str(untrained), *QUICK, *named, "--output", str(out)]) == 0
    source, found = checkpoint.load(untrained), checkpoint.load(out)
    assert found.config == source.config
    assert all(np.array_equal(found.weights[name], w) for name, w in source.weights.items())
    facts = found.provenance
    assert (facts["recipe"], facts["seed"], facts["dtype"]) == ("quick", 3, "fp32")
    assert facts["records"] == list(records)
    assert facts["origin"] == source.provenance
    assert facts["machine"]["cores"] >= 1
    assert {won["games"] for won in facts["strength"].values()} == {80}
    assert "zeb.safetensors: fp32, 0." in capsys.readouterr().out


def test_a_weaker_network_is_refused(
    tool: ModuleType, untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "zeb.safetensors"
    out.write_bytes(shipped.PATH.read_bytes())
    assert tool.main([str(untrained), *QUICK, "--output", str(out)]) == 1
    said = capsys.readouterr().err
    assert "of 80 games against the network that is shipped; --force replaces" in said
    assert out.read_bytes() == shipped.PATH.read_bytes()
    assert tool.main([str(untrained), *QUICK, "--output", str(out), "--force"]) == 0
    assert checkpoint.load(out).provenance["recipe"] == "quick"


def test_half_precision_where_the_file_would_be_too_large(tool: ModuleType) -> None:
    large = checkpoint.fresh(V2Config(width=384, n_blocks=3), seed=1)
    stored, dtype = tool.packed(large)
    assert dtype == "fp16"
    assert {weight.dtype for weight in stored.weights.values()} == {np.dtype(np.float16)}
    assert 2 * stored.n_parameters < shipped.MAX_BYTES
    too_large = checkpoint.fresh(sized("v2", "large", belief_head=True), seed=1)
    with pytest.raises(tool.NotShipped, match="parameters; at most"):
        tool.packed(too_large)


def test_the_learner_says_which_recipe_it_was(
    tool: ModuleType, untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the file of its best network; what is told comes first."""
    best, out = tmp_path / "best.safetensors", tmp_path / "zeb.safetensors"
    facts = checkpoint.provenance(recipe="fast", seed=2)
    checkpoint.save(replace(checkpoint.load(untrained), provenance=facts), best)
    quickly = ("--games", "4", "--force", "--output", str(out))
    assert tool.main([str(best), "--seed", "7", *quickly]) == 0
    found = checkpoint.load(out).provenance
    assert (found["recipe"], found["seed"], found["origin"]["seed"]) == ("fast", 7, 2)
    assert tool.main([str(untrained), "--seed", "7", *quickly]) == 1
    assert "does not say which recipe it is of: add --recipe" in capsys.readouterr().err


def test_mistakes_are_said(
    tool: ModuleType, untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool.main([str(tmp_path / "none.pt"), *QUICK]) == 1
    assert "none.pt does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        tool.main([str(untrained), *QUICK, "--record", "no/such.json"])
    assert stop.value.code == 2
    assert "--record no/such.json" in capsys.readouterr().err
