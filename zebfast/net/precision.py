"""Which precision the evaluator computes in, and when half precision is taken back.

Half precision is only as good as its answers: the first batch of every set of weights is also
evaluated in fp32, and weights that half precision gets wrong are used in fp32.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zebfast.net.encoding import record_bytes
from zebfast.net.folded import WIDTH, Folded
from zebfast.net.pipeline import length_bucket

_LOG = logging.getLogger(__name__)
AUTO, EXACT = "auto", "fp32"
#: Names a user may give, besides ``auto``.
DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {EXACT: torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
)
#: How far priors and values of a sample may lie from those in fp32. With the published medium
#: network and leaves of self-play, bf16 stays below 0.03 and 0.09, at a mean of 0.001 and 0.003.
PRIOR_BOUND, VALUE_BOUND = 0.05, 0.15
_SAMPLE = 256


class Difference(NamedTuple):
    """Largest absolute differences of a sample; infinite where half precision is not finite."""

    prior: float
    value: float

    @property
    def harmless(self) -> bool:
        """Within the bounds."""
        return self.prior <= PRIOR_BOUND and self.value <= VALUE_BOUND


def settle(asked: str, device: torch.device) -> str:
    """The name in DTYPES to compute in; ValueError for an unknown one.

    ``auto`` is fp16 on a GPU, bf16 on a CPU that multiplies it, else fp32. A CPU that only emulates
    bf16 would be slower with it, so that it gets fp32 and a line instead.
    """
    if asked not in (AUTO, *DTYPES):
        known = ", ".join((AUTO, *DTYPES))
        raise ValueError(f"unknown dtype {asked!r}; choose one of {known}")
    if device.type != "cpu":
        return "fp16" if asked == AUTO else asked
    if asked == AUTO:
        return "bf16" if cpu_has_bf16() else EXACT
    if asked == "bf16" and not cpu_has_bf16():
        _LOG.warning("this CPU has no bf16 arithmetic: the network runs in fp32")
        return EXACT
    return asked


def cpu_has_bf16() -> bool:
    """Does this CPU multiply bf16 itself (AVX512-BF16 or AMX)? No where torch cannot say."""
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)


def compare(half: Folded, exact: Folded, obs: NDArray[Any], device: torch.device) -> Difference:
    """How far ``half`` is from ``exact``, the same network in fp32, on a sample of OBS_DTYPE[B].

    Waits for the device.
    """
    sample = obs[np.linspace(0, len(obs) - 1, min(len(obs), _SAMPLE)).astype(np.int64)]
    got, want = (_evaluated(net, sample, device) for net in (half, exact))
    gap = (got - want).abs().nan_to_num(nan=torch.inf)
    priors, values = gap[:, : WIDTH - 1], gap[:, WIDTH - 1]
    return Difference(float(priors.max()), float(values.max()))


def _evaluated(net: Folded, obs: NDArray[Any], device: torch.device) -> Tensor:
    if device.type == "cpu":
        return net.on_cpu(obs, chunk=len(obs))[0]
    raw = record_bytes(obs).to(device)
    return net.on_device(raw, length_bucket(int(net.lengths(obs).max()))).cpu()
