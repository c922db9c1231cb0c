"""A bad night of a real fleet of four: one machine each is killed, frozen, full, and mad."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator

import pytest
from fleet_site import LEARNER, PLACES, SELF_PLAY, FleetSite, fleet_site
from hub import HubClient

from zebfast.exchange import example_name
from zebfast.experiment.experiment import read_experiment
from zebfast.fleet.launch import INSTALLED, start_command
from zebfast.fleet.local import LocalProvider
from zebfast.fleet.model import Launch, Spec, new_label, worker_id_of

NAME = "night"
LABEL = f"zeb-{NAME}-selfplay"
PATIENCE = 30  # seconds that the fleet waits for work of a machine
UPLOADS = ("--upload-interval", "2")
FLEET = ("--provider", "local", *UPLOADS, "--setup-minutes", "3",
         "--stall-minutes", str(PATIENCE / 60), "--yes")  # fmt: skip
#: A small disk of its own for all that a worker keeps, which is filled when somebody says so.
SMALL_DISK = """
mkdir own && mount -t tmpfs -o size=2m tmpfs own && export HOME="$PWD/own"
(until [ -e fill ]; do sleep 0.2; done; dd if=/dev/zero of=own/junk bs=1k) &
"""
SPEAK = """
from huggingface_hub import CommitOperationAdd, HfApi
adds = [CommitOperationAdd(path, text.encode()) for path, text in files.items()]
HfApi().create_commit("me/zeb-examples", repo_type="dataset", operations=adds, commit_message="!")
"""


@pytest.fixture
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetSite]:
    """A machine with an account, and an empty Hub."""
    with fleet_site(tmp_path_factory.mktemp("night"), NAME) as site:
        yield site


@pytest.mark.slow
def test_back_to_four_after_a_bad_night(night: FleetSite) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no disk of one's own (unshare -rm)")
    night.zebfast("experiment", "create", NAME, *PLACES, "--size", "small", "--no-wandb",
                  "--", *LEARNER)  # fmt: skip
    night.learn("selfplay")
    night.wait_for("learner", "^Bootstrapped")
    full = machine_with_a_small_disk(night)
    night.fleet("up", "-n", "4", *FLEET, "--", *SELF_PLAY)  # adopts it, and rents three
    night.monitor()
    everyone = night.until_play("selfplay", 4)
    killed, frozen, mad = sorted(everyone - {full})

    began = time.monotonic()
    night.machine(killed).vanish()
    night.machine(frozen).freeze()
    (night.machine(full).home / "fill").touch()
    night.machine(mad).freeze()
    garbage = speak_nonsense(night, worker_id_of(mad, "selfplay"))
    night.until_play("selfplay", 4, without=frozenset(everyone))
    print(f"back to four after {time.monotonic() - began:.0f} s; {PATIENCE} s are patience")
    said = night.log("monitor").read_text()
    assert all(f"destroy {label}" in said for label in everyone)
    assert "is full" in night.machine(full).log

    night.fleet("down", "--yes")
    assert not any(machine.processes() for machine in night.machines())
    night.wait_for("learner", "moved to bad/")
    night.end("learner")
    games = night.wait_for("learner", r"^Stopped after .*\(([\d,]+) games\)")[1]
    assert int(games.replace(",", "")) == night.games_on_the_hub(without=(garbage,))
    assert "Traceback" not in night.log("monitor").read_text()


def machine_with_a_small_disk(night: FleetSite) -> str:
    """Start one behind the fleet's back; its label."""
    label = new_label(LABEL, "f0110000")
    experiment = read_experiment(night.root / "experiments" / NAME)
    spec = Spec(fleet=LABEL, experiment=NAME, role="selfplay", n=4, package=INSTALLED,
                worker_args=SELF_PLAY, upload_interval=2.0)  # fmt: skip
    script = SMALL_DISK + start_command(spec, experiment, worker_id_of(label, "selfplay"))
    env = {key: text for key, text in night.env.items() if os.environ.get(key) != text}
    provider = LocalProvider(experiment.directory / "fleet" / "local")
    launch = Launch(label=label, command=f"exec unshare -rm bash -c {shlex.quote(script)}",
                    env=env, image="", disk_gb=1.0)  # fmt: skip
    provider.create(provider.offers(spec)[-1], launch)
    return label


def speak_nonsense(night: FleetSite, worker: str) -> str:
    """In the name of a worker: heartbeats that are none, and a file without examples; its name."""
    client = HubClient(night.env)
    name = example_name(worker, time.time())
    heartbeats = ("{nonsense", '{"worker_id": "somebody-else"}', '["batch", 1e999]')
    for number, heartbeat in enumerate(heartbeats):
        files = {f"{NAME}/heartbeats/{worker}.json": heartbeat}
        if number == 0:
            files[f"{NAME}/{name}"] = "no tensors"
        client.do(SPEAK, files=files)
    client.kill()
    return name
