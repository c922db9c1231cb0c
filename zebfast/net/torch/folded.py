"""Networks folded for evaluation: what the evaluator asks of one, whatever its tokenizer."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zebfast.net.networks import AnyConfig, Arrays
from zebfast.net.torch.modules import build, filled, tensors
from zebfast.net.torch.v1 import V1Net
from zebfast.net.torch.v1_fast import FoldedV1
from zebfast.net.torch.v2_fast import FoldedV2


class Folded(Protocol):
    """One network's weights on one device in one precision, ready to evaluate; never changes."""

    def on_cpu(self, obs: NDArray[Any], *, chunk: int) -> tuple[Tensor, int, int]:
        """Evaluate OBS_DTYPE[B] on the CPU: float32[B, 8], tokens run, tokens run as padding.

        ``chunk``: about how many tokens (or rows) go through all layers at a time.
        """

    def lengths(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """int64[B]: how long a rectangle each observation needs; 0 where there is no such thing."""

    def on_device(self, raw: Tensor, length: int) -> Tensor:
        """float32[B, 8] for packed records uint8[B, 44] on the network's device.

        ``length``: at least every row's. Shapes depend on B and ``length`` alone and nothing waits
        for the device, so that a CUDA graph can hold it. Rows of zeros give anything.
        """


def fold(config: AnyConfig, weights: Arrays, *, device: torch.device, dtype: torch.dtype) -> Folded:
    """Fold checked weights (`networks.check_weights`) for ``device``, stored in ``dtype``."""
    moved = {name: w.to(device, torch.float32) for name, w in tensors(weights).items()}
    net = filled(build, config, moved).eval()
    with torch.no_grad():
        return FoldedV1(net, dtype=dtype) if isinstance(net, V1Net) else FoldedV2(net, dtype=dtype)
