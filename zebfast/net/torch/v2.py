"""The v2 network as a module: what the learner trains, and what csrc/net.c is compared with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zebfast.net.output import N_OTHER_SEATS, N_POINTS
from zebfast.net.torch.features import (
    FeatureBatch,
    PackedBatch,
    expand,
    first_layer,
    leave_packed,
)
from zebfast.net.torch.output import Output
from zebfast.net.v2 import V2Config
from zebfast.rules import N_DOMINOES

# A row of the first layer is seen only when its bit is set. Small at first, so that what is learned
# about a bit soon outweighs what it began with: the norm that follows makes up for the scale.
_FIRST_SPREAD = 0.002


class Block(nn.Module):
    """x + down(relu(up(norm(x)))), all of one width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """float[B, width] -> the same shape."""
        y: Tensor = x + self.down(torch.relu(self.up(self.norm(x))))
        return y


class V2Net(nn.Module):
    """A first layer over bits, residual blocks, and linear heads: policy, points, belief."""

    def __init__(self, config: V2Config) -> None:
        super().__init__()
        self.config = config
        self.first = nn.Linear(config.n_bits, config.width)
        nn.init.normal_(self.first.weight, std=_FIRST_SPREAD)
        nn.init.zeros_(self.first.bias)
        self.blocks = nn.ModuleList(Block(config.width) for _ in range(config.n_blocks))
        self.norm = nn.LayerNorm(config.width)
        self.policy_proj = nn.Linear(config.width, N_DOMINOES)
        self.value_head = nn.Linear(config.width, N_POINTS)
        self.belief_proj: nn.Linear | None = None
        if config.belief_head:
            self.belief_proj = nn.Linear(config.width, N_DOMINOES * N_OTHER_SEATS)

    def prepare(self, raw: Tensor) -> FeatureBatch | PackedBatch:
        """Packed records uint8[B, 44] as `run` takes them, on their device, without a sync."""
        return leave_packed(raw) if raw.device.type == "cpu" else expand(raw, self.config.n_bits)

    def run(self, inputs: FeatureBatch | PackedBatch) -> Output:
        """Evaluate what `prepare` gave. ValueError where a record cannot be."""
        if isinstance(inputs, FeatureBatch):
            x = self.first(inputs.features)
        else:
            x = first_layer(inputs.raw, self.first.weight, self.first.bias)
            if torch.is_autocast_enabled("cpu"):  # as the product would leave it
                x = x.to(torch.get_autocast_dtype("cpu"))
        return self._answers(x, inputs.slots, inputs.aim)

    def forward(self, features: Tensor, slots: Tensor, aim: Tensor) -> Output:
        """Evaluate features float[B, n_bits] whose slots hold the dominoes int64[B, 7].

        ``aim``: as in FeatureBatch.
        """
        return self._answers(self.first(features), slots, aim)

    def _answers(self, x: Tensor, slots: Tensor, aim: Tensor) -> Output:
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        points = self.value_head(x)
        belief: Tensor | None = None
        if self.belief_proj is not None:
            belief = self.belief_proj(x).unflatten(-1, (N_DOMINOES, N_OTHER_SEATS))
        policy = self.policy_proj(x).gather(1, slots)
        return Output(policy, value_of_points(points, aim), belief, points)


def value_of_points(logits: Tensor, aim: Tensor) -> Tensor:
    """float[B]: the chance of points with which a side has won less that of those with which it has
    lost, of logits float[B, 43] and both int64[B, 2]."""
    chances = F.softmax(logits, dim=-1)
    points = torch.arange(N_POINTS, device=logits.device)
    won, lost = points >= aim[:, :1], points <= aim[:, 1:]
    return (chances * won).sum(-1) - (chances * lost).sum(-1)
