"""The v1 network by its shape: the published transformer over 36 tokens of 8 small integers each.

The module itself is `torch.v1`. Names and shapes are those of the published weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

from zebfast.net.output import N_OTHER_SEATS, Shape, check_shape, linear
from zebfast.net.packing import N_FEATURES, N_TOKENS
from zebfast.rules import N_DOMINOES

TOKENIZER = "v1"

#: (name, number of values, share of the base width) of every token feature, in token order.
FEATURES: tuple[tuple[str, int, float], ...] = (
    ("high_pip", 7, 1.0),
    ("low_pip", 7, 1.0),
    ("is_double", 2, 0.5),
    ("count", 3, 0.5),
    ("player", 4, 1.0),
    ("is_in_hand", 2, 0.5),
    ("decl", 10, 1.0),
    ("token_type", 3, 1.0),
)

# Far above any size in use; what a file may ask for is bounded before anything is allocated.
_LIMITS = MappingProxyType({"embed_dim": 2048, "n_heads": 64, "n_layers": 64, "ff_dim": 8192})


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    """Shape of a v1 network. ValueError (one sentence) if no such network can be built."""

    embed_dim: int
    n_heads: int
    n_layers: int
    ff_dim: int
    tokenizer: str = TOKENIZER
    belief_head: bool = False

    def __post_init__(self) -> None:
        check_shape(self, _LIMITS, TOKENIZER)
        if self.embed_dim % self.n_heads or self.embed_dim % 16:
            raise ValueError(
                f"embed_dim {self.embed_dim} must be a multiple of 16 and of n_heads {self.n_heads}"
            )

    def to_dict(self) -> dict[str, int | str | bool]:
        """As published: ``belief_head`` is written only by networks that have one."""
        fields = asdict(self)
        if not self.belief_head:
            del fields["belief_head"]
        return fields

    @property
    def embedding_widths(self) -> list[int]:
        """Of each of FEATURES."""
        base = self.embed_dim // N_FEATURES
        return [int(base * share) for _, _, share in FEATURES]

    def parameters(self) -> dict[str, Shape]:
        """Shape of every parameter by its name, in the order of a ``state_dict``."""
        return dict(self._parameters())

    def _parameters(self) -> Iterator[tuple[str, Shape]]:
        d, widths = self.embed_dim, self.embedding_widths
        for (name, n_values, _), width in zip(FEATURES, widths, strict=True):
            yield f"embeddings.{name}_embed.weight", (n_values, width)
        yield from linear("embeddings.proj", sum(widths), d)
        yield "pos_embed.weight", (N_TOKENS, d)
        for i in range(self.n_layers):
            layer = f"encoder.layers.{i}"
            yield f"{layer}.self_attn.in_proj_weight", (3 * d, d)
            yield f"{layer}.self_attn.in_proj_bias", (3 * d,)
            yield from linear(f"{layer}.self_attn.out_proj", d, d)
            yield from linear(f"{layer}.linear1", d, self.ff_dim)
            yield from linear(f"{layer}.linear2", self.ff_dim, d)
            for norm in ("norm1", "norm2"):
                yield f"{layer}.{norm}.weight", (d,)
                yield f"{layer}.{norm}.bias", (d,)
        yield from linear("policy_proj", d, 1)
        yield from linear("value_head.0", d, d // 2)
        yield from linear("value_head.2", d // 2, 1)
        if self.belief_head:
            yield from linear("belief_proj.0", d, d)
            yield from linear("belief_proj.2", d, N_DOMINOES * N_OTHER_SEATS)


#: The three published sizes.
SIZES: Mapping[str, NetConfig] = MappingProxyType(
    {
        "small": NetConfig(embed_dim=64, n_heads=2, n_layers=2, ff_dim=128),
        "medium": NetConfig(embed_dim=128, n_heads=4, n_layers=4, ff_dim=256),
        "large": NetConfig(embed_dim=256, n_heads=8, n_layers=6, ff_dim=512),
    }
)
