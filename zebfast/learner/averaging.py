"""An exponential average of the weights over optimizer steps, which is what others see of a run.

Steps at a high learning rate scatter about where they lead; the average is there (Polyak & Juditsky
1992; with a decay as in Tarvainen & Valpola 2017). Training itself goes on from the last step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class AveragedWeights:
    """The average of a network's weights, on its device.

    Args:
        net: begins as its weights.
        decay: weight of the average against the newest weights, 0 to below 1. It is less during
            the first steps, so that the beginning is soon forgotten.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self._decay = decay
        self._net = net
        self._n_steps = 0
        self._weights = {k: w.detach().clone() for k, w in net.state_dict().items()}

    @property
    def weights(self) -> dict[str, Tensor]:
        """The average by parameter name (not a copy)."""
        return self._weights

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as the last step left them."""
        decay = min(self._decay, (1 + self._n_steps) / (10 + self._n_steps))
        self._n_steps += 1
        newest = self._net.state_dict()
        for name, average in self._weights.items():
            average.lerp_(newest[name], 1 - decay)

    def restart(self) -> None:
        """Begin again from the network's present weights."""
        self._n_steps = 0
        for name, weight in self._net.state_dict().items():
            self._weights[name].copy_(weight)

    def state(self) -> dict[str, Any]:
        """What ``load_state`` takes."""
        return {"n_steps": self._n_steps, "weights": self._weights}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state()``."""
        self._n_steps = int(state["n_steps"])
        for name, weight in self._weights.items():
            weight.copy_(state["weights"][name])
