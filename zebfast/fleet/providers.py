"""The providers by name; each client library is imported only when its provider is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zebfast.fleet.provider import AnyProvider, ProviderError

NAMES = ("vast", "runpod", "local", "slurm")


def open_provider(
    name: str,
    *,
    keys: Mapping[str, str],
    directory: Path,
    urls: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AnyProvider:
    """The provider of this name; nothing is asked of it yet.

    Args:
        keys: secret of each provider that needs one, read from the environment by ``cli/``.
        urls: address of a provider that is to be asked elsewhere than at its own; only ``vast``
            heeds it, RunPod's client looks for its own variable.
        directory: where what is one's own keeps its files, each in a folder of its name: the local
            provider what it knows of its processes, slurm the logs of its tasks.
        environment: of this process; slurm's programs inherit it.

    Raises:
        ProviderError: no such provider, or its key is missing; WrongSettings where the programs
            of Slurm are not on the path.
        ModuleNotFoundError: its client library is not installed.
    """
    if name == "local":
        from zebfast.fleet.local import LocalProvider

        return LocalProvider(directory / name)
    if name == "slurm":
        from zebfast.fleet.slurm import SlurmProvider

        return SlurmProvider(directory / name, environment or {})
    if name not in NAMES:
        raise ProviderError(f"there is no provider {name!r}: expected one of {', '.join(NAMES)}")
    if not keys.get(name):
        variable = {"vast": "VAST_API_KEY", "runpod": "RUNPOD_API_KEY"}[name]
        raise ProviderError(f"no key for {name}: set {variable} to a key of that account")
    if name == "vast":
        from zebfast.fleet.vast import VastProvider

        return VastProvider(keys[name], server_url=(urls or {}).get("vast") or None)
    from zebfast.fleet.runpod import RunPodProvider

    return RunPodProvider(keys[name])
