"""The evaluator in the core: which precision it takes and takes back, what loops may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from listening import listening
from numpy.typing import NDArray

from zebfast.core.network import Network
from zebfast.net import checkpoint, cpu
from zebfast.net.cpu import CpuEvaluator, settle
from zebfast.net.devices import open_evaluator
from zebfast.net.evaluator import NotFinite
from zebfast.net.networks import Arrays
from zebfast.net.v2 import V2Config

TINY = V2Config(width=32, n_blocks=1)


@pytest.fixture(scope="module")
def weights() -> Arrays:
    return checkpoint.fresh(TINY, seed=3).weights


@pytest.fixture
def lines() -> Iterator[list[str]]:
    said: list[str] = []
    with listening(said.append):
        yield said


def answers(evaluator: CpuEvaluator, obs: NDArray[Any]) -> NDArray[np.float32]:
    out = np.full((len(obs), 8), np.nan, np.float32)
    evaluator.evaluate(obs, out)
    return out


class Sham(CpuEvaluator):
    """Says it computes in int8 and bf16; what those are wrong by is ``errors``."""

    def __init__(self, weights: Arrays, errors: dict[str, float]) -> None:
        self.errors, self.made = errors, list[str]()
        super(CpuEvaluator, self).__init__(TINY, weights, ("int8", "bf16", "fp32"))

    def _prepared(self, weights: Arrays, dtype: str) -> Network:
        self.made.append(dtype)
        wrong = {name: w.copy() for name, w in weights.items()}
        wrong["policy_proj.bias"][0] += self.errors.get(dtype, 0)
        return super()._prepared(wrong, "fp32")


def test_a_processor_computes_in_what_it_has(
    monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    kernels = [("a", "fp32", True), ("b", "bf16", True), ("c", "bf16", False), ("d", "int8", False)]
    monkeypatch.setattr(cpu, "kernels", lambda: kernels)
    assert [settle(name) for name in ("auto", "bf16", "fp32")] == [
        ("bf16", "fp32"), ("bf16", "fp32"), ("fp32",),
    ]  # fmt: skip
    assert lines == []
    assert [settle(name) for name in ("int8", "fp16")] == [("fp32",), ("fp32",)]
    assert lines == [f"this CPU has no {name} arithmetic: the network runs in fp32"
                     for name in ("int8", "fp16")]  # fmt: skip
    monkeypatch.setattr(cpu, "kernels", lambda: [*kernels, ("e", "int8", True)])
    assert settle("auto") == ("int8", "bf16", "fp32")
    with pytest.raises(ValueError, match="unknown dtype 'int4'; choose one of auto, fp32"):
        settle("int4")


def test_loops_may_use_the_network_of_fp32_at_once(
    weights: Arrays, observations: NDArray[Any]
) -> None:
    evaluator = open_evaluator(TINY, weights)
    assert isinstance(evaluator, CpuEvaluator)
    assert isinstance(evaluator.core, Network)
    own = np.empty((50, 8), np.float32)
    evaluator.core.evaluate(observations[:50], own)
    np.testing.assert_array_equal(answers(evaluator, observations[:50]), own)
    assert (evaluator.counts.states, evaluator.counts.batches) == (50, 1)
    before = evaluator.core
    evaluator.load(weights)
    assert evaluator.core is not before
    assert evaluator.version == 2


def test_good_answers_are_looked_at_once(
    weights: Arrays, observations: NDArray[Any], lines: list[str]
) -> None:
    evaluator = Sham(weights, {"int8": 0.01})
    assert evaluator.core is None
    exact = answers(open_evaluator(TINY, weights), observations[:99])  # type: ignore[arg-type]
    got = answers(evaluator, observations[:99])
    assert 0 < np.abs(got - exact).max() < 0.05
    assert evaluator.made == ["int8", "fp32"]
    assert (evaluator.describe(), lines) == ("cpu int8", [])
    assert evaluator.core is not None
    assert evaluator._loaded.unjudged is None
    evaluator.load(weights)
    assert evaluator.core is None, "other weights may be wrong where the last were not"


def test_wrong_answers_give_way_to_the_next_precision(
    weights: Arrays, observations: NDArray[Any], lines: list[str]
) -> None:
    evaluator = Sham(weights, {"int8": 9.0, "bf16": 0.01})
    answers(evaluator, observations[:99])
    assert evaluator.describe() == "cpu bf16"
    [line] = lines
    assert line.startswith("cpu int8: priors differ by up to ")
    assert line.endswith("from those in fp32: bf16 is used from now on")
    evaluator.errors["bf16"] = 9.0
    evaluator.load(weights)
    exact = answers(open_evaluator(TINY, weights), observations[:99])  # type: ignore[arg-type]
    np.testing.assert_array_equal(answers(evaluator, observations[:99]), exact)
    assert evaluator.describe() == "cpu fp32"
    assert evaluator.made == ["int8", "fp32", "bf16", "bf16", "fp32"]
    evaluator.load(weights)
    assert evaluator.made[5:] == ["fp32"], "it stays with what works"
    assert len(lines) == 2


def test_what_is_no_number_is_one_sentence(weights: Arrays, observations: NDArray[Any]) -> None:
    wild = {name: w.copy() for name, w in weights.items()}
    wild["policy_proj.weight"][:] = 3e38
    with pytest.raises(NotFinite, match=r"observation \d+ of 9 is not finite \(cpu fp32\)"):
        answers(CpuEvaluator(TINY, wild), observations[:9])


def test_bad_arguments_are_named(weights: Arrays, observations: NDArray[Any]) -> None:
    evaluator = CpuEvaluator(TINY, weights)
    with pytest.raises(ValueError, match="C-contiguous float32"):
        evaluator.evaluate(observations[:4], np.zeros((4, 8)))
    bad = observations[:4].copy()
    bad["legal"][2] = 0
    with pytest.raises(ValueError, match="observation 2"):
        answers(evaluator, bad)
    evaluator.evaluate(observations[:0], np.zeros((0, 8), np.float32))
    assert evaluator.counts.states == 0
    with pytest.raises(ValueError, match="do not fit the network"):
        evaluator.load({})
    assert evaluator.version == 1
