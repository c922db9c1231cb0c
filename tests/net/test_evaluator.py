"""The fast evaluator against the module, alone and from several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import BadCheckpoint, Checkpoint
from zebfast.net.evaluator import DeviceMissing, NotFinite
from zebfast.net.torch import linear
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.evaluator import TorchEvaluator
from zebfast.net.torch.v1 import V1Net
from zebfast.net.v1 import SIZES

Plain = Callable[[V1Net, NDArray[Any]], NDArray[np.float32]]


def answers(evaluator: TorchEvaluator, records: NDArray[Any]) -> NDArray[np.float32]:
    out = np.full((len(records), 8), np.nan, dtype=np.float32)
    evaluator.evaluate(records, out)
    return out


def test_same_answers_as_the_module(
    fresh_checkpoint: Checkpoint, observations: NDArray[Any], plain: Plain
) -> None:
    evaluator = TorchEvaluator(fresh_checkpoint.config, fresh_checkpoint.weights)
    records = observations[:300]
    want = plain(fresh_checkpoint.network(), records)
    np.testing.assert_allclose(answers(evaluator, records), want, rtol=0, atol=1e-5)


def test_published_weights_on_every_recorded_position(
    peer_weights_path: Path,
    v1_observations: dict[str, NDArray[Any]],
    golden_records: NDArray[Any],
    plain: Plain,
) -> None:
    published = checkpoints.load(peer_weights_path)
    got = answers(TorchEvaluator(published.config, published.weights), golden_records)
    logits = np.where(v1_observations["legal"], v1_observations["policy_logits"], -np.inf)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    priors = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(got[:, :7], priors, rtol=0, atol=1e-4)
    np.testing.assert_allclose(got[:, 7], v1_observations["value"], rtol=0, atol=1e-4)
    module = plain(published.network(), golden_records)
    np.testing.assert_allclose(got, module, rtol=0, atol=1e-5)


def test_priors_are_a_distribution_over_legal_slots(
    small: Checkpoint, observations: NDArray[Any]
) -> None:
    got = answers(TorchEvaluator(small.config, small.weights), observations)
    legal = (observations["legal"][:, None] >> np.arange(7) & 1).astype(bool)
    assert (got[:, :7][~legal] == 0).all()
    assert (got[:, :7][legal] > 0).all()
    np.testing.assert_allclose(got[:, :7].sum(axis=1), 1, atol=1e-6)
    assert (np.abs(got[:, 7]) <= 1).all()


@pytest.mark.parametrize("chunk_tokens", [1, 100, 10**6])
def test_answers_do_not_depend_on_the_batch(
    small: Checkpoint, observations: NDArray[Any], chunk_tokens: int
) -> None:
    whole = answers(TorchEvaluator(small.config, small.weights), observations[:60])
    evaluator = TorchEvaluator(small.config, small.weights, chunk_tokens=chunk_tokens)
    np.testing.assert_allclose(answers(evaluator, observations[:60]), whole, rtol=0, atol=1e-5)
    single = np.concatenate([answers(evaluator, observations[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(single, whole[:20], rtol=0, atol=1e-5)


def test_padded_form_used_on_cuda_gives_the_same(
    small: Checkpoint, observations: NDArray[Any], plain: Plain
) -> None:
    evaluator = TorchEvaluator(small.config, small.weights)
    raw = record_bytes(observations)
    mixed = evaluator._loaded.net.on_device(raw, 29)
    np.testing.assert_allclose(mixed, plain(small.network(), observations), rtol=0, atol=1e-5)
    alike = observations[observations["n_plays"] == 13]
    exact = evaluator._loaded.net.on_device(record_bytes(alike), 18)
    np.testing.assert_allclose(exact, plain(small.network(), alike), rtol=0, atol=1e-5)


def test_without_packed_weights_the_answers_are_the_same(
    small: Checkpoint, observations: NDArray[Any], plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "_pack", lambda weight, bias: None)
    got = answers(TorchEvaluator(small.config, small.weights), observations[:100])
    want = plain(small.network(), observations[:100])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


def test_bfloat16_is_close(small: Checkpoint, observations: NDArray[Any], plain: Plain) -> None:
    got = answers(TorchEvaluator(small.config, small.weights, dtype="bf16"), observations[:100])
    np.testing.assert_allclose(got, plain(small.network(), observations[:100]), atol=0.05)


def test_several_threads_on_different_arrays(small: Checkpoint, observations: NDArray[Any]) -> None:
    evaluator = TorchEvaluator(small.config, small.weights)
    parts = np.array_split(observations[:400], 4)
    want = [answers(evaluator, part) for part in parts]
    before = evaluator.counts
    got: list[list[NDArray[np.float32]]] = [[] for _ in parts]
    start = threading.Barrier(len(parts))

    def work(i: int) -> None:
        start.wait()
        for _ in range(5):
            got[i].append(answers(evaluator, parts[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, right in zip(got, want, strict=True):
        for answer in mine:
            np.testing.assert_allclose(answer, right, rtol=0, atol=1e-6)
    assert evaluator.counts.states - before.states == 5 * 400
    assert evaluator.counts.batches - before.batches == 20


def test_load_swaps_weights_and_keeps_the_old_ones_on_a_mismatch(
    small: Checkpoint, observations: NDArray[Any], plain: Plain
) -> None:
    evaluator = TorchEvaluator(small.config, small.weights)
    other = checkpoints.fresh(small.config, seed=99)
    evaluator.load(other.weights)
    want = plain(other.network(), observations[:50])
    np.testing.assert_allclose(answers(evaluator, observations[:50]), want, rtol=0, atol=1e-5)
    with pytest.raises(BadCheckpoint, match="do not fit"):
        evaluator.load(checkpoints.fresh(SIZES["medium"], seed=1).weights)
    np.testing.assert_allclose(answers(evaluator, observations[:50]), want, rtol=0, atol=1e-5)


def test_overflow_is_one_sentence_not_a_number(
    small: Checkpoint, observations: NDArray[Any]
) -> None:
    weights = {name: w.copy() for name, w in small.weights.items()}
    weights["policy_proj.weight"].fill(3e38)
    evaluator = TorchEvaluator(small.config, weights)
    with pytest.raises(NotFinite, match=r"observation \d+ of 9 is not finite \(cpu fp32\)"):
        answers(evaluator, observations[:9])


def test_bad_arguments_are_named(small: Checkpoint, observations: NDArray[Any]) -> None:
    evaluator = TorchEvaluator(small.config, small.weights)
    with pytest.raises(ValueError, match="C-contiguous float32"):
        evaluator.evaluate(observations[:4], np.zeros((4, 8)))
    bad = observations[:4].copy()
    bad["legal"][2] = 0
    with pytest.raises(ValueError, match="observation 2"):
        answers(evaluator, bad)
    with pytest.raises(ValueError, match="unknown dtype 'int4'"):
        TorchEvaluator(small.config, small.weights, dtype="int4")
    evaluator.evaluate(observations[:0], np.zeros((0, 8), dtype=np.float32))
    assert evaluator.counts.states == 0
    assert evaluator.describe() == "cpu fp32"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_one_sentence(small: Checkpoint) -> None:
    with pytest.raises(DeviceMissing, match="no CUDA GPU is available"):
        TorchEvaluator(small.config, small.weights, device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(("dtype", "atol"), [("fp32", 1e-4), ("fp16", 0.02), ("bf16", 0.1)])
def test_cuda_gives_the_same(
    small: Checkpoint, observations: NDArray[Any], plain: Plain, dtype: str, atol: float
) -> None:
    evaluator = TorchEvaluator(small.config, small.weights, device="cuda", dtype=dtype)
    for n in (50, len(observations), 3):
        want = plain(small.network(), observations[:n])
        np.testing.assert_allclose(answers(evaluator, observations[:n]), want, rtol=0, atol=atol)
