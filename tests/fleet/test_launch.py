"""The start command: short, quoted, without secrets, and what it installs."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from launches import hub_experiment

from zebfast.exchange import Place
from zebfast.fleet.health import failure_in
from zebfast.fleet.launch import MAX_LETTERS, launch_env, requirement, start_command
from zebfast.fleet.model import Spec
from zebfast.fleet.provider import ProviderError
from zebfast.selfplay.producer_kinds import Role
from zebfast.system.events import Ended, from_line


def spec(role: Role = "selfplay", **changes: Any) -> Spec:
    return Spec(fleet=f"zeb-first-{role}", experiment="first", role=role, n=4, **changes)


def test_a_machine_installs_checks_itself_and_keeps_a_worker_going(tmp_path: Path) -> None:
    wanted = spec(package="zebfast==0.1.0", upload_interval=252.0, worker_args=("--dtype", "fp16"))
    script = start_command(wanted, hub_experiment(tmp_path), "selfplay-3fa9c1d2")
    first, *_, package, pip, check, run = script.splitlines()
    assert (first, check) == ("set -e", "zebfast host check")
    assert package == "p='zebfast[hub,train]==0.1.0'"
    assert pip.startswith("PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install ")
    assert run == (
        "exec zebfast host run -- --repo-id me/weights --examples-repo-id me/examples "
        "--weights-name first --worker-id selfplay-3fa9c1d2 --upload-interval 252 --dtype fp16"
    )
    assert "--mode eval-aux" in start_command(
        spec("evalaux"), hub_experiment(tmp_path), "evalaux-1"
    )


@pytest.mark.parametrize("tokenizer", ["v1", "v2"])
@pytest.mark.parametrize("has_gpu", [False, True])
def test_torch_is_installed_where_it_is_needed(
    tmp_path: Path, tokenizer: str, has_gpu: bool
) -> None:
    site = hub_experiment(tmp_path, lineage={"kind": "fresh", "tokenizer": tokenizer})
    script = start_command(spec("recipe", package="zebfast==0.1.0"), site, "w")
    install = script[script.index("p=") : script.index("zebfast host check")]
    for name, does in (("nvidia-smi", f"exit {int(not has_gpu)}"), ("python3", 'echo "$6"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", f"set -e\n{install}"], capture_output=True, text=True, check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    *said, asked = done.stdout.splitlines()
    small = tokenizer == "v2" and not has_gpu
    assert asked == ("zebfast[hub]==0.1.0" if small else "zebfast[hub,train]==0.1.0")
    assert said == (["no GPU here: installing without torch, which leaves out 0.9 GB and more"]
                    if small else [])  # fmt: skip


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_start_that_fails_says_so_as_an_event(tmp_path: Path, shell: str) -> None:
    script = start_command(spec(package="installed"), hub_experiment(tmp_path), "w")
    broken = f'zebfast() {{ echo "no GPU here"; return 7; }}\n{script}'
    done = subprocess.run([shell, "-c", broken], capture_output=True, text=True)
    assert done.returncode == 7
    words, line = done.stdout.splitlines()
    assert words == "no GPU here"
    event = from_line(line)
    assert isinstance(event, Ended)
    assert (event.program, event.code) == ("start", 7)
    assert failure_in(done.stdout) == "no GPU here"


def test_an_installation_that_breaks_off_is_no_refusal_of_flags(tmp_path: Path) -> None:
    """Pip ends with 2 after what it did not expect; a Job of Kubernetes would be over by that."""
    script = start_command(spec(), hub_experiment(tmp_path), "w").replace("sleep 15", ":")
    broken = "python3() { return 2; }\n" + script
    done = subprocess.run(["bash", "-c", broken], capture_output=True, text=True)
    assert done.returncode == 1
    event = from_line(done.stdout.splitlines()[-1])
    assert isinstance(event, Ended)
    assert (event.program, event.code) == ("start", 1)


def test_the_worker_takes_the_flags(tmp_path: Path) -> None:
    """In a shell, and then in the worker's own parser."""
    from zebfast.cli.worker import config_from_flags, worker

    site = hub_experiment(tmp_path, weights=Place.directory(tmp_path / "it's a $HOME; run"))
    script = start_command(spec("evalaux", package="installed"), site, "evalaux-1")
    show = 'zebfast() { [ "$2" = check ] || { shift 3; printf "%s\\n" "$@"; }; }\n'
    script = show + script.replace("exec zebfast", "zebfast")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    flags = worker.make_context("worker", done.stdout.splitlines()).params
    config, _ = config_from_flags({**flags, "device": "cpu"})
    assert (config.weights, config.examples) == (site.weights, site.examples)
    assert (config.worker_id, config.namespace) == ("evalaux-1", site.namespace)
    assert config.stores.upload_interval == 240.0


def test_places_on_this_machine_are_found_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    near = hub_experiment(
        tmp_path, weights=Place("directory", "run"), examples=Place("directory", "run/examples")
    )
    flags = shlex.split(start_command(spec(package="installed"), near, "w").splitlines()[-1])
    assert flags[flags.index("--weights-dir") + 1] == str(tmp_path / "run")
    assert flags[flags.index("--output-dir") + 1] == str(tmp_path / "run" / "examples")


@pytest.mark.parametrize(
    ("package", "extras", "asked"),
    [
        ("zebfast", (), "zebfast"),
        ("zebfast", ("hub",), "zebfast[hub]"),
        ("zebfast==0.1.0", ("hub",), "zebfast[hub]==0.1.0"),
        ("zebfast[wandb,hub] >= 0.1", ("hub",), "zebfast[wandb,hub] >= 0.1"),
        ("https://x.org/z.whl", ("hub",), "zebfast[hub] @ https://x.org/z.whl"),
        ("git+https://x.org/z@main", (), "zebfast @ git+https://x.org/z@main"),
    ],
)
def test_what_pip_is_asked_for(package: str, extras: tuple[str, ...], asked: str) -> None:
    assert requirement(package, extras) == asked


def test_a_file_is_asked_for_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = str(tmp_path / "dist" / "z.whl")
    assert requirement("dist/z.whl", ("hub",)) == f"{wanted}[hub]"
    assert requirement(wanted, ()) == wanted


def test_what_is_installed_is_left_alone(tmp_path: Path) -> None:
    assert "pip" not in start_command(spec(package="installed"), hub_experiment(tmp_path), "w")


def test_secrets_are_in_the_environment_alone(tmp_path: Path) -> None:
    site = hub_experiment(tmp_path)
    assert launch_env(site, hf_token="hf_secret") == {"HF_TOKEN": "hf_secret"}
    assert launch_env(site, hf_token=None) == {}
    here = Place.directory(tmp_path)
    assert launch_env(hub_experiment(tmp_path, weights=here, examples=here), hf_token="x") == {}


def test_no_script_is_longer_than_providers_take(tmp_path: Path) -> None:
    site = hub_experiment(tmp_path)
    assert len(start_command(spec(worker_args=("--seed", "1") * 20), site, "w")) < MAX_LETTERS
    with pytest.raises(ProviderError, match="fewer flags"):
        start_command(spec(worker_args=("--x",) * 1000), site, "w")
