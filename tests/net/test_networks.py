"""Networks by tokenizer: configs told apart, built, kept in files, found again by their weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zebfast.exchange.archive_writer import archive_bytes
from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import BadCheckpoint
from zebfast.net.networks import (
    SIZE_NAMES,
    TOKENIZERS,
    AnyConfig,
    check_weights,
    config_from_dict,
    size_name,
    sized,
)
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.modules import build, skeleton
from zebfast.net.v2 import V2Config

KINDS = [(tokenizer, belief) for tokenizer in TOKENIZERS for belief in (False, True)]


CONTRACT = V2Config(width=32, n_blocks=1, belief_head=True, contract=True)


def test_weights_say_whether_a_network_sees_contracts(tmp_path: Path) -> None:
    """Files of both kinds load, whatever their config says of it; that of old ones is as it was."""
    for config in (CONTRACT, replace(CONTRACT, contract=False)):
        made = checkpoints.fresh(config, seed=1)
        for name in ("a.pt", "a.safetensors"):
            checkpoints.save(made, tmp_path / name)
            assert checkpoints.load(tmp_path / name).config == config
        checkpoints.save_state_dict(made.weights, tmp_path / "plain.pt")
        assert checkpoints.load(tmp_path / "plain.pt").config == config
        assert ("contract" in config.to_dict()) == config.contract
    silent = {k: v for k, v in CONTRACT.to_dict().items() if k != "contract"}
    seeing = checkpoints.fresh(CONTRACT, seed=1)
    odd = {"model_state_dict": dict(seeing.weights), "model_config": silent}
    (tmp_path / "silent.pt").write_bytes(archive_bytes(odd))
    assert checkpoints.load(tmp_path / "silent.pt").config == CONTRACT


@pytest.mark.parametrize("rows", [855, 857, 1023, 1025])
def test_another_number_of_rows_is_refused(rows: int) -> None:
    for config in (CONTRACT, replace(CONTRACT, contract=False)):
        weights = dict(checkpoints.fresh(config, seed=1).weights)
        weights["first.weight"] = np.zeros((32, rows), np.float32)
        with pytest.raises(BadCheckpoint, match=f"'first.weight' has shape .32, {rows}."):
            check_weights(config, weights)
    with pytest.raises(ValueError, match="contract must be true or false, not 1"):
        V2Config(width=32, n_blocks=1, contract=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(("tokenizer", "belief_head"), KINDS)
@pytest.mark.parametrize("size", SIZE_NAMES)
def test_a_named_config_is_its_dict_and_its_name(
    tokenizer: str, size: str, belief_head: bool
) -> None:
    config = sized(tokenizer, size, belief_head=belief_head)
    assert (config.tokenizer, config.belief_head) == (tokenizer, belief_head)
    assert config_from_dict(config.to_dict()) == config
    assert size_name(config) == size
    assert size_name(replace(config, **_other_depth(config))) is None


def _other_depth(config: AnyConfig) -> dict[str, Any]:
    return {"n_blocks": 7} if isinstance(config, V2Config) else {"n_layers": 7}


@pytest.mark.parametrize(("tokenizer", "belief_head"), KINDS)
def test_a_config_knows_the_parameters_of_its_module(tokenizer: str, belief_head: bool) -> None:
    for size in SIZE_NAMES:
        config = sized(tokenizer, size, belief_head=belief_head)
        module = skeleton(build, config).state_dict()
        assert [(name, tuple(w.shape)) for name, w in module.items()] == [
            *config.parameters().items()
        ]


@pytest.mark.parametrize(("tokenizer", "belief_head"), KINDS)
def test_every_network_runs_on_what_it_prepares(
    observations: NDArray[Any], tokenizer: str, belief_head: bool
) -> None:
    net = build(sized(tokenizer, "small", belief_head=belief_head)).eval()
    inputs = net.prepare(record_bytes(observations[:9]))
    assert inputs.legal.shape == inputs.in_hand.shape == (9, 7)
    assert not (inputs.legal & ~inputs.in_hand).any()
    answer = net.run(inputs)
    assert answer.policy.shape == (9, 7)
    assert answer.value.shape == (9,)
    assert (answer.value.abs() <= 1).all()
    assert (answer.belief is not None) == (net.belief_proj is not None) == belief_head
    assert answer.belief is None or answer.belief.shape == (9, 28, 3)
    assert answer.points is None or answer.points.shape == (9, 43)
    answer.value.sum().backward()
    assert all(p.grad is not None for p in net.value_head.parameters())


@pytest.mark.parametrize(("tokenizer", "belief_head"), KINDS)
def test_a_skeleton_has_all_but_numbers(tokenizer: str, belief_head: bool) -> None:
    config = sized(tokenizer, "small", belief_head=belief_head)
    before = torch.get_rng_state()
    found = skeleton(build, config).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    wanted = build(config).state_dict()
    assert list(found) == list(wanted)
    for name, weight in found.items():
        assert weight.is_meta
        assert (weight.shape, weight.dtype) == (wanted[name].shape, wanted[name].dtype)


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
@pytest.mark.parametrize(("tokenizer", "belief_head"), KINDS)
def test_saved_is_loaded(tmp_path: Path, name: str, tokenizer: str, belief_head: bool) -> None:
    config = sized(tokenizer, "small", belief_head=belief_head)
    made = replace(checkpoints.fresh(config, seed=3), epoch=4, total_games=5)
    checkpoints.save(made, tmp_path / name)
    back = checkpoints.load(tmp_path / name)
    assert (back.config, back.epoch, back.total_games) == (config, 4, 5)
    assert all(np.array_equal(back.weights[k], w) for k, w in made.weights.items())
    state = back.network().state_dict()
    assert all(np.array_equal(state[k], w) for k, w in made.weights.items())
    checkpoints.save_state_dict(made.weights, tmp_path / "plain.pt")
    assert checkpoints.load(tmp_path / "plain.pt").config == config


def test_a_v2_network_of_no_named_size_is_found_by_its_weights(tmp_path: Path) -> None:
    odd = checkpoints.fresh(V2Config(width=48, n_blocks=5), seed=0)
    checkpoints.save_state_dict(odd.weights, tmp_path / "odd.pt")
    assert checkpoints.load(tmp_path / "odd.pt").config == odd.config


def test_warm_start_adds_what_a_v2_network_sees_of_contracts() -> None:
    """As rows of zeros: its answers to hands without a contract, and with one, stay the same."""
    source = checkpoints.fresh(V2Config(width=32, n_blocks=1), seed=1)
    warm = checkpoints.warm_start(source, belief_head=False, seed=2, contract=True)
    assert warm.config == V2Config(width=32, n_blocks=1, contract=True)
    first, before = warm.weights["first.weight"], source.weights["first.weight"]
    np.testing.assert_array_equal(first[:, : before.shape[1]], before)
    assert not first[:, before.shape[1] :].any()
    again = checkpoints.warm_start(warm, belief_head=True, seed=3, contract=True)
    np.testing.assert_array_equal(again.weights["first.weight"], first)
    kept = checkpoints.warm_start(warm, belief_head=False, seed=3)
    assert kept.config == warm.config


def test_warm_start_adds_a_belief_head_to_a_v2_network() -> None:
    source = checkpoints.fresh(sized("v2", "small", belief_head=False), seed=1)
    warm = checkpoints.warm_start(replace(source, epoch=9), belief_head=True, seed=2)
    assert warm.config == sized("v2", "small", belief_head=True)
    assert warm.epoch == 0
    assert all(np.array_equal(warm.weights[k], w) for k, w in source.weights.items())
    assert warm.network().belief_proj is not None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tokenizer": "v9"}, "unknown tokenizer 'v9'; this version knows: v1, v2"),
        ({"tokenizer": None}, "unknown tokenizer None; this version knows: v1, v2"),
        ({"tokenizer": "v1"}, "the network config lacks embed_dim"),
        ({"width": 100}, "width 100 must be a multiple of 16"),
        ({"width": True}, "width must be a whole number from 1 to 4096"),
        ({"n_blocks": 10**9}, "n_blocks must be a whole number from 1 to 64"),
        ({"belief_head": 1}, "belief_head must be true or false"),
        ({"n_heads": 4}, "has unknown 'n_heads'"),
    ],
)
def test_a_config_no_network_can_have_is_one_sentence(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    fields = {**sized("v2", "small", belief_head=False).to_dict(), **change}
    with pytest.raises(ValueError, match=sentence):
        config_from_dict(fields)
    torch.save({"model_state_dict": {}, "model_config": fields}, tmp_path / "bad.pt")
    with pytest.raises(BadCheckpoint, match=sentence) as caught:
        checkpoints.load(tmp_path / "bad.pt")
    assert "\n" not in str(caught.value)


def test_a_size_or_tokenizer_there_is_not() -> None:
    for tokenizer, size in (("v3", "small"), ("v2", "huge")):
        with pytest.raises(ValueError, match="there is no"):
            sized(tokenizer, size, belief_head=False)
    with pytest.raises(ValueError, match="a v2 network has tokenizer v2, not 'v1'"):
        V2Config(width=16, n_blocks=1, tokenizer="v1")


def test_weights_of_the_other_network_are_refused(tmp_path: Path) -> None:
    held = checkpoints.fresh(sized("v2", "small", belief_head=False), seed=1)
    checkpoints.save(held, tmp_path / "v2.pt")
    with pytest.raises(BadCheckpoint, match=r"its network is .*'v2'.* is needed"):
        checkpoints.load(tmp_path / "v2.pt", config=sized("v1", "small", belief_head=False))
    with pytest.raises(BadCheckpoint, match="the weights do not fit the network"):
        checkpoints.check_weights(sized("v1", "small", belief_head=False), held.weights)
