"""The v1 network: the published transformer over 36 tokens of 8 small integers each.

Parameter names and shapes are those of the published weights, which load unchanged. The module is
what the learner trains and what every faster way of evaluating it is compared with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zebfast.net.output import N_OTHER_SEATS, N_SLOTS
from zebfast.net.packing import N_TOKENS
from zebfast.net.torch.encoding import TokenBatch, expand
from zebfast.net.torch.output import Output
from zebfast.net.v1 import FEATURES, NetConfig
from zebfast.rules import N_DOMINOES

DROPOUT = 0.1


class Embeddings(nn.Module):
    """Sum of what the eight features of a token mean, as one linear map of their embeddings."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        widths = config.embedding_widths
        for (name, n_values, _), width in zip(FEATURES, widths, strict=True):
            self.add_module(f"{name}_embed", nn.Embedding(n_values, width))
        self.proj = nn.Linear(sum(widths), config.embed_dim)

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
        self.embeddings = Embeddings(config)
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
        """Packed records uint8[B, 44] as `run` takes them, on their device, without a sync."""
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
