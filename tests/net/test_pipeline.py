"""The accelerator's path with a stand-in for the accelerator: order, waits, graphs, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from fake_device import FakeDevice, Work
from listening import listening
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from zebfast.core.records import OBS_DTYPE
from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import Checkpoint
from zebfast.net.networks import TOKENIZERS, AnyConfig, sized
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.evaluator import TorchEvaluator
from zebfast.net.torch.folded import Folded, fold
from zebfast.net.torch.modules import arrays, build

Lines = list[str]


class Bench:
    """An evaluator over stand-ins: the devices it opened, the lines that were said."""

    lines: Lines

    def __init__(
        self, checkpoint: Checkpoint, *, copies_first: bool = True, graph: Any = None
    ) -> None:
        self.devices: list[FakeDevice] = []
        self.evaluator = TorchEvaluator(checkpoint.config, checkpoint.weights)

        def opened() -> FakeDevice:
            device = FakeDevice(copies_first=copies_first)
            device.captured = graph or device.captured
            self.devices.append(device)
            return device

        self.evaluator._open = opened

    def answers(self, records: NDArray[Any]) -> NDArray[np.float32]:
        out = np.full((len(records), 8), np.nan, dtype=np.float32)
        self.evaluator.evaluate(records, out)
        return out


@pytest.fixture(autouse=True)
def _listening() -> Iterator[None]:
    Bench.lines = []
    with listening(Bench.lines.append):
        yield


@pytest.fixture(scope="module")
def many(observations: NDArray[Any]) -> NDArray[Any]:
    """More than one piece, the last one short."""
    return np.concatenate([observations, observations[:370]])


@pytest.fixture(scope="module")
def on_cpu(small: Checkpoint, many: NDArray[Any]) -> NDArray[np.float32]:
    out = np.empty((len(many), 8), dtype=np.float32)
    TorchEvaluator(small.config, small.weights).evaluate(many, out)
    return out


@pytest.mark.parametrize("copies_first", [True, False])
def test_same_answers_as_on_the_cpu_whichever_queue_is_faster(
    small: Checkpoint, many: NDArray[Any], on_cpu: NDArray[np.float32], copies_first: bool
) -> None:
    bench = Bench(small, copies_first=copies_first)
    for n in (len(many), 700, 3, len(many)):
        np.testing.assert_allclose(bench.answers(many[:n]), on_cpu[:n], rtol=0, atol=1e-5)
    assert bench.lines == []


def test_one_wait_a_batch_once_its_shapes_are_known(small: Checkpoint, many: NDArray[Any]) -> None:
    bench = Bench(small)
    bench.answers(many)
    (device,) = bench.devices
    shapes, before = device.captures, device.waits
    assert 1 < shapes <= 5
    for _ in range(3):
        bench.answers(many)
    assert device.waits - before == 3
    assert device.captures == shapes
    assert device.replays == shapes + 4 * 4  # each compared once; four pieces in every batch


def test_counts_say_how_much_was_padding(small: Checkpoint, many: NDArray[Any]) -> None:
    bench = Bench(small)
    bench.answers(many)
    counts = bench.evaluator.counts
    valid = 1 + np.bitwise_count(many["in_hand"]).astype(int) + many["n_plays"]
    assert (counts.states, counts.tokens) == (len(many), valid.sum())
    assert 0 < counts.padded_tokens < 0.3 * counts.tokens


def test_new_weights_drop_the_graphs(small: Checkpoint, many: NDArray[Any]) -> None:
    bench = Bench(small)
    bench.answers(many)
    captures = bench.devices[0].captures
    other = checkpoints.fresh(small.config, seed=98)
    bench.evaluator.load(other.weights)
    want = np.empty((len(many), 8), dtype=np.float32)
    TorchEvaluator(other.config, other.weights).evaluate(many, want)
    np.testing.assert_allclose(bench.answers(many), want, rtol=0, atol=1e-5)
    assert bench.devices[0].captures == 2 * captures


def _fails(work: Work) -> Work:
    raise RuntimeError("operation not permitted when stream is capturing\nmore")


def _wrong(work: Work) -> Work:
    return lambda: None


@pytest.mark.parametrize(
    ("graph", "line"), [(_fails, "operation not permitted"), (_wrong, "its answers differ by")]
)
def test_a_graph_that_fails_or_errs_is_not_used(
    small: Checkpoint,
    many: NDArray[Any],
    on_cpu: NDArray[np.float32],
    graph: Callable[[Work], Work],
    line: str,
) -> None:
    bench = Bench(small, graph=graph)
    for _ in range(2):
        np.testing.assert_allclose(bench.answers(many), on_cpu, rtol=0, atol=1e-5)
    assert len(bench.lines) == 1
    assert line in bench.lines[0]
    assert "\n" not in bench.lines[0]
    assert bench.devices[0].captures == 1


class Crowded:
    """A network whose device has room for so many rows at once."""

    def __init__(self, net: Folded, room: int) -> None:
        self._net, self.room = net, room
        self.lengths, self.on_cpu = net.lengths, net.on_cpu

    def on_device(self, raw: Tensor, length: int) -> Tensor:
        if len(raw) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return self._net.on_device(raw, length)


def test_out_of_memory_halves_the_batch_and_it_stays_halved(
    small: Checkpoint, many: NDArray[Any], on_cpu: NDArray[np.float32]
) -> None:
    bench = Bench(small)
    loaded = bench.evaluator._loaded
    loaded.net = Crowded(loaded.net, room=256)
    for _ in range(2):
        np.testing.assert_allclose(bench.answers(many), on_cpu, rtol=0, atol=1e-5)
    assert bench.lines == [
        "cpu fp32 ran out of memory with 384 observations at once: it goes on with 192"
    ]
    assert bench.devices[0].releases == 1


def test_out_of_memory_again_is_one_sentence(small: Checkpoint, many: NDArray[Any]) -> None:
    bench = Bench(small)
    loaded = bench.evaluator._loaded
    loaded.net = Crowded(loaded.net, room=100)
    with pytest.raises(MemoryError, match="not enough memory for 192 observations at once: play"):
        bench.answers(many)
    assert len(bench.lines) == 1
    loaded.net.room = 192  # others have left: the halved batch goes through again
    assert np.isfinite(bench.answers(many)).all()


_SYNCHRONISING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "item")


class OnDevice(TorchDispatchMode):
    """Fails on operators that wait for the device, or whose shapes depend on data."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert not any(name.startswith(bad) for bad in _SYNCHRONISING), f"{name} waits"
        if func is torch.ops.aten.index.Tensor:
            assert all(i is None or i.dtype != torch.bool for i in args[1]), "shape depends on data"
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                assert tensor.device.type == self.device, f"{name} crosses to {tensor.device}"
        return made


def _folded(config: AnyConfig, device: str, dtype: torch.dtype) -> Folded:
    torch.manual_seed(4)
    return fold(
        config, arrays(build(config).state_dict()), device=torch.device(device), dtype=dtype
    )


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_nothing_in_an_answer_waits_for_the_device_or_leaves_it(
    tokenizer: str, dtype: torch.dtype
) -> None:
    net = _folded(sized(tokenizer, "small", belief_head=False), "meta", dtype)
    raw = torch.empty(96, OBS_DTYPE.itemsize, dtype=torch.uint8, device="meta")
    for length in (12, 30) if tokenizer == "v1" else (0,):
        with torch.inference_mode():
            net.on_device(raw, length)  # tables that are made once may be
        with torch.inference_mode(), OnDevice("meta"):
            answer = net.on_device(raw, length)
            assert (answer.shape, answer.dtype) == ((96, 8), torch.float32)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_answers_equal_those_of_the_cpu_without_a_data_dependent_operator(
    tokenizer: str, observations: NDArray[Any]
) -> None:
    net = _folded(sized(tokenizer, "small", belief_head=False), "cpu", torch.float32)
    want, _, _ = net.on_cpu(observations, chunk=1024)
    raw = record_bytes(observations)
    with torch.inference_mode(), OnDevice("cpu"):
        got = net.on_device(raw, 30 if tokenizer == "v1" else 0)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


def test_rows_only_there_to_fill_a_shape_change_no_answer(
    small: Checkpoint, observations: NDArray[Any]
) -> None:
    net = fold(small.config, small.weights, device=torch.device("cpu"), dtype=torch.float32)
    raw = record_bytes(observations[:50])
    with torch.inference_mode():
        filled = net.on_device(torch.cat([raw, torch.zeros(14, 44, dtype=torch.uint8)]), 30)[:50]
        torch.testing.assert_close(filled, net.on_device(raw, 30), rtol=0, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_graphs_are_captured_and_give_the_same_on_a_gpu(
    small: Checkpoint, many: NDArray[Any], on_cpu: NDArray[np.float32]
) -> None:
    evaluator = TorchEvaluator(small.config, small.weights, device="cuda")
    out = np.empty((len(many), 8), dtype=np.float32)
    for _ in range(3):
        evaluator.evaluate(many, out)
        np.testing.assert_allclose(out, on_cpu, rtol=0, atol=1e-4)
    assert Bench.lines == []  # no graph was given up
    torch.cuda.set_sync_debug_mode("error")
    try:
        evaluator.evaluate(many, out)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_attention_is_fused_on_a_gpu(small: Checkpoint, observations: NDArray[Any]) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    device = torch.device("cuda")
    net = fold(small.config, small.weights, device=device, dtype=torch.float16)
    raw = record_bytes(observations).to(device)
    fused = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
    with torch.inference_mode(), sdpa_kernel(fused):  # an error if neither takes the mask
        assert net.on_device(raw, 30).isfinite().all()
