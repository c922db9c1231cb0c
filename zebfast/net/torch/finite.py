"""Are these numbers? `system.finite` for tensors, wherever they are, and arrays among them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from zebfast.system.finite import NotFinite, leaves


def first_non_finite(values: Any) -> str | None:
    """The name of the first tensor or array that holds NaN or infinity; None where there is none.

    One fused pass over all of them, for their norm; only where that is no number, which squares of
    finite numbers may bring about, too, they are looked at one by one.
    """
    found = list(leaves(values, _numbers))
    if not found or math.isfinite(get_total_norm([each for _, each in found]).item()):
        return None
    return next((name for name, each in found if not torch.isfinite(each).all()), None)


def require_finite(values: Any, what: str) -> None:
    """NotFinite where a tensor or array of ``what`` holds NaN or infinity."""
    name = first_non_finite(values)
    if name is not None:
        raise NotFinite(what, name)


def _numbers(leaf: Any) -> Tensor | None:
    if isinstance(leaf, np.ndarray):
        leaf = torch.from_numpy(leaf)
    if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.numel():
        return leaf.detach()
    return None
