"""Checkpoints: reproducible, exchanged unchanged, and one sentence for everything wrong."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import BadCheckpoint, Checkpoint
from zebfast.net.torch.output import n_parameters
from zebfast.net.v1 import SIZES

Held = dict[str, Any]


def test_the_seed_decides_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, same, other = (checkpoints.fresh(SIZES["small"], seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(np.array_equal(one.weights[k], same.weights[k]) for k in one.weights)
    assert not np.array_equal(one.weights["pos_embed.weight"], other.weights["pos_embed.weight"])


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
def test_saved_is_loaded(tmp_path: Path, small: Checkpoint, name: str) -> None:
    made = replace(small, epoch=12, total_games=345)
    checkpoints.save(made, tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    back = checkpoints.load(tmp_path / name)
    assert (back.config, back.epoch, back.total_games) == (small.config, 12, 345)
    assert back.provenance["version"]
    assert all(np.array_equal(back.weights[k], w) for k, w in small.weights.items())
    assert n_parameters(back.network()) == 75_094


def test_saved_has_the_published_layout(tmp_path: Path, small: Checkpoint) -> None:
    checkpoints.save(small, tmp_path / "net.pt")
    held = torch.load(tmp_path / "net.pt", weights_only=True)
    assert {"model_state_dict", "model_config", "epoch", "total_games"} <= held.keys()
    assert list(held["model_state_dict"]) == list(small.network().state_dict())


def test_plain_state_dict_is_loaded_by_its_size_or_config(
    tmp_path: Path, small: Checkpoint
) -> None:
    checkpoints.save_state_dict(small.weights, tmp_path / "model.pt")
    assert checkpoints.load(tmp_path / "model.pt").config == small.config
    odd = checkpoints.fresh(replace(small.config, n_layers=3), seed=0)
    checkpoints.save_state_dict(odd.weights, tmp_path / "odd.pt")
    assert checkpoints.load(tmp_path / "odd.pt", config=odd.config).config == odd.config
    with pytest.raises(BadCheckpoint, match="of no published size"):
        checkpoints.load(tmp_path / "odd.pt")


def test_published_checkpoint_loads_unchanged(peer_weights_path: Path) -> None:
    published = checkpoints.load(peer_weights_path)
    assert published.config == SIZES["medium"]
    assert (published.epoch, published.total_games) == (3599, 1_010_176)


def test_warm_start_keeps_weights_and_adds_a_belief_head(small: Checkpoint) -> None:
    trained = replace(small, epoch=5, total_games=100)
    warm = checkpoints.warm_start(trained, belief_head=True, seed=1)
    assert warm.config == replace(small.config, belief_head=True)
    assert (warm.epoch, warm.total_games) == (0, 0)
    assert all(np.array_equal(warm.weights[k], w) for k, w in small.weights.items())
    assert n_parameters(warm.network()) == 84_714
    again = checkpoints.warm_start(warm, belief_head=False, seed=2)
    assert np.array_equal(
        again.weights["belief_proj.0.weight"], warm.weights["belief_proj.0.weight"]
    )


def _weights(change: Callable[[Held], object]) -> Callable[[Held], None]:
    return lambda held: (change(held["model_state_dict"]), None)[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_weights(lambda w: w.pop("pos_embed.weight")), "they lack 'pos_embed.weight'"),
        (_weights(lambda w: w.update(extra=torch.ones(1))), "they have 'extra'"),
        (
            _weights(lambda w: w["policy_proj.bias"].fill_(float("nan"))),
            "'policy_proj.bias' holds NaN",
        ),
        (
            _weights(lambda w: w.update({"policy_proj.bias": torch.ones(2)})),
            r"'policy_proj.bias' has shape \[2\] instead of \[1\]",
        ),
        (
            _weights(lambda w: w.update({"policy_proj.bias": torch.ones(1).int()})),
            "holds int32",
        ),
        (_weights(lambda w: w.update({"policy_proj.bias": 1.0})), "is not a dense tensor"),
        (lambda held: held["model_config"].update(n_layers=3), "do not fit the network"),
        (lambda held: held["model_config"].update(tokenizer="v9"), "unknown tokenizer 'v9'"),
        (lambda held: held["model_config"].pop("n_heads"), "the network config lacks n_heads"),
        (lambda held: held.update(model_config=[1]), "its model_config is not a dict"),
        (lambda held: held.pop("model_state_dict"), "it has no model_state_dict"),
        (lambda held: held.update(total_games=-1), "its total_games is -1 instead of a count"),
    ],
)
def test_every_wrong_content_is_one_sentence(
    tmp_path: Path, small: Checkpoint, change: Callable[[Held], object], sentence: str
) -> None:
    held: Held = {
        "model_state_dict": {k: torch.tensor(w) for k, w in small.weights.items()},
        "model_config": small.config.to_dict(),
        "total_games": 3,
    }
    change(held)
    path = tmp_path / "bad.pt"
    torch.save(held, path)
    with pytest.raises(BadCheckpoint, match=sentence) as caught:
        checkpoints.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


class _Hostile:
    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path, protocol: str) -> None:
    path, mark = tmp_path / "hostile.pt", tmp_path / "it-ran"
    if protocol == "torch":
        torch.save({"model_state_dict": _Hostile(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(_Hostile(mark)))
    with pytest.raises(BadCheckpoint, match="asks to run code on loading, which is refused"):
        checkpoints.load(path)
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 cut short", bytes(1000)])
def test_files_that_are_no_checkpoint(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match="cannot use checkpoint") as caught:
        checkpoints.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_cut_short(tmp_path: Path, small: Checkpoint, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    checkpoints.save(small, path)
    whole = path.read_bytes()
    for keep in (len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:keep])
        with pytest.raises(BadCheckpoint, match="cannot use checkpoint"):
            checkpoints.load(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_missing_and_unreadable(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(BadCheckpoint, match="does not exist"):
        checkpoints.load(tmp_path / f"none{suffix}")
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(BadCheckpoint, match="checkpoint"):
        checkpoints.load(folder)


def test_a_tensor_or_a_list_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save([torch.ones(3)], tmp_path / "list.pt")
    with pytest.raises(BadCheckpoint, match="something other than weights"):
        checkpoints.load(tmp_path / "list.pt")
    torch.save({"some.weight": torch.ones(3)}, tmp_path / "foreign.pt")
    with pytest.raises(BadCheckpoint, match="does not hold the weights of a v1 or v2 network"):
        checkpoints.load(tmp_path / "foreign.pt")


def test_a_failed_save_leaves_the_old_file(
    tmp_path: Path, small: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.pt"
    checkpoints.save(small, path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(replace(small, epoch=1), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.pt"]
