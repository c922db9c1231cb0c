"""The optimizer, without the compiler that torch makes ready for it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW


class EagerAdamW(AdamW):
    """torch's AdamW, to the bit, for programs that compile no network.

    torch wraps these methods so that ``torch.compile`` leaves them alone, and the wrappers import
    the compiler when they are first called: 2 to 3 seconds of every start of a learner. Here they
    are what is wrapped. A release of torch without wrappers changes nothing.
    """

    add_param_group = inspect.unwrap(AdamW.add_param_group)
    zero_grad = inspect.unwrap(AdamW.zero_grad)
    state_dict = inspect.unwrap(AdamW.state_dict)
    load_state_dict = inspect.unwrap(AdamW.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(AdamW.step))  # as torch's own wrapper has it


# --- An exponential average of the weights over optimizer steps, which is what others see of a
# run.


class AveragedWeights:
    """The average of a network's weights, on its device.

    Args:
        net: begins as its weights.
        decay: weight of the average against the newest weights, 0 to below 1. It is less during
            the first steps, so that the beginning is soon forgotten.

    Attributes:
        weights: the average by parameter name.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self._decay = decay
        self._net = net
        self._n_steps = 0
        self.weights = {k: w.detach().clone() for k, w in net.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as the last step left them."""
        decay = min(self._decay, (1 + self._n_steps) / (10 + self._n_steps))
        self._n_steps += 1
        newest = self._net.state_dict()
        for name, average in self.weights.items():
            average.lerp_(newest[name], 1 - decay)

    def restart(self) -> None:
        """Begin again from the network's present weights."""
        self._n_steps = 0
        for name, weight in self._net.state_dict().items():
            self.weights[name].copy_(weight)

    def state(self) -> dict[str, Any]:
        """What ``load_state`` takes."""
        return {"n_steps": self._n_steps, "weights": self.weights}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state()``."""
        self._n_steps = int(state["n_steps"])
        for name, weight in self.weights.items():
            weight.copy_(state["weights"][name])
