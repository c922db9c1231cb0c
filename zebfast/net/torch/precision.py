"""Which precision torch computes in on a device."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType

import torch

from zebfast.net.precision import AUTO, EXACT, check_dtype

_LOG = logging.getLogger(__name__)
#: Those of `net.precision` that torch computes in.
DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {EXACT: torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
)


def settle(asked: str, device: torch.device) -> str:
    """The name in DTYPES to compute in; ValueError for one that is not there.

    ``auto`` is fp16 on a GPU, bf16 on a CPU that multiplies it, else fp32. A CPU that only emulates
    bf16 would be slower with it, so that it gets fp32 and a line instead.
    """
    check_dtype(asked)
    if asked == AUTO:
        if device.type != "cpu":
            return "fp16"
        return "bf16" if cpu_has_bf16() else EXACT
    if asked not in DTYPES:
        raise ValueError(f"{asked} is for v2 networks on a CPU; choose auto, {', '.join(DTYPES)}")
    if asked == "bf16" and device.type == "cpu" and not cpu_has_bf16():
        _LOG.warning("this CPU has no bf16 arithmetic: the network runs in fp32")
        return EXACT
    return asked


def cpu_has_bf16() -> bool:
    """Does this CPU multiply bf16 itself (AVX512-BF16 or AMX)? No where torch cannot say."""
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)
