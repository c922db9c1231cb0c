"""The v1 network as the evaluator uses it: ragged on the CPU, in rectangles on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zebfast.core.records import OBS_DTYPE
from zebfast.net import forward, tables
from zebfast.net.encoding import record_bytes
from zebfast.net.forward import Span
from zebfast.net.packing import N_TOKENS
from zebfast.net.v1 import NetConfig

_HELD = np.array([bits.bit_count() for bits in range(256)], dtype=np.int64)


class FoldedV1:
    """A `folded.Folded` over `tables` and `forward`; lengths are valid tokens, 8 to 29."""

    row_bytes = OBS_DTYPE.itemsize

    def __init__(self, net: tables.FoldedNet) -> None:
        self._net = net

    @classmethod
    def fold(
        cls,
        config: NetConfig,
        weights: Mapping[str, Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> FoldedV1:
        """Fold checked weights for ``device``, stored in ``dtype``."""
        return cls(tables.fold(config, weights, device=device, dtype=dtype))

    def on_cpu(self, obs: NDArray[Any], *, chunk: int) -> tuple[Tensor, int, int]:
        """Ragged evaluation, observations of equal length side by side; no padding."""
        net, lengths = self._net, self.lengths(obs)
        order = np.argsort(lengths, kind="stable")
        lengths = lengths[order]
        looked_up = tables.table_rows(net, record_bytes(obs[order]))
        valid = torch.arange(N_TOKENS) < torch.from_numpy(lengths).unsqueeze(1)
        tokens = looked_up.rows[valid]
        ends = np.cumsum(lengths)
        parts = [
            forward.ragged(net, tokens[ends[i] - lengths[i] : ends[j - 1]], spans)
            for i, j, spans in _blocks(lengths, chunk)
        ]
        scores, mean_x, mean_f = (torch.cat(column) for column in zip(*parts, strict=True))
        places = torch.from_numpy(ends - lengths).unsqueeze(1) + looked_up.slot_place
        in_order = forward.heads(net, scores[places], looked_up.legal, mean_x, mean_f)
        evals = torch.empty_like(in_order)
        evals[torch.from_numpy(order)] = in_order
        return evals, int(ends[-1]), 0

    def rows(self, obs: NDArray[Any]) -> NDArray[np.uint8]:
        """The packed records themselves."""
        flat: NDArray[np.uint8] = record_bytes(obs).numpy()
        return flat

    def lengths(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Valid tokens: the declaration, the dominoes still held, the plays."""
        lengths: NDArray[np.int64] = 1 + _HELD[obs["in_hand"]] + obs["n_plays"]
        return lengths

    def on_device(self, raw: Tensor, length: int) -> Tensor:
        """float32[B, 8] for records uint8[B, 36] of at most ``length`` valid tokens each."""
        net = self._net
        looked_up = tables.table_rows(net, raw)
        lengths = 1 + (looked_up.slot_place > 0).sum(1) + raw[:, 5]
        features = forward.padded(net, looked_up.rows[:, :length], lengths)
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
