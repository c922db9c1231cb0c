"""What this process may use of the machine it runs on, and what that machine is."""

from __future__ import annotations

import logging
import os
import platform
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import overload

_LOG = logging.getLogger(__name__)
_ADDRESS_OF = 0x8915  # SIOCGIFADDR


def usable_cores() -> int:
    """Cores this process may use; fewer than the machine has where an affinity limits it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@overload
def usable_threads(wanted: int) -> int: ...
@overload
def usable_threads(wanted: None) -> None: ...
@overload
def usable_threads(wanted: int | None) -> int | None: ...
def usable_threads(wanted: int | None) -> int | None:
    """As many threads as are wanted, but no more than cores, which is said; None stays None.

    Not only a person asks: a recipe does so for machines that it does not know.
    """
    if wanted is None or wanted <= usable_cores():
        return wanted
    _LOG.info(f"note: using {usable_cores()} threads, not {wanted}: there are no more cores")
    return usable_cores()


def interface_towards(host: str, port: int) -> str | None:
    """The network interface by which this machine reaches another; None where that is not told.

    Nothing is sent.
    """
    import fcntl

    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        own = socket.inet_aton(probe.getsockname()[0])
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has no address
                request = struct.pack("256s", name.encode()[:15])
                if fcntl.ioctl(probe.fileno(), _ADDRESS_OF, request)[20:24] == own:
                    return name
    return None


def cpu_model() -> str:
    """The processor's name as its maker has it, or at least its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def installed_version(distribution: str) -> str | None:
    """Version of an installed package by its metadata (nothing is imported), or None."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
