"""The v2 network by its shape: a residual MLP over bits of the information state (`features`).

Made for throughput: one gathered first layer, a few square matrices, no attention, the same work
at every ply. The value head gives the distribution of the final points of the observer's side, of
which the value is the chance of more than half less that of fewer, or of making a contract less
that of being set. `torch.v2` is the module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

from zebfast.net.features import N_BITS, N_HAND_BITS
from zebfast.net.output import N_OTHER_SEATS, N_POINTS, Shape, check_shape, linear
from zebfast.rules import N_DOMINOES
from zebfast.system.settings import shown

TOKENIZER = "v2"
FIRST_WEIGHT = "first.weight"  # of a state_dict: [width, 856], or [width, 1024] with contracts
# Far above any size in use; what a file may ask for is bounded before anything is allocated.
_LIMITS = MappingProxyType({"width": 4096, "n_blocks": 64})


@dataclass(frozen=True, kw_only=True)
class V2Config:
    """Shape of a v2 network. ValueError (one sentence) if no such network can be built.

    ``contract``: it sees what hands are played for. Files need not say so: the weights do.
    """

    width: int
    n_blocks: int
    tokenizer: str = TOKENIZER
    belief_head: bool = False
    contract: bool = False

    def __post_init__(self) -> None:
        check_shape(self, _LIMITS, TOKENIZER)
        if self.width % 16:
            raise ValueError(f"width {self.width} must be a multiple of 16")
        if type(self.contract) is not bool:
            raise ValueError(f"contract must be true or false, not {shown(self.contract)}")

    @property
    def n_bits(self) -> int:
        """Bits of the information state that it sees."""
        return N_BITS if self.contract else N_HAND_BITS

    def to_dict(self) -> dict[str, int | str | bool]:
        """Every field by its name; ``contract`` where it is so, for older readers know no such."""
        fields = asdict(self)
        return fields if self.contract else {k: v for k, v in fields.items() if k != "contract"}

    def parameters(self) -> dict[str, Shape]:
        """Shape of every parameter by its name, in the order of a ``state_dict``."""
        return dict(self._parameters())

    def _parameters(self) -> Iterator[tuple[str, Shape]]:
        width = self.width
        yield from linear("first", self.n_bits, width)
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
