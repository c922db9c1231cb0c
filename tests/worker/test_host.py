"""The verdict on a machine: what is bad, and what to do about it."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from experiments import zebfast

from zebfast.worker import host
from zebfast.worker.host import HostFacts, checks, look, raise_file_limit

GOOD = HostFacts(
    gpu="NVIDIA GeForce RTX 3060", driver="550.54", driver_cuda=(12, 4), torch_cuda="12.6",
    torch_device="NVIDIA GeForce RTX 3060", torch_error="", disk=20.0, memory=16.0,
    open_files=1 << 20,
)  # fmt: skip
NO_GPU = replace(GOOD, gpu=None, driver=None, driver_cuda=None, torch_device=None, torch_error="x")


def bad(facts: HostFacts, *, allow_cpu: bool = False) -> dict[str, str]:
    found = checks(facts, allow_cpu=allow_cpu, min_disk=2.0, min_memory=2.0)
    return {verdict.name: str(verdict) for verdict in found if not verdict.ok}


def test_nothing_is_bad_on_a_good_machine() -> None:
    assert bad(GOOD) == {}
    first = next(checks(GOOD, allow_cpu=False, min_disk=2.0, min_memory=2.0))
    assert str(first) == "ok   GPU: NVIDIA GeForce RTX 3060"
    assert bad(NO_GPU, allow_cpu=True) == {}


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"gpu": None, "driver": None, "driver_cuda": None}, "GPU", "--allow-cpu"),
        ({"driver_cuda": (11, 8)}, "driver", "whose driver runs CUDA 12"),
        ({"driver": None, "driver_cuda": None}, "driver", "install the NVIDIA driver"),
        ({"torch_device": None, "torch_error": "out of memory"}, "torch", "(out of memory)"),
        ({"torch_device": None, "torch_cuda": None}, "torch", "install a CUDA build of torch"),
        (
            {"torch_device": None, "torch_cuda": None, "torch_error": "torch is not installed"},
            "torch",
            "zebfast[train]",
        ),
        ({"disk": 1.0}, "disk", "1.0 GiB free; a worker wants 2"),
        ({"memory": 1.0}, "memory", "larger machine"),
        ({"open_files": 256}, "open files", "ulimit -Hn"),
    ],
)
def test_what_is_bad_is_named_with_its_cure(changes: dict[str, Any], name: str, words: str) -> None:
    assert words in bad(replace(GOOD, **changes))[name]


def test_an_allowed_cpu_does_not_excuse_a_gpu_that_fails() -> None:
    assert "torch" in bad(replace(GOOD, torch_device=None, torch_error="dead"), allow_cpu=True)


def test_what_nvidia_smi_prints_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        "--query*) echo 'NVIDIA H100 80GB HBM3, 550.54.15'; echo 'NVIDIA L4, 550.54.15';;\n"
        "*) echo '| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4 |';;\n"
        "esac\n"
    )
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    facts = look(tmp_path)
    assert (facts.gpu, facts.driver, facts.driver_cuda) == (
        "NVIDIA H100 80GB HBM3", "550.54.15", (12, 4),
    )  # fmt: skip
    assert facts.disk > 0 < facts.memory


def test_a_driver_that_hangs_or_fails_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(host, "_SMI_SECONDS", 0.2)
    for deed in ("exec sleep 60", "echo 'NVIDIA-SMI has failed'; exit 9"):
        smi.write_text(f"#!/bin/sh\n{deed}\n")
        smi.chmod(0o755)
        assert look(tmp_path).gpu is None


def test_the_limit_of_open_files_is_raised() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        raised = raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
        assert raised >= 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_command_exits_with_its_verdict() -> None:
    good = zebfast("host", "check", "--allow-cpu", "--min-disk", "0", "--json")
    assert (good.exit_code, json.loads(good.stdout)["ok"]) == (0, True), good.output
    bad_one = zebfast("host", "check", "--allow-cpu", "--min-disk", "1e9")
    assert bad_one.exit_code == 1
    assert "bad  disk: " in bad_one.stdout
    assert bad_one.stderr == "error: a worker cannot live on this machine (disk)\n"
