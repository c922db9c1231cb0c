"""Are these numbers? Asked of weights before they take the place of others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class NotFinite(ValueError):
    """Numbers that are none were to be written; one sentence. What was there before stays."""


def first_non_finite(values: Any) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None where there is none.

    One fused pass over all of them, for their norm; only where that is no number, which squares of
    finite numbers may bring about, too, they are looked at one by one. ``values`` are nested
    mappings and lists; a name is the keys on the way, ``trainer.optimizer.state.0.exp_avg``.
    """
    import torch
    from torch.nn.utils import get_total_norm

    found = list(_tensors(values, ""))
    if not found or math.isfinite(get_total_norm([each for _, each in found]).item()):
        return None
    return next((name for name, each in found if not torch.isfinite(each).all()), None)


def require_finite(values: Any, what: str) -> None:
    """NotFinite where a tensor of ``what`` holds NaN or infinity."""
    name = first_non_finite(values)
    if name is not None:
        raise NotFinite(
            f"{what} is not written, for {name!r} holds NaN or infinite numbers: what was there "
            "before is untouched"
        )


def _tensors(values: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    import torch

    if isinstance(values, torch.Tensor):
        if values.is_floating_point() and values.numel():
            yield name, values.detach()
    elif isinstance(values, Mapping | list):
        entries = values.items() if isinstance(values, Mapping) else enumerate(values)
        for key, value in entries:
            yield from _tensors(value, f"{name}.{key}" if name else str(key))
