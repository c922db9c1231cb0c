"""Can a worker live on this machine? A plain verdict on what most often keeps one from it."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIN_OPEN_FILES = 1024
_GIB = 2**30
_SMI = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
_SMI_SECONDS = 30.0  # a driver that hangs is no driver
_NOT_INSTALLED = "torch is not installed"
_CUDA = re.compile(r"CUDA Version:\s*(\d+)\.(\d+)")


@dataclass(frozen=True)
class HostCheck:
    """One line: what was looked at, is it good enough, what was found; ``fix`` where it is not."""

    name: str
    ok: bool
    found: str
    fix: str = ""

    def __str__(self) -> str:
        words = f"{'ok ' if self.ok else 'bad'}  {self.name}: {self.found}"
        return words if self.ok else f"{words}; {self.fix}"


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """What was found on a machine.

    Attributes:
        gpu, driver: as nvidia-smi has them; None where it does not answer.
        driver_cuda: newest CUDA that the driver runs, (major, minor).
        torch_cuda: CUDA that torch was built with; None for a torch without, or no torch.
        torch_device: name of the GPU on which torch has just calculated, None if it could not.
        torch_error: why not.
        disk, memory: free disk where the worker runs, and memory of the machine, in GiB.
        open_files: the limit, after it was raised as far as it goes.
    """

    gpu: str | None
    driver: str | None
    driver_cuda: tuple[int, int] | None
    torch_cuda: str | None
    torch_device: str | None
    torch_error: str
    disk: float
    memory: float
    open_files: int


def look(directory: Path, *, allow_cpu: bool = False) -> HostFacts:
    """Look at this machine; raises this process's limit of open files. No other lasting effect.

    Args:
        allow_cpu: where there is no GPU, torch need not say so; to import it takes seconds, which
            many tasks that begin on one node at once pay together.
    """
    listed, header = _output(_SMI), _CUDA.search(_output(_SMI[:1]))
    gpu, _, driver = listed.partition("\n")[0].rpartition(", ")
    is_asked = gpu or not allow_cpu
    torch_cuda, device, error = _torch_on_gpu() if is_asked else (None, None, "")
    return HostFacts(
        gpu=gpu or None,
        driver=driver or None,
        driver_cuda=(int(header[1]), int(header[2])) if header else None,
        torch_cuda=torch_cuda,
        torch_device=device,
        torch_error=error,
        disk=shutil.disk_usage(directory).free / _GIB,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB,
        open_files=raise_file_limit(),
    )


def checks(
    facts: HostFacts, *, allow_cpu: bool, min_disk: float, min_memory: float
) -> Iterator[HostCheck]:
    """A line for each thing; ``min_disk`` and ``min_memory`` are GiB."""
    if facts.gpu is None and allow_cpu:
        yield HostCheck("GPU", True, "none; the CPU is allowed")
    else:
        yield HostCheck(
            "GPU", facts.gpu is not None, facts.gpu or "nvidia-smi names none",
            "take a machine with an NVIDIA GPU, or give --allow-cpu",
        )  # fmt: skip
        yield _driver(facts)
        yield _torch(facts)
    yield HostCheck(
        "disk", facts.disk >= min_disk, f"{facts.disk:.1f} GiB free",
        f"a worker wants {min_disk:g}: rent more disk, or free some",
    )  # fmt: skip
    yield HostCheck(
        "memory", facts.memory >= min_memory, f"{facts.memory:.1f} GiB",
        f"a worker wants {min_memory:g}: take a larger machine",
    )  # fmt: skip
    yield HostCheck(
        "open files", facts.open_files >= MIN_OPEN_FILES, f"limit {facts.open_files:,}",
        f"start it with a hard limit of at least {MIN_OPEN_FILES:,} (ulimit -Hn)",
    )  # fmt: skip


def _driver(facts: HostFacts) -> HostCheck:
    """Within one major version of CUDA, older drivers run newer builds."""
    found = f"{facts.driver or 'none'}"
    if facts.driver_cuda is not None:
        found += f", runs CUDA {facts.driver_cuda[0]}.{facts.driver_cuda[1]}"
    if facts.torch_cuda is None or facts.driver_cuda is None:
        return HostCheck("driver", facts.driver is not None, found, "install the NVIDIA driver")
    need = int(facts.torch_cuda.partition(".")[0])
    return HostCheck(
        "driver", facts.driver_cuda[0] >= need, f"{found}, torch has CUDA {facts.torch_cuda}",
        f"take a machine whose driver runs CUDA {need}, or a torch built for an older one",
    )  # fmt: skip


def _torch(facts: HostFacts) -> HostCheck:
    if facts.torch_device is not None:
        return HostCheck("torch", True, f"calculates on {facts.torch_device}")
    fix = "install a CUDA build of torch" if facts.torch_cuda is None else "take another machine"
    if facts.torch_error == _NOT_INSTALLED:
        fix = "pip install 'zebfast[train]'"
    return HostCheck("torch", False, f"cannot use the GPU ({facts.torch_error})", fix)


def raise_file_limit() -> int:
    """Raise this process's limit of open files as far as it may, and return it."""
    soft, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    except (OSError, ValueError):  # some kernels refuse "no limit"
        limit = soft
    return 1 << 30 if limit == resource.RLIM_INFINITY else limit


def _output(command: tuple[str, ...]) -> str:
    """What a program prints; nothing where it is not there, fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SMI_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _torch_on_gpu() -> tuple[str | None, str | None, str]:
    """CUDA of torch, the GPU it has just calculated on, and why there is none."""
    try:
        from zebfast.net.torch import runtime
    except ModuleNotFoundError:
        return None, None, _NOT_INSTALLED
    except ImportError as error:
        return None, None, f"{error}"
    return runtime.cuda_version(), *runtime.calculate()
