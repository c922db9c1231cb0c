"""The batched leaf evaluator: packed records in, legal priors and a value out, one call a batch."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zebfast.core.records import OBS_DTYPE
from zebfast.net import forward
from zebfast.net.encoding import record_bytes
from zebfast.net.forward import Features, Span
from zebfast.net.packing import check_observations
from zebfast.net.tables import FoldedNet, fold, table_rows
from zebfast.net.v1 import N_SLOTS, N_TOKENS, NetConfig
from zebfast.net.weights import check_weights

#: Names a user may give; half precision is meant for CUDA but works on the CPU.
DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
)
WIDTH = N_SLOTS + 1
_HELD = np.array([bits.bit_count() for bits in range(256)], dtype=np.int64)


@dataclass
class Counts:
    """Work done since the evaluator was made."""

    states: int = 0
    batches: int = 0
    tokens: int = 0  # valid tokens run through the network
    padded_tokens: int = 0  # tokens run only to fill a rectangle


class NotFinite(FloatingPointError):
    """The network's answers contain NaN or infinity; one sentence."""


class DeviceMissing(RuntimeError):
    """The device asked for is not on this machine; one sentence."""


class Evaluator:
    """Evaluates information states with one v1 network on one device.

    ``evaluate`` may be called from several threads at once on different arrays. On the CPU it uses
    torch's thread count as it finds it; on CUDA every calling thread has its own stream and pinned
    buffers, and waits for its own results only.
    """

    def __init__(
        self,
        config: NetConfig,
        weights: Mapping[str, Tensor],
        *,
        device: str | torch.device = "cpu",
        dtype: str = "fp32",
        chunk_tokens: int = 1024,
    ) -> None:
        """Fold ``weights`` for ``device`` (``cpu``, ``cuda``, ``cuda:N``) and ``dtype`` (DTYPES).

        ``chunk_tokens``: about how many tokens the CPU runs through all layers at a time, so that
        activations stay in cache. ValueError for an unknown dtype or weights that do not fit
        ``config``; DeviceMissing if the device is not there.
        """
        if dtype not in DTYPES:
            raise ValueError(f"unknown dtype {dtype!r}; choose one of {', '.join(DTYPES)}")
        self._config = config
        self._device = torch.device(device)
        if self._device.type == "cuda" and not torch.cuda.is_available():
            raise DeviceMissing(f"device {device} was asked for, but no CUDA GPU is available")
        self._dtype = dtype
        self._chunk_tokens = chunk_tokens
        self._lock = threading.Lock()
        self._local = threading.local()
        self._counts = Counts()
        self.load(weights)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Swap in other weights of the same network; a call already running finishes with the old.

        ValueError (one sentence) if they do not fit; the old ones stay in use then.
        """
        checked = check_weights(self._config, weights)
        folded = fold(self._config, checked, device=self._device, dtype=DTYPES[self._dtype])
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # calling threads read it from other streams
        self._net = folded

    @property
    def counts(self) -> Counts:
        """A copy of the counters."""
        with self._lock:
            c = self._counts
            return Counts(c.states, c.batches, c.tokens, c.padded_tokens)

    def describe(self) -> str:
        """Where and in what precision it runs, for logs: ``cuda:0 NVIDIA ... fp16``."""
        if self._device.type != "cuda":
            return f"{self._device} {self._dtype}"
        return f"{self._device} {torch.cuda.get_device_name(self._device)} {self._dtype}"

    def evaluate(self, obs: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Evaluate OBS_DTYPE[B] into ``out`` float32[B, 8], C-contiguous.

        ``out[b, :7]``: priors over the legal slots (0 elsewhere, sum 1); ``out[b, 7]``: value in
        [-1, 1] for the observer's side. ValueError for records of no seat to play or a wrong
        ``out``; NotFinite (a FloatingPointError) if the network gives anything else.
        """
        if out.shape != (len(obs), WIDTH) or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(f"out must be C-contiguous float32[{len(obs)}, {WIDTH}]")
        if obs.dtype != OBS_DTYPE or obs.ndim != 1:
            raise ValueError(f"expected a vector of packed observations, not {obs.dtype}")
        if not len(obs):
            return
        check_observations(obs)
        net = self._net
        lengths = 1 + _HELD[obs["in_hand"]] + obs["n_plays"]
        with torch.inference_mode():
            if self._device.type == "cuda":
                padding = self._evaluate_cuda(net, obs, lengths, out)
            else:
                padding = self._evaluate_cpu(net, obs, lengths, out)
        if not np.isfinite(out).all():
            row = int(np.argmin(np.isfinite(out).all(axis=1)))
            raise NotFinite(
                f"the network's answer to observation {row} of {len(obs)} is not finite "
                f"({self.describe()}): its weights have diverged or overflow {self._dtype}"
            )
        with self._lock:
            self._counts.states += len(obs)
            self._counts.batches += 1
            self._counts.tokens += int(lengths.sum())
            self._counts.padded_tokens += padding

    def _evaluate_cpu(
        self, net: FoldedNet, obs: NDArray[Any], lengths: NDArray[np.int64], out: NDArray[Any]
    ) -> int:
        """Ragged evaluation, observations of equal length side by side; returns padding (none)."""
        order = np.argsort(lengths, kind="stable")
        lengths = lengths[order]
        looked_up = table_rows(net, record_bytes(obs[order]))
        valid = torch.arange(N_TOKENS) < torch.from_numpy(lengths).unsqueeze(1)
        tokens = looked_up.rows[valid]
        ends = np.cumsum(lengths)
        parts = [
            forward.ragged(net, tokens[ends[i] - lengths[i] : ends[j - 1]], spans)
            for i, j, spans in _blocks(lengths, self._chunk_tokens)
        ]
        scores, mean_x, mean_f = (torch.cat(column) for column in zip(*parts, strict=True))
        places = torch.from_numpy(ends - lengths).unsqueeze(1) + looked_up.slot_place
        answers = forward.heads(net, scores[places], looked_up.legal, mean_x, mean_f)
        out[order] = answers.numpy()
        return 0

    def _evaluate_cuda(
        self, net: FoldedNet, obs: NDArray[Any], lengths: NDArray[np.int64], out: NDArray[Any]
    ) -> int:
        """Padded evaluation on this thread's stream; halves the batch once if memory runs out."""
        try:
            return self._run_cuda(net, obs, lengths, out)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.synchronize(self._device)  # the pinned buffers may still be being read
            torch.cuda.empty_cache()
        half = (len(obs) + 1) // 2
        try:
            return sum(
                self._run_cuda(net, obs[part], lengths[part], out[part])
                for part in (slice(0, half), slice(half, None))
                if len(obs[part])
            )
        except torch.cuda.OutOfMemoryError:
            raise MemoryError(
                f"{self.describe()} has not enough memory for {half} observations at once: "
                "play fewer games in parallel"
            ) from None

    def _run_cuda(
        self, net: FoldedNet, obs: NDArray[Any], lengths: NDArray[np.int64], out: NDArray[Any]
    ) -> int:
        n, longest = len(obs), int(lengths.max())
        buffers = self._buffers(n)
        with torch.cuda.device(self._device), torch.cuda.stream(buffers.stream):
            buffers.records[:n].copy_(record_bytes(obs))
            raw = buffers.records[:n].to(self._device, non_blocking=True)
            answers = padded_answers(net, raw, longest, exact=bool((lengths == longest).all()))
            buffers.answers[:n].copy_(answers, non_blocking=True)
            buffers.stream.synchronize()
        out[:] = buffers.answers[:n].numpy()
        return n * longest - int(lengths.sum())

    def _buffers(self, n: int) -> _ThreadBuffers:
        buffers: _ThreadBuffers | None = getattr(self._local, "buffers", None)
        if buffers is None or len(buffers.records) < n:
            stream: Any = buffers.stream if buffers else torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            buffers = _ThreadBuffers(
                stream=stream,
                records=torch.empty(n, OBS_DTYPE.itemsize, dtype=torch.uint8, pin_memory=True),
                answers=torch.empty(n, WIDTH, dtype=torch.float32, pin_memory=True),
            )
            self._local.buffers = buffers
        return buffers


@dataclass
class _ThreadBuffers:
    """What one calling thread keeps between calls; grown to its largest batch."""

    stream: torch.cuda.Stream
    records: Tensor  # pinned uint8[capacity, 36]
    answers: Tensor  # pinned float32[capacity, 8]


def padded_answers(net: FoldedNet, raw: Tensor, longest: int, *, exact: bool) -> Tensor:
    """float32[B, 8] for records uint8[B, 36] on the net's device, without host synchronisation.

    ``longest``: the largest number of valid tokens; ``exact``: every record has that many.
    """
    looked_up = table_rows(net, raw)
    held = (looked_up.slot_place > 0).sum(1)
    lengths = None if exact else 1 + held + raw[:, 5]
    features: Features = forward.padded(net, looked_up.rows[:, :longest], lengths)
    slot_scores = features.scores.gather(1, looked_up.slot_place)
    return forward.heads(net, slot_scores, looked_up.legal, features.mean_x, features.mean_f)


def _blocks(lengths: NDArray[np.int64], chunk_tokens: int) -> list[tuple[int, int, list[Span]]]:
    """Cut observations sorted by length into blocks of about ``chunk_tokens`` tokens.

    Returns (first, end, spans) of each block; its spans count tokens from the block's start.
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    n_blocks = max(1, round(total / chunk_tokens))
    cuts = np.searchsorted(ends, np.arange(1, n_blocks) * (total / n_blocks))
    edges = np.unique(np.concatenate([[0], cuts, [len(lengths)]]))
    blocks = []
    for i, j in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        values, counts = np.unique(lengths[i:j], return_counts=True)
        spans, start = [], 0
        for length, n in zip(values.tolist(), counts.tolist(), strict=True):
            spans.append(Span(start, n, length))
            start += length * n
        blocks.append((i, j, spans))
    return blocks
