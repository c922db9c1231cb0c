"""What this process may use of the machine it runs on, and what that machine is."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def usable_cores() -> int:
    """Cores this process may use; fewer than the machine has where an affinity limits it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name as its maker has it, or at least its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def gpu_model(device: str) -> str | None:
    """Name of the GPU that torch calls ``device``; None for the CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.get_device_name(device)


def machine_facts(device: str) -> dict[str, str | int | None]:
    """What decides how fast a command runs on ``device``: cpu, cores, gpu, torch, zebfast."""
    import torch

    import zebfast

    return {
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "gpu": gpu_model(device),
        "torch": str(torch.__version__),
        "zebfast": zebfast.__version__,
    }
