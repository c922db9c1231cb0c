"""The v2 network by its shape: a residual MLP over 856 bits of the information state (`features`).

Made for throughput: one gathered first layer, a few square matrices, no attention, the same work
at every ply. The value head gives the distribution of the final points of the observer's side, of
which the value is the chance of more than half less that of fewer. `torch.v2` is the module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

from zebfast.net.features import N_BITS
from zebfast.net.output import N_OTHER_SEATS, N_POINTS, Shape, check_shape, linear
from zebfast.rules import N_DOMINOES

TOKENIZER = "v2"
FIRST_WEIGHT = "first.weight"  # of a state_dict: [width, 856]
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

    def parameters(self) -> dict[str, Shape]:
        """Shape of every parameter by its name, in the order of a ``state_dict``."""
        return dict(self._parameters())

    def _parameters(self) -> Iterator[tuple[str, Shape]]:
        width = self.width
        yield from linear("first", N_BITS, width)
        for i in range(self.n_blocks):
            yield f"blocks.{i}.norm.weight", (width,)
            yield f"blocks.{i}.norm.bias", (width,)
            yield from linear(f"blocks.{i}.up", width, width)
            yield from linear(f"blocks.{i}.down", width, width)
        yield "norm.weight", (width,)
        yield "norm.bias", (width,)
        yield from linear("policy_proj", width, N_DOMINOES)
        yield from linear("value_head", width, N_POINTS)
        if self.belief_head:
            yield from linear("belief_proj", width, N_DOMINOES * N_OTHER_SEATS)


SIZES: Mapping[str, V2Config] = MappingProxyType(
    {
        "small": V2Config(width=128, n_blocks=2),
        "medium": V2Config(width=256, n_blocks=3),
        "large": V2Config(width=512, n_blocks=4),
    }
)
