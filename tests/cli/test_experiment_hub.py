"""An experiment over the loopback Hub: every command as a program with the real client."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import many_workers
import numpy as np
import pytest
from experiments import QUICK
from hub import TOKEN, Hub, running_hub
from quick import tiny_checkpoint
from web_server import Client

from zebfast.net import checkpoint as checkpoints

PACE = ("--push-seconds", "0", "--poll-seconds", "0.2", "--retry-seconds", "0.1")
Done = subprocess.CompletedProcess[str]
#: Secrets of an environment, beside the token of the Hub.
MARKERS = {
    "WANDB_API_KEY": "0123456789abcdef" * 2 + "markers!",
    "AWS_SECRET_ACCESS_KEY": "aMarkerOfAmazons",
    "ZEB_NOTIFY_URL": "http://127.0.0.1:9/hooks/aMarkerOfTheHook",
}


class Machine:
    """A machine of its own: home, caches and working directory; one Hub for all of them."""

    def __init__(self, hub: Hub, home: Path) -> None:
        home.mkdir()
        root = Path(__file__).resolve().parents[2]
        self._cwd = home
        self._env = hub.env(
            HOME=str(home), HF_HOME=str(home / "hf"), PYTHONPATH=str(root), **MARKERS
        )
        self.said: list[str] = []

    @property
    def files(self) -> list[Path]:
        return [path for path in self._cwd.rglob("*") if path.is_file()]

    def run(self, *arguments: str, **env: str) -> Done:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self._cwd, env=self._env | env, capture_output=True,
            text=True, timeout=300,
        )  # fmt: skip
        self.said += [done.stdout, done.stderr]
        return done

    def zebfast(self, *arguments: str, code: int = 0, **env: str) -> Done:
        done = self.run("-m", "zebfast", *arguments, **env)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    @contextmanager
    def dashboard(self) -> Iterator[Callable[[], Any]]:
        """A dashboard as a program; gives what it says of the experiment."""
        server = subprocess.Popen(
            [sys.executable, "-m", "zebfast", "experiment", "dashboard", "first"], cwd=self._cwd,
            env=self._env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            where, _, token = server.stdout.readline().strip().partition("/run/first?token=")
            port = int(where.rpartition(":")[2])
            client = Client(port, f"zebfast-{port}={token}")
            yield lambda: client.get("/api/run/first").json
        finally:
            server.send_signal(signal.SIGINT)
            _, said = server.communicate(timeout=20)
            self.said.append(said)
        assert (server.returncode, "Traceback" in said) == (130, False)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.zebfast("experiment", "status", "first", "--json").stdout
        )
        return found

    def checkpoint(self, name: str) -> checkpoints.Checkpoint:
        return checkpoints.load(self._cwd / name)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hf")) as running:
        yield running


@pytest.fixture(scope="module")
def rig(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The learner's machine, after an experiment has published a few versions."""
    home = tmp_path_factory.mktemp("machines") / "rig"
    machine = Machine(hub, home)
    tiny_checkpoint(home / "tiny.pt")
    machine.zebfast("experiment", "create", "first", "--repo-id", "me/w", "--examples-repo-id",
                    "me/x", "--from", "tiny.pt", "--", *QUICK, *PACE)  # fmt: skip
    work = machine.run(many_workers.__file__, "me/x", "first", str(home / "spool"), "2", "1", "0.5")
    assert work.returncode == 0, work.stderr
    done = machine.zebfast("experiment", "learn", "first", "--stage", "selfplay", "--max-cycles",
                           "3")  # fmt: skip
    assert "Bootstrapped" in done.stdout
    assert "Cycle    3" in done.stdout
    return machine


def test_status_on_the_learners_machine_and_elsewhere(
    rig: Machine, hub: Hub, tmp_path: Path
) -> None:
    found = rig.status()
    assert found["problems"] == ["learner"]
    assert found["published_step"] == found["learner"]["cycle"] == 3
    assert found["streams"][0]["n_workers"] == 2
    assert {worker["source"] for worker in found["workers"]} == {"selfplay-mcts"}
    laptop = Machine(hub, tmp_path / "laptop")
    laptop.zebfast("experiment", "create", "first", "--repo-id", "me/w", "--examples-repo-id",
                   "me/x", "--existing")  # fmt: skip
    seen = laptop.status()
    assert (seen["learner"]["cycle"], seen["learner"]["games"]) == (3, found["published_games"])
    assert seen["learner"]["policy_loss"] == pytest.approx(found["learner"]["policy_loss"])
    with laptop.dashboard() as asked:
        while (shown := asked())["look"] is None or not shown["look"].get("looked"):
            time.sleep(0.05)
    look = shown["look"]
    assert (look["trouble"], look["learner"]["cycle"], look["games"]) == (
        "", 3, found["published_games"],
    )  # fmt: skip
    assert len(look["workers"]) == len(found["workers"])
    assert shown["curves"]["first"]["n"] == 0, "the metrics are on the learner's machine"


def test_a_new_namespace_must_be_new(rig: Machine) -> None:
    done = rig.zebfast("experiment", "create", "first", "--repo-id", "me/w", "--examples-repo-id",
                       "me/x", "--size", "small", "--experiments-dir", "other", code=2)  # fmt: skip
    assert "has weights for namespace 'first' already (step 3)" in done.stderr


def test_warm_start_from_an_earlier_revision(rig: Machine) -> None:
    revisions = json.loads(rig.zebfast("experiment", "revert", "first", "--list", "--json").stdout)
    steps = {revision["title"]: revision["id"] for revision in revisions}
    [first] = [id for title, id in steps.items() if title.startswith("first step 0,")]
    place = ("--from-hub", "me/w", "--weights-name", "first")
    by = {"by-step.pt": "0", "by-start.pt": first[:9]}
    for name, revision in by.items():
        rig.zebfast("init", *place, "--revision", revision, "-o", name)
    one, two = (rig.checkpoint(name) for name in by)
    assert all(np.array_equal(one.weights[name], two.weights[name]) for name in one.weights)
    origin = one.provenance["warm_start"]
    assert (origin["step"], origin["revision"]) == (0, first)
    missing = rig.zebfast("init", *place, "--revision", "no-such", "-o", "x.pt", code=1)
    assert "me/w has no such revision" in missing.stderr


def test_revert_to_a_revision(rig: Machine) -> None:
    refused = rig.zebfast("experiment", "revert", "first", "--to", "0", code=2)
    assert "--yes" in refused.stderr
    done = rig.zebfast("experiment", "revert", "first", "--to", "0", "--yes", "--json")
    plan = json.loads(done.stdout)
    assert (plan["from_step"], plan["step"], plan["to_step"]) == (3, 4, 0)
    rig.zebfast("init", "--from-hub", "me/w", "--weights-name", "first", "-o", "now.pt")
    now, start = rig.checkpoint("now.pt"), rig.checkpoint("tiny.pt")
    assert all(np.array_equal(now.weights[name], start.weights[name]) for name in now.weights)
    went_on = rig.zebfast("experiment", "learn", "first", "--stage", "selfplay", "--max-cycles",
                          "1")  # fmt: skip
    assert "Cycle    5" in went_on.stdout
    assert rig.status()["published_games"] == plan["total_games"] > 0


def test_a_hub_that_is_away_is_a_finding_not_an_end(rig: Machine, hub: Hub) -> None:
    hub.control(down=True)
    try:
        found = rig.status()
        refused = rig.zebfast("experiment", "revert", "first", "--to", "tiny.pt", "--yes", code=1)
    finally:
        hub.control(down=False)
    assert {"weights place", "examples place"} <= set(found["problems"])
    assert found["learner"]["cycle"] is not None, "what this machine knows is still shown"
    assert refused.stderr.strip().splitlines()[-1].startswith("error: ")


def test_a_revoked_token_is_one_sentence(rig: Machine, hub: Hub) -> None:
    hub.control(tokens={})
    try:
        done = rig.zebfast("experiment", "create", "second", "--repo-id", "me/w",
                           "--examples-repo-id", "me/x", "--size", "small", code=1)  # fmt: skip
    finally:
        hub.control(tokens={"hf_aMarkerThatNothingMayShow": "write"})
    assert "token" in done.stderr


def test_an_address_with_a_password_is_not_shown(rig: Machine) -> None:
    away = {"HF_ENDPOINT": "http://somebody:aMarkerOfTheProxy@127.0.0.1:1"}
    checks = rig.zebfast("experiment", "status", "first", **away).stdout
    assert "weights place" in checks
    rig.zebfast("experiment", "revert", "first", "--to", "tiny.pt", "--yes", code=1, **away)
    online = rig.run("-m", "zebfast", "doctor", "--online", **away)
    assert "http://***@127.0.0.1:1 does not answer" in online.stdout
    assert "aMarkerOfTheProxy" not in "".join(rig.said)


def test_no_secret_is_in_any_file_or_word(rig: Machine) -> None:
    """Of all that the tests before have had this machine say and write."""
    assert len(rig.files) > 10
    secrets = (TOKEN, "aMarkerOfTheProxy", *MARKERS.values())
    for secret in secrets:
        assert not [text for text in rig.said if secret in text]
        assert not [path for path in rig.files if secret.encode() in path.read_bytes()]
