"""torch in this process: its threads, and the GPUs that it can use."""

from __future__ import annotations

import torch


def use_threads(n: int) -> None:
    """Threads of an operator on the CPU, from now on."""
    torch.set_num_threads(n)


def threads() -> int:
    """Threads of an operator on the CPU."""
    return torch.get_num_threads()


def n_gpus() -> int:
    """GPUs that answer."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def cuda_version() -> str | None:
    """CUDA that torch was built with; None for a build for the CPU."""
    return torch.version.cuda


def gpu_name(device: str = "cuda") -> str:
    """As its maker calls it. RuntimeError if it does not answer."""
    return str(torch.cuda.get_device_name(device))


def gpu_gib(device: str = "cuda") -> float:
    """Memory of a GPU."""
    return float(torch.cuda.get_device_properties(device).total_memory / 2**30)


def gpu_facts(device: str) -> tuple[str | None, float | None]:
    """Name of the GPU, and the most MB that torch has held on it; None of one that has failed."""
    try:
        return gpu_name(device), round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    except RuntimeError:
        return None, None


def calculate() -> tuple[str | None, str]:
    """The GPU that has just calculated, and why there is none.

    A GPU may be listed and still refuse work: only a result shows that it does it.
    """
    if cuda_version() is None:
        return None, "it is built for the CPU"
    try:
        ones = torch.ones(64, 64, device="cuda")
        if float((ones @ ones).sum()) != 64.0**3:
            return None, "it miscalculates"
        return gpu_name(), ""
    except (RuntimeError, AssertionError) as error:
        return None, " ".join(str(error).split())[:200]
