"""`zebfast init` and `zebfast export`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from zebfast.cli import init
from zebfast.cli.init import export
from zebfast.net import checkpoint as checkpoints
from zebfast.net import shipped
from zebfast.net.networks import sized
from zebfast.net.v1 import SIZES


def run_init(*arguments: str | Path) -> Result:
    return CliRunner().invoke(init.command, [str(a) for a in arguments])


def run_export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(export, [str(a) for a in arguments])


def test_init_writes_a_checkpoint_once(tmp_path: Path) -> None:
    out = tmp_path / "new" / "small.pt"
    done = run_init("--size", "small", "--belief-head", "--seed", 4, "-o", out)
    assert done.exit_code == 0, done.output
    assert "84,714 parameters" in done.stderr
    first = checkpoints.load(out)
    assert first.config.belief_head
    assert first.provenance["seed"] == 4

    refused = run_init("--size", "small", "-o", out)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert run_init("--size", "small", "--seed", 5, "-o", out, "--force").exit_code == 0
    assert not checkpoints.load(out).config.belief_head


def test_init_from_a_checkpoint(tmp_path: Path) -> None:
    source = tmp_path / "source.pt"
    assert run_init("--size", "small", "-o", source).exit_code == 0
    done = run_init("--from", source, "--belief-head", "-o", tmp_path / "warm.safetensors")
    assert done.exit_code == 0, done.output
    warm = checkpoints.load(tmp_path / "warm.safetensors")
    old = checkpoints.load(source)
    assert warm.config.belief_head
    assert np.array_equal(warm.weights["pos_embed.weight"], old.weights["pos_embed.weight"])

    other = run_init("--from", source, "--size", "large", "-o", tmp_path / "no.pt")
    assert other.exit_code == 2
    assert "is a small network, not large" in other.stderr


@pytest.mark.parametrize("belief_head", [False, True])
def test_a_v2_network(tmp_path: Path, belief_head: bool) -> None:
    """Written, exported, and taken as a warm start, but by no other tokenizer's name."""
    source, small = tmp_path / "v2.pt", tmp_path / "small.safetensors"
    belief = ["--belief-head"] if belief_head else []
    done = run_init("--tokenizer", "v2", "--size", "small", *belief, "-o", source)
    assert done.exit_code == 0, done.output
    assert "small network" in done.stderr
    assert "tokenizer v2" in done.stderr
    assert run_export(source, small).exit_code == 0
    for path in (source, small):
        assert checkpoints.load(path).config == sized("v2", "small", belief_head=belief_head)
    warm = tmp_path / "warm.pt"
    assert run_init("--from", small, "--belief-head", "-o", warm).exit_code == 0
    new, old = checkpoints.load(warm), checkpoints.load(source)
    assert new.config == sized("v2", "small", belief_head=True)
    assert all(np.array_equal(new.weights[name], weight) for name, weight in old.weights.items())
    refused = run_init("--from", source, "--tokenizer", "v1", "-o", tmp_path / "no.pt")
    assert refused.exit_code == 2
    assert "is a v2 network, not v1: leave --tokenizer out" in refused.stderr


def test_the_word_shipped_stands_for_a_file(tmp_path: Path) -> None:
    source = checkpoints.load(shipped.PATH)
    warm, copy = tmp_path / "warm.pt", tmp_path / "copy.pt"
    done = run_init("--from", "shipped", "-o", warm)
    assert done.exit_code == 0, done.output
    assert run_export("shipped", copy).exit_code == 0
    for path in (warm, copy):
        found = checkpoints.load(path)
        assert found.config == source.config
        assert all(np.array_equal(found.weights[k], weight) for k, weight in source.weights.items())
    assert checkpoints.load(warm).provenance["warm_start"]["recipe"] == source.provenance["recipe"]
    assert checkpoints.load(copy).provenance["origin"]["recipe"] == source.provenance["recipe"]


def test_a_file_called_shipped_is_named_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoints.save(checkpoints.fresh(SIZES["small"], seed=0), Path("shipped"))
    assert run_export("./shipped", "own.pt").exit_code == 0
    assert checkpoints.load(Path("own.pt")).config == SIZES["small"]
    assert run_export("shipped", "theirs.pt").exit_code == 0
    assert checkpoints.load(Path("theirs.pt")).config != SIZES["small"]


def test_networks_side_by_side(tmp_path: Path) -> None:
    wide = tmp_path / "wide.safetensors"
    done = run_init("--from", "shipped", "--beside", "shipped", "-o", wide)
    assert done.exit_code == 0, done.output
    assert f"Wrote {wide}: custom network, 2,098,331 parameters" in done.stderr
    assert len(checkpoints.load(wide).provenance["warm_start"]["side_by_side"]) == 2

    small = tmp_path / "small.pt"
    assert run_init("--size", "small", "-o", small).exit_code == 0
    for arguments, words in (
        (("--size", "small", "--beside", small), "--beside belongs to --from"),
        (("--from", "shipped", "--beside", small), "must be v2 and of one shape"),
        (("--from", small, "--beside", small), "must be v2 and of one shape"),
    ):
        refused = run_init(*arguments, "-o", tmp_path / "no.pt")
        assert refused.exit_code == 2, refused.output
        assert words in " ".join(refused.stderr.split())
    assert not (tmp_path / "no.pt").exists()


def test_init_usage(tmp_path: Path) -> None:
    out = tmp_path / "x.pt"
    for arguments, sentence in (
        (["-o", out], "--size"),
        (["--size", "tiny", "-o", out], "'tiny' is not one of"),
        (["--size", "small", "--tokenizer", "v9", "-o", out], "'v9' is not"),
        (["--tokenizer", "v2", "-o", out], "Say which --size"),
        (["--from", tmp_path / "none.pt", "-o", out], "does not exist"),
        (["--size", "small"], "Missing option"),
    ):
        result = run_init(*arguments)
        assert result.exit_code == 2, arguments
        assert sentence in result.stderr
    assert not out.exists()


def test_unusable_source_is_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"nothing of the kind")
    for result in (
        run_init("--from", bad, "-o", tmp_path / "a.pt"),
        run_export(bad, tmp_path / "b.pt"),
    ):
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: cannot use checkpoint {bad}")
        assert result.stderr.count("\n") == 1


def test_export_keeps_only_the_network(tmp_path: Path) -> None:
    source = checkpoints.fresh(SIZES["small"], seed=0)
    training = {
        "model_state_dict": {k: torch.tensor(w) for k, w in source.weights.items()},
        "model_config": source.config.to_dict(),
        "optimizer_state_dict": {"moments": [torch.zeros(500_000)]},
        "epoch": 7,
        "total_games": 1792,
    }
    torch.save(training, tmp_path / "training.pt")
    out = tmp_path / "snapshot.pt"
    done = run_export(tmp_path / "training.pt", out)
    assert done.exit_code == 0, done.output
    assert out.stat().st_size < 500_000 < (tmp_path / "training.pt").stat().st_size
    held = torch.load(out, weights_only=True)
    assert "optimizer_state_dict" not in held
    snapshot = checkpoints.load(out)
    assert (snapshot.epoch, snapshot.total_games) == (7, 1792)
    assert all(np.array_equal(snapshot.weights[k], w) for k, w in source.weights.items())
    assert run_export(tmp_path / "training.pt", out).exit_code == 2


def test_help_has_examples() -> None:
    assert "zebfast init --size small -o small.pt" in run_init("--help").output
    assert "zebfast export run/model.ckpt snapshot.pt" in run_export("--help").output
    assert "zebfast init --from shipped -o strong.pt" in run_init("--help").output
