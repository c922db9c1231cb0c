"""`zebfast init` and `zebfast export`."""

from __future__ import annotations

from pathlib import Path

import torch
from click.testing import CliRunner, Result

from zebfast.cli import export, init
from zebfast.net import checkpoint as checkpoints
from zebfast.net.v1 import SIZES


def run_init(*arguments: str | Path) -> Result:
    return CliRunner().invoke(init.command, [str(a) for a in arguments])


def run_export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(export.command, [str(a) for a in arguments])


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
    assert torch.equal(warm.weights["pos_embed.weight"], old.weights["pos_embed.weight"])

    other = run_init("--from", source, "--size", "large", "-o", tmp_path / "no.pt")
    assert other.exit_code == 2
    assert "is a small network, not large" in other.stderr


def test_init_usage(tmp_path: Path) -> None:
    out = tmp_path / "x.pt"
    for arguments, sentence in (
        (["-o", out], "--size"),
        (["--size", "tiny", "-o", out], "'tiny' is not one of"),
        (["--size", "small", "--tokenizer", "v2", "-o", out], "'v2' is not"),
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
        "model_state_dict": source.weights,
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
    assert all(torch.equal(snapshot.weights[k], w) for k, w in source.weights.items())
    assert run_export(tmp_path / "training.pt", out).exit_code == 2


def test_help_has_examples() -> None:
    assert "zebfast init --size small -o small.pt" in run_init("--help").output
    assert "zebfast export run/model.ckpt snapshot.pt" in run_export("--help").output
