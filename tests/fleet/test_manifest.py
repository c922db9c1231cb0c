"""Manifests for other engines: their text, and what each tool itself says of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import slurm_cluster
from click.testing import CliRunner
from launches import hub_experiment, near_experiment
from slurm_cluster import running_cluster

from zebfast.cli.main import cli
from zebfast.experiment.experiment import Experiment, write_new
from zebfast.fleet.launch import INSTALLED
from zebfast.fleet.manifest import ENGINES, manifest
from zebfast.fleet.model import Spec
from zebfast.fleet.provider import WrongSettings
from zebfast.fleet.task import Task

GOLDEN = Path(__file__).parent.parent / "golden" / "manifests"
TOKEN = "3fa9c1d2"
PLAIN = Spec(
    fleet="zeb-first-selfplay", experiment="first", role="selfplay", n=8, upload_interval=252.0,
    package="zebfast==0.1.0",
)  # fmt: skip
FULL = replace(
    PLAIN,
    interruptible=True,
    gpus=("RTX 3060", "L4"),
    budget_hours=12.0,
    task=Task(partition="main", gres="gpu:1", cpus=4, memory="8G", time="12:00:00"),
)
#: Of each engine, the package with its validator, and what takes manifests and fails at a fault.
VALIDATORS = {
    "kubernetes": (
        "kubernetes-validate==1.37.0",
        "import sys, yaml, kubernetes_validate\n"
        "for path in sys.argv[1:]:\n"
        "    for version in ('1.29', '1.31', '1.33', '1.37'):\n"
        "        kubernetes_validate.validate(yaml.safe_load(open(path)), version, strict=True)\n",
    ),
    "dstack": (
        "dstack==0.22.5",
        "import sys, yaml\n"
        "from dstack._internal.core.models.configurations import parse_apply_configuration\n"
        "for path in sys.argv[1:]:\n"
        "    parse_apply_configuration(yaml.safe_load(open(path)))\n",
    ),
    "skypilot": (
        "skypilot==0.14.1",
        "import sys, sky\nfor path in sys.argv[1:]:\n    sky.Task.from_yaml(path)\n",
    ),
}


@pytest.mark.parametrize("to", ENGINES)
def test_the_text(to: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    spec = replace(FULL, package=INSTALLED) if to == "slurm" else FULL
    name, text = manifest(to, spec, hub_experiment(tmp_path), token=TOKEN)
    text = text.replace(f"{Path(sys.executable).parent}", "/opt/zebfast/bin")
    path = GOLDEN / name
    if pytestconfig.getoption("renew_golden"):
        path.write_text(text)
    assert text == path.read_text()
    assert text.count(f'--worker-id selfplay-{TOKEN}-"$') == 1
    assert "hf_" not in text


@pytest.mark.parametrize("to", ENGINES)
def test_what_is_not_asked_for_is_left_to_the_engine(to: str, tmp_path: Path) -> None:
    _, text = manifest(to, PLAIN, hub_experiment(tmp_path), token=TOKEN)
    assert "gpu" not in text.replace("pytorch/pytorch", "").lower().replace("no gpu here", "")
    assert "ZEB_ALLOW_CPU" in text
    assert not any(word in text for word in ("spot: true", '"spot"', "tolerations", "memory"))
    _, near = manifest(to, PLAIN, near_experiment(tmp_path), token=TOKEN)
    assert "HF_TOKEN" not in near


def test_a_task_of_slurm_has_the_gpus_of_gres_and_no_others(tmp_path: Path) -> None:
    """As where a fleet submits it: without, the worker is told to do without."""
    for gres, is_told in (("", True), ("gpu:0", True), ("gpu:1", False)):
        spec = replace(PLAIN, package=INSTALLED, gpus=("L4",), task=Task(gres=gres))
        _, text = manifest("slurm", spec, near_experiment(tmp_path), token=TOKEN)
        assert ("ZEB_ALLOW_CPU=1" in text) == is_told, gres


def test_types_of_gpu_by_gres(tmp_path: Path) -> None:
    a100 = replace(PLAIN, task=Task(gres="gpu:a100:2"))
    _, text = manifest("skypilot", a100, hub_experiment(tmp_path), token=TOKEN)
    assert "    A100: 2\n" in text
    any_gpu = replace(PLAIN, task=Task(gres="gpu:2"))
    with pytest.raises(WrongSettings, match="SkyPilot takes no GPU without its type"):
        manifest("skypilot", any_gpu, hub_experiment(tmp_path), token=TOKEN)


@pytest.mark.parametrize(
    ("to", "good", "bad"),
    [
        ("slurm", "slurm 22.05.8", "slurm-wlm 18.08.5"),
        ("kubernetes", "Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", "v1.21.0"),
        ("dstack", "0.22.5", "0.18.1"),
        ("skypilot", "skypilot, version 0.14.1", "skypilot, version 0.9.2"),
    ],
)
def test_versions(to: str, good: str, bad: str) -> None:
    ENGINES[to].check(to, good)
    with pytest.raises(WrongSettings, match=rf"^{to} \d+\.\d+ may not know this manifest"):
        ENGINES[to].check(to, bad)
    with pytest.raises(WrongSettings, match="is no version of"):
        ENGINES[to].check(to, "latest")


Export = Callable[..., tuple[int, str, str]]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """Runs `zebfast fleet export first …` on a machine that has none of the tools."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def run(experiment: Experiment, *flags: str) -> tuple[int, str, str]:
        if not experiment.path.exists():
            write_new(experiment, None)
        where = ("--experiments-dir", str(tmp_path / "experiments"))
        done = CliRunner().invoke(cli, ["fleet", "export", "first", *where, *flags])
        return done.exit_code, done.stdout, done.stderr or str(done.exception)

    return run


def test_the_command(export: Export, tmp_path: Path) -> None:
    experiment = hub_experiment(tmp_path)
    code, text, _ = export(experiment, "--to", "kubernetes", "-n", "3", "--", "--dtype", "bf16")
    assert (code, "completions: 3" in text, "--dtype bf16" in text) == (0, True, True)
    code, text, said = export(experiment, "--to", "slurm", "--output", str(tmp_path / "out"))
    assert (code, text) == (0, "")
    assert "Wrote" in said
    assert (tmp_path / "out" / "zeb-first-selfplay.sbatch").read_text().startswith("#!/bin/bash\n")
    (tmp_path / "bin").mkdir()
    old = tmp_path / "bin" / "dstack"
    old.write_text("#!/bin/sh\necho 0.18.4\n")
    old.chmod(0o755)
    code, text, said = export(experiment, "--to", "dstack")
    assert (code, text) == (2, "")
    assert "dstack 0.18 may not know this manifest, which is for 0.20 to before 0.24" in said
    assert export(experiment, "--to", "dstack", "--tool-version", "0.22.5")[0] == 0


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--to", "nomad"), 2, "'nomad' is not one of 'slurm'"),
        (("--to", "dstack", "--tool-version", "0.1"), 2, "may not know this manifest"),
        (("--to", "dstack", "--time", "soon"), 2, "time is 'soon'"),
        (("--to", "skypilot", "--gres", "gpu:1"), 2, "takes no GPU without its type"),
        (("--to", "slurm", "--package", "x"), 2, "--package is for machines that start empty"),
        (("--to", "slurm", "--", "--worker-id", "x"), 2, "--worker-id is decided by the fleet"),
    ],
)
def test_what_cannot_be(
    export: Export, tmp_path: Path, flags: tuple[str, ...], code: int, words: str
) -> None:
    found, text, said = export(hub_experiment(tmp_path), *flags)
    assert (found, text) == (code, "")
    assert words in said


def test_machines_elsewhere_see_no_directory_of_this_one(export: Export, tmp_path: Path) -> None:
    code, _, said = export(near_experiment(tmp_path), "--to", "kubernetes")
    assert code == 1
    assert "machines of kubernetes cannot reach the directory" in said
    assert export(near_experiment(tmp_path), "--to", "slurm")[0] == 0


# --- What the tools say.


@pytest.fixture
def both(tmp_path: Path) -> Callable[[str], list[Path]]:
    """Writes the plain and the full manifest for an engine."""

    def write(to: str) -> list[Path]:
        paths = []
        for which, spec in (("plain", PLAIN), ("full", FULL)):
            name, text = manifest(to, spec, hub_experiment(tmp_path), token=TOKEN)
            paths.append(tmp_path / f"{which}.{name}")
            paths[-1].write_text(text)
        return paths

    return write


@pytest.mark.slow
@pytest.mark.parametrize("to", VALIDATORS)
def test_its_own_validator_takes_it(
    to: str, both: Callable[[str], list[Path]], tmp_path: Path
) -> None:
    """Each in an environment of its own: SkyPilot wants another click than we do."""
    package, code = VALIDATORS[to]
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
    installed = subprocess.run(pip, capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"pip cannot install {package} here: {installed.stderr.strip()[-200:]}")
    paths = both(to)
    (tmp_path / "broken").write_text(paths[0].read_text().replace("image", "imagine"))
    env = os.environ | {"HOME": str(tmp_path)}
    command = [str(python), "-c", code]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    broken = subprocess.run([*command, tmp_path / "broken"], capture_output=True, env=env)
    assert broken.returncode != 0, "it says nothing of a key that there is not"


@pytest.mark.slow
@pytest.mark.skipif(slurm_cluster.missing() is not None, reason=str(slurm_cluster.missing()))
def test_slurm_takes_it(both: Callable[[str], list[Path]], tmp_path: Path) -> None:
    plain, full = both("slurm")
    text = full.read_text().replace("#SBATCH --gres=gpu:1\n", "").replace("8G", "100M")
    full.write_text(text.replace("--cpus-per-task=4", "--cpus-per-task=1"))
    with running_cluster(tmp_path / "cluster") as cluster:
        for path in (plain, full):
            assert "to start at" in cluster.run("sbatch", "--test-only", str(path))
        full.write_text(full.read_text().replace("--partition=main", "--partition=none"))
        assert "invalid partition" in cluster.run("sbatch", "--test-only", str(full))
