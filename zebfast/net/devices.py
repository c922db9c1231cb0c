"""Where a network runs, and which evaluator that takes; without torch where it can be without.

A v2 network on the CPU runs in the C core. v1 networks and GPUs want torch, which
``pip install 'zebfast[train]'`` brings.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zebfast.net.evaluator import Evaluator
from zebfast.net.networks import AnyConfig
from zebfast.net.precision import EXACT
from zebfast.net.v2 import V2Config

_LOG = logging.getLogger(__name__)
CPU, CUDA = "cpu", "cuda"
DEVICE = re.compile(r"cpu|cuda(:\d+)?")
#: Files that drivers of GPUs make: without one of them no GPU answers.
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/nvmap")


class NeedsTorch(RuntimeError):
    """What was asked for runs on torch, which is not installed; one sentence."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}, which is not installed here: pip install 'zebfast[train]'")


def require_torch(what: str) -> None:
    """NeedsTorch where torch is missing; ``what``: "... need torch", for its sentence."""
    try:
        import zebfast.net.torch.runtime  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise NeedsTorch(what) from None


def is_there(device: str) -> bool:
    """Is this device (of the form that DEVICE has) on this machine? NeedsTorch to ask for a GPU."""
    if device == CPU:
        return True
    require_torch(f"device {device!r} needs torch")
    from zebfast.net.torch.runtime import n_gpus

    return int(device.partition(":")[2] or 0) < n_gpus()


def default_device() -> str:
    """The GPU where there is one that torch can use, else the CPU.

    torch is only asked where the machine has the driver of a GPU: that takes seconds.
    """
    if not any(Path(path).exists() for path in _DRIVERS):
        return CPU
    try:
        require_torch("the GPU of this machine needs torch")
    except NeedsTorch as error:
        _LOG.info(f"{error}; networks run on the CPU")
        return CPU
    from zebfast.net.torch.runtime import n_gpus

    return CUDA if n_gpus() else CPU


def open_evaluator(
    config: AnyConfig,
    weights: Mapping[str, Any],
    *,
    device: str = CPU,
    dtype: str = EXACT,
    threads: int | None = None,
) -> Evaluator[Any]:
    """The evaluator of this network on ``device`` (``cpu``, ``cuda``, ``cuda:N``) in ``dtype``.

    ``dtype``: one of `precision.DTYPES`, or ``auto``: the fastest whose answers agree with fp32.
    ``threads``: see `Evaluator.use_threads`; None leaves them as they are.
    ValueError for an unknown dtype or weights that do not fit ``config``; DeviceMissing for a GPU
    that is not there; NeedsTorch.
    """
    if device == CPU and isinstance(config, V2Config):
        from zebfast.net.cpu import CpuEvaluator

        return CpuEvaluator(config, weights, dtype=dtype)
    of_what = f"{config.tokenizer} networks need" if device == CPU else f"device {device!r} needs"
    require_torch(f"{of_what} torch")
    from zebfast.net.torch.evaluator import TorchEvaluator
    from zebfast.net.torch.runtime import use_threads

    if threads is not None:  # before anything is computed: threads of more would go on spinning
        use_threads(threads)
    return TorchEvaluator(config, weights, device=device, dtype=dtype)
