"""A network's belief head, for players that draw worlds by it: who holds which hidden domino."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from zebfast.net.checkpoint import Checkpoint


class BeliefHead:
    """Asks the belief head of a checkpoint, on the CPU in fp32.

    Raises ValueError (one sentence) for a network without one.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        if not checkpoint.config.belief_head:
            raise ValueError("belief=head needs a network with a belief head, which this one lacks")
        self._net: Any = checkpoint.network().eval()  # every kind runs what it has prepared itself

    def __call__(self, observations: np.ndarray) -> NDArray[np.float64]:
        """Probabilities f8[k, 28, 3] that each domino was dealt to the left, partner or right."""
        import torch

        from zebfast.net.encoding import record_bytes

        with torch.inference_mode():
            logits = self._net.run(self._net.prepare(record_bytes(observations))).belief
            chances: NDArray[np.float64] = torch.softmax(logits.double(), dim=-1).numpy()
        return chances
