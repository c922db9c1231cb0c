"""Half precision: which is chosen, and that it is taken back where it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from listening import listening
from numpy.typing import NDArray

from zebfast.net.checkpoint import Checkpoint
from zebfast.net.torch import precision
from zebfast.net.torch.evaluator import TorchEvaluator
from zebfast.net.torch.precision import settle
from zebfast.net.torch.v1_fast import FoldedV1

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def answers(evaluator: TorchEvaluator, records: NDArray[Any]) -> NDArray[np.float32]:
    out = np.empty((len(records), 8), dtype=np.float32)
    evaluator.evaluate(records, out)
    return out


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is said."""
    said: list[str] = []
    with listening(said.append):
        yield said


@pytest.fixture
def native_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)


@pytest.mark.parametrize("native", [True, False])
def test_which_precision_is_taken(
    native: bool, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: native)
    assert settle("auto", CPU) == ("bf16" if native else "fp32")
    assert settle("auto", CUDA) == "fp16"
    assert [settle(name, CUDA) for name in precision.DTYPES] == list(precision.DTYPES)
    assert settle("fp32", CPU) == "fp32"
    assert lines == []
    assert settle("bf16", CPU) == ("bf16" if native else "fp32")
    assert lines == (
        [] if native else ["this CPU has no bf16 arithmetic: the network runs in fp32"]
    )
    with pytest.raises(ValueError, match="unknown dtype 'int4'; choose one of auto, fp32"):
        settle("int4", CPU)
    with pytest.raises(ValueError, match="int8 is for v2 networks on a CPU; choose auto, fp32"):
        settle("int8", CUDA)


def test_a_torch_that_cannot_tell_means_no(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not precision.cpu_has_bf16()


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
@pytest.mark.usefixtures("native_bf16")
def test_good_weights_stay_in_half_precision(
    small: Checkpoint, observations: NDArray[Any], lines: list[str], dtype: str
) -> None:
    evaluator = TorchEvaluator(small.config, small.weights, dtype=dtype)
    exact = answers(TorchEvaluator(small.config, small.weights), observations[:100])
    got = answers(evaluator, observations[:100])
    assert 0 < np.abs(got - exact).max() < 0.05
    assert lines == []
    assert evaluator.describe() == f"cpu {dtype}"
    assert evaluator._loaded.unjudged is None  # compared once, then let go


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
@pytest.mark.usefixtures("native_bf16")
def test_weights_that_half_precision_gets_wrong_are_used_in_fp32(
    small: Checkpoint, observations: NDArray[Any], lines: list[str], dtype: str
) -> None:
    """bf16 loses what matters beside a large offset that fp32 cancels; fp16 overflows."""
    wild = {name: w.copy() for name, w in small.weights.items()}
    if dtype == "bf16":
        wild["embeddings.proj.bias"] += 1000
    else:
        wild["encoder.layers.0.linear1.weight"] *= 1e5
        wild["encoder.layers.0.linear2.weight"] /= 1e5
    exact = answers(TorchEvaluator(small.config, wild), observations[:100])
    evaluator = TorchEvaluator(small.config, small.weights, dtype=dtype)
    answers(evaluator, observations[:100])
    evaluator.load(wild)
    for _ in range(2):
        np.testing.assert_array_equal(answers(evaluator, observations[:100]), exact)
    (line,) = lines
    assert line.startswith(f"cpu {dtype}: priors differ by up to ")
    assert line.endswith("from those in fp32: fp32 is used from now on")
    assert evaluator.describe() == "cpu fp32"
    evaluator.load(small.weights)  # it stays with what works
    assert evaluator.describe() == "cpu fp32"
    assert len(lines) == 1


def test_half_precision_that_does_not_run_gives_way_to_fp32(
    small: Checkpoint,
    observations: NDArray[Any],
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = FoldedV1.on_cpu

    def refuse(net: FoldedV1, obs: NDArray[Any], *, chunk: int) -> Any:
        if net.embedded.dtype == torch.float16:
            raise RuntimeError("not implemented for 'Half'\nwith more lines")
        return whole(net, obs, chunk=chunk)

    monkeypatch.setattr(FoldedV1, "on_cpu", refuse)
    evaluator = TorchEvaluator(small.config, small.weights, dtype="fp16")
    exact = answers(TorchEvaluator(small.config, small.weights), observations[:20])
    np.testing.assert_array_equal(answers(evaluator, observations[:20]), exact)
    assert lines == [
        "cpu fp16: it does not run here (not implemented for 'Half'): fp32 is used from now on"
    ]


def test_every_load_has_a_version_of_its_own(small: Checkpoint) -> None:
    evaluator = TorchEvaluator(small.config, small.weights)
    assert evaluator.version == 1
    evaluator.load(small.weights)
    assert evaluator.version == 2
    with pytest.raises(ValueError, match="lack"):
        evaluator.load({})
    assert evaluator.version == 2
