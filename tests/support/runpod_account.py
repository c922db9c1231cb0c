"""An account at the loopback RunPod, what a fleet wants of it, and what it orders there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.servers.runpod import Gpu, RunPodServer
from zebfast.fleet.model import Launch, Offer, Spec

FLEET = "zeb-evening-selfplay"
SECRET = "hf_SECRETSECRETSECRET"
TYPE = "NVIDIA GeForce RTX 3060"
SPEC = Spec(fleet=FLEET, experiment="evening", role="selfplay", n=2, max_price_per_hour=0.3)
OFFER = Offer(provider="runpod", id=f"{TYPE}/community", gpu="RTX 3060", price_per_hour=0.1)
LAUNCH = Launch(
    label=f"{FLEET}/0a1b2c3d",
    command="set -e\necho \"it's\" 'here'\n",
    env={
        "HF_TOKEN": SECRET,
        "ODD": 'two "words"\nand a back\\slash, {braces}, $HOME, tab\t, é and 🁫',
    },
    image="pytorch/pytorch:2.13.0",
    disk_gb=15.5,
)


@contextmanager
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPodServer]:
    """The service with four GPU types, one of which is rented out; clients are led to it."""
    gpus = {
        TYPE: Gpu("RTX 3060", community=0.1, secure=0.2),
        "NVIDIA GeForce RTX 4090": Gpu("RTX 4090", community=0.34, secure=0.69),
        "NVIDIA A100 80GB PCIe": Gpu("A100 PCIe", community=0.25),
        "NVIDIA RTX A4000": Gpu("RTX A4000"),
    }
    with RunPodServer(gpus=gpus) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
