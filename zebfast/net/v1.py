"""The v1 network: the published transformer over 36 tokens of 8 small integers each.

Parameter names and shapes are those of the published weights, which load unchanged. The module is
what the learner trains and what every faster way of evaluating it is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from zebfast.net.encoding import TokenBatch, expand
from zebfast.net.output import N_OTHER_SEATS, N_SLOTS, Output, check_shape
from zebfast.net.packing import N_FEATURES, N_TOKENS
from zebfast.rules import N_DOMINOES

TOKENIZER = "v1"
DROPOUT = 0.1

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


#: The three published sizes.
SIZES: Mapping[str, NetConfig] = MappingProxyType(
    {
        "small": NetConfig(embed_dim=64, n_heads=2, n_layers=2, ff_dim=128),
        "medium": NetConfig(embed_dim=128, n_heads=4, n_layers=4, ff_dim=256),
        "large": NetConfig(embed_dim=256, n_heads=8, n_layers=6, ff_dim=512),
    }
)


class Embeddings(nn.Module):
    """Sum of what the eight features of a token mean, as one linear map of their embeddings."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        base = embed_dim // N_FEATURES
        widths = [int(base * share) for _, _, share in FEATURES]
        for (name, n_values, _), width in zip(FEATURES, widths, strict=True):
            self.add_module(f"{name}_embed", nn.Embedding(n_values, width))
        self.proj = nn.Linear(sum(widths), embed_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """int[..., 8] -> float[..., embed_dim]."""
        parts = [
            self.get_submodule(f"{name}_embed")(tokens[..., i])
            for i, (name, _, _) in enumerate(FEATURES)
        ]
        embedded: Tensor = self.proj(torch.cat(parts, dim=-1))
        return embedded


class V1Net(nn.Module):
    """Pre-norm transformer encoder with a policy, a value and optionally a belief head."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        d = config.embed_dim
        self.embeddings = Embeddings(d)
        self.pos_embed = nn.Embedding(N_TOKENS, d)
        layer = nn.TransformerEncoderLayer(
            d_model=d,
            nhead=config.n_heads,
            dim_feedforward=config.ff_dim,
            dropout=DROPOUT,
            batch_first=True,
            norm_first=True,
        )
        # No final norm: the heads read the residual stream, as the published weights expect.
        self.encoder = nn.TransformerEncoder(layer, config.n_layers, enable_nested_tensor=False)
        self.policy_proj = nn.Linear(d, 1)
        self.value_head = nn.Sequential(
            nn.Linear(d, d // 2), nn.GELU(), nn.Linear(d // 2, 1), nn.Tanh()
        )
        self.belief_proj: nn.Sequential | None = None
        if config.belief_head:
            self.belief_proj = nn.Sequential(
                nn.Linear(d, d), nn.GELU(), nn.Linear(d, N_DOMINOES * N_OTHER_SEATS)
            )

    @staticmethod
    def prepare(raw: Tensor) -> TokenBatch:
        """Packed records uint8[B, 36] as `run` takes them, on their device, without a sync."""
        return expand(raw)

    def run(self, inputs: TokenBatch) -> Output:
        """Evaluate what `prepare` gave."""
        output: Output = self(inputs.tokens, inputs.mask, inputs.hand_indices)
        return output

    def forward(self, tokens: Tensor, mask: Tensor, hand_indices: Tensor | None = None) -> Output:
        """Evaluate a batch.

        ``tokens`` int[B, T, 8] (int32 or int64, T <= 36) and ``mask`` bool[B, T] (True = token
        counts); ``hand_indices`` int64[B, 7] says which tokens are the slots, 1..7 if None.
        Dropout draws from torch's global generator in training mode; otherwise no randomness.
        """
        x = self.embeddings(tokens) + self.pos_embed.weight[: tokens.shape[1]]
        x = self.encoder(x, src_key_padding_mask=~mask)
        if hand_indices is None:
            slots = x[:, 1 : 1 + N_SLOTS]
        else:
            slots = x.gather(1, hand_indices.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        weight = mask.unsqueeze(-1).to(x.dtype)
        pooled = (x * weight).sum(1) / weight.sum(1).clamp(min=1)
        belief: Tensor | None = None
        if self.belief_proj is not None:
            belief = self.belief_proj(pooled).unflatten(-1, (N_DOMINOES, N_OTHER_SEATS))
        policy = self.policy_proj(slots).squeeze(-1)
        return Output(policy, self.value_head(pooled).squeeze(-1), belief)
