"""What every record says of itself: when, on which commit and machine, and by which command."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from generated import ROOT

import zebfast
from zebfast.system.machine import cpu_model, usable_cores

LIBRARIES = ("numpy", "torch", "safetensors", "cython", "pytest-benchmark")


def origin(tool: str, command: Sequence[str]) -> dict[str, Any]:
    """The first entries of a new record; `runs` holds this run, to which others may be added.

    tool: as a person types it, in place of the first word of `command`.
    """
    now, machine_here = stamp(), here()
    return {
        **now,
        "machine": machine_here,
        "versions": versions(),
        "runs": [{**now, "machine": machine_here, "command": _shown(tool, command)}],
    }


def stamp() -> dict[str, Any]:
    """When this is, and which source it is measured with."""
    now = datetime.now(UTC)
    return {
        "date": now.strftime("%Y-%m-%d"),
        "time": now.strftime("%H:%M:%S"),
        "commit": _git("rev-parse", "HEAD") or None,
        "dirty": bool(_git("status", "--porcelain")),
    }


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def here() -> dict[str, Any]:
    """This machine, as `machine` says it."""
    return machine(
        {
            "cpu": {"brand_raw": cpu_model()},
            "system": platform.system(),
            "machine": platform.machine(),
            "python_version": platform.python_version(),
        }
    )


def machine(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader needs to judge figures, from what pytest-benchmark says; no host name."""
    cpu = info.get("cpu", {})
    found = {
        "cpu": cpu.get("brand_raw", info.get("processor") or "unknown"),
        "cores": usable_cores(),
        "system": f"{info['system']} {info['machine']}",
        "python": info["python_version"],
    }
    try:
        import torch
    except ImportError:
        return found
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name(0)
    return found


def versions() -> dict[str, str]:
    """Versions of this program and of what the figures depend on, where it is installed."""
    found = {"zebfast": zebfast.__version__}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _shown(tool: str, command: Sequence[str]) -> str:
    """A command line without the folders of this machine."""
    words = [without_folders(word) for word in command[1:]]
    quoted = [f"'{word}'" if re.search(r"[\s;&|<>*?()]", word) else word for word in words]
    return " ".join([tool, *quoted])


def without_folders(text: str) -> str:
    """A spec or an argument with bare names of files."""
    return re.sub(r"[^=,:\s]*/", "", text)
