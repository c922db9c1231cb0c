"""The v2 network: a residual MLP over 856 bits of the information state (`features`).

Made for throughput: one gathered first layer, a few square matrices, no attention, the same work
at every ply. The value head gives the distribution of the final points of the observer's side, of
which Output.value is the chance of more than half less that of fewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zebfast.net.features import N_BITS, FeatureBatch, expand, expand_on_cpu
from zebfast.net.output import N_OTHER_SEATS, N_POINTS, Output, check_shape
from zebfast.rules import HALF_POINTS, N_DOMINOES

TOKENIZER = "v2"
FIRST_WEIGHT = "first.weight"  # of a state_dict: [width, 856]
# A row of the first layer is seen only when its bit is set. Small at first, so that what is learned
# about a bit soon outweighs what it began with: the norm that follows makes up for the scale.
_FIRST_SPREAD = 0.002
# Far above any size in use; what a file may ask for is bounded before anything is allocated.
_LIMITS = MappingProxyType({"width": 4096, "n_blocks": 64})


@dataclass(frozen=True, kw_only=True)
class V2Config:
    """Shape of a v2 network. ValueError (one sentence) if no such network can be built."""

    width: int
    n_blocks: int
    tokenizer: str = TOKENIZER
    belief_head: bool = False

    def __post_init__(self) -> None:
        check_shape(self, _LIMITS, TOKENIZER)
        if self.width % 16:
            raise ValueError(f"width {self.width} must be a multiple of 16")

    def to_dict(self) -> dict[str, int | str | bool]:
        """Every field by its name."""
        return asdict(self)


SIZES: Mapping[str, V2Config] = MappingProxyType(
    {
        "small": V2Config(width=128, n_blocks=2),
        "medium": V2Config(width=256, n_blocks=3),
        "large": V2Config(width=512, n_blocks=4),
    }
)


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
        self.first = nn.Linear(N_BITS, config.width)
        nn.init.normal_(self.first.weight, std=_FIRST_SPREAD)
        nn.init.zeros_(self.first.bias)
        self.blocks = nn.ModuleList(Block(config.width) for _ in range(config.n_blocks))
        self.norm = nn.LayerNorm(config.width)
        self.policy_proj = nn.Linear(config.width, N_DOMINOES)
        self.value_head = nn.Linear(config.width, N_POINTS)
        self.belief_proj: nn.Linear | None = None
        if config.belief_head:
            self.belief_proj = nn.Linear(config.width, N_DOMINOES * N_OTHER_SEATS)

    @staticmethod
    def prepare(raw: Tensor) -> FeatureBatch:
        """Packed records uint8[B, 36] as `run` takes them, on their device, without a sync."""
        return expand_on_cpu(raw) if raw.device.type == "cpu" else expand(raw)

    def run(self, inputs: FeatureBatch) -> Output:
        """Evaluate what `prepare` gave."""
        output: Output = self(inputs.features, inputs.slots)
        return output

    def forward(self, features: Tensor, slots: Tensor) -> Output:
        """Evaluate features float[B, 856] whose slots hold the dominoes int64[B, 7]."""
        x = self.first(features)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        points = self.value_head(x)
        belief: Tensor | None = None
        if self.belief_proj is not None:
            belief = self.belief_proj(x).unflatten(-1, (N_DOMINOES, N_OTHER_SEATS))
        policy = self.policy_proj(x).gather(1, slots)
        return Output(policy, value_of_points(points), belief, points)


def value_of_points(logits: Tensor) -> Tensor:
    """float[B]: chance of more than 21 points less that of fewer, of logits float[B, 43]."""
    chances = F.softmax(logits, dim=-1)
    return chances[..., HALF_POINTS + 1 :].sum(-1) - chances[..., :HALF_POINTS].sum(-1)
