"""Several v2 networks as one of their widths together, to go on with where each has learned all
that its width holds (after Chen et al., Net2Net, 2016: grow a network without losing what it does).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from zebfast.net.checkpoint import Checkpoint, provenance
from zebfast.net.v2 import V2Config

_HEADS = ("policy_proj", "value_head", "belief_proj")


def side_by_side(networks: Sequence[Checkpoint]) -> Checkpoint:
    """One network whose units are those of all, and whose logits are about the means of theirs.

    Not exactly so: its norms are over all units, where each network had its own. Networks that were
    trained alike have streams of nearly one size, and little changes. No unit of one network looks
    at another's yet; training joins them.

    Counters start at zero; the provenance names what the networks said of themselves. ValueError
    (one sentence) for fewer than two, or for networks that are not v2 of one shape.
    """
    if len(networks) < 2:
        raise ValueError("one network has none beside it: expected two or more")
    config = networks[0].config
    shapes = dict.fromkeys(_shape(network) for network in networks)
    if len(shapes) > 1 or not isinstance(config, V2Config):
        raise ValueError(
            f"networks side by side must be v2 and of one shape, not {' and '.join(shapes)}"
        )
    return Checkpoint(
        config=replace(config, width=config.width * len(networks)),
        weights={
            name: _joined(name, [network.weights[name].float() for network in networks])
            for name in networks[0].weights
        },
        provenance=provenance(side_by_side=[network.provenance for network in networks]),
    )


def _shape(network: Checkpoint) -> str:
    return ", ".join(f"{name} {value}" for name, value in network.config.to_dict().items())


def _joined(name: str, tensors: list[Tensor]) -> Tensor:
    if name.startswith(_HEADS):
        parts = [tensor / len(tensors) for tensor in tensors]
        return torch.cat(parts, dim=1) if parts[0].dim() == 2 else torch.stack(parts).sum(dim=0)
    if name.endswith(("up.weight", "down.weight")):
        square: Tensor = torch.block_diag(*tensors)  # type: ignore[no-untyped-call]
        return square
    return torch.cat(tensors)
