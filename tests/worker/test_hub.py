"""Workers against the loopback Hub with the real client: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import TOKEN, Hub, HubClient, running_hub
from workers import child_of, finish, games_of, wait_for_line

from zebfast.exchange import parse_example_name
from zebfast.exchange.heartbeat import Heartbeat, parse_heartbeat
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import Examples

PUBLISH = """
from zebfast.net import checkpoint
from zebfast.net.v1 import SIZES
made = checkpoint.fresh(SIZES["small"], seed=0)
store = weights("me/weights", "exp", home)
store.publish(made.weights, made.config.to_dict(), {"step": step, "total_games": 0})
"""
PLAIN = ("--repo-id", "me/weights", "--weights-name", "exp", "--device", "cpu", "--threads", "1",
         "--games-per-batch", "8", "--retry-seconds", "0.2", "--seed", "1")  # fmt: skip
SELFPLAY = ("zebfast.worker", "--n-parallel-games", "8", "--n-simulations", "2")
EVAL_AUX = ("zebfast.worker.eval_aux", "--n-samples", "2")


class Fleet:
    """Starts workers on this machine whose network, if any, is the Hub's."""

    def __init__(self, hub: Hub, root: Path) -> None:
        self.hub, self.root = hub, root
        self.running: list[subprocess.Popen[str]] = []

    def publish(self, step: int = 0) -> None:
        client = HubClient(self.hub.env())
        try:
            client.do(PUBLISH, home=str(self.root / "learner"), step=step)
        finally:
            client.kill()

    def supervise(self, *options: str) -> subprocess.Popen[str]:
        """The self-play worker under `zebfast host run`."""
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "zebfast", "host", "run", *options, "--", *PLAIN,
             "--examples-repo-id", "me/examples", *SELFPLAY[1:],
             "--state-dir", str(self.root / "state")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.hub.env(),
        )  # fmt: skip
        self.running.append(process)
        return process

    def heartbeat(self, *, timeout: float = 60.0) -> Heartbeat:
        """The worker's, as the Hub has it, where it may still be on its way."""
        name, deadline = "worker-0.json", time.monotonic() + timeout
        while (path := f"exp/heartbeats/{name}") not in self.hub.files("dataset:me/examples"):
            assert time.monotonic() < deadline, "no heartbeat has arrived"
            time.sleep(0.1)
        return parse_heartbeat(self._content(path), name)

    def start(
        self, module: str, *flags: str, to: tuple[str, str] = ("--examples-repo-id", "me/examples")
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", module, *PLAIN, *to, *flags,
             "--state-dir", str(self.root / "state")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.hub.env(),
        )  # fmt: skip
        self.running.append(process)
        return process

    def spooled(self) -> list[Path]:
        """Example files that wait on this machine."""
        return sorted((self.root / "state").glob("**/spool/*/*.safetensors"))

    def known(self) -> set[str]:
        """Names of the example files that are on the Hub or wait for it."""
        there = {Path(path).name for path in self.hub.files("dataset:me/examples")}
        return {name for name in there if parse_example_name(name)} | {
            path.name for path in self.spooled()
        }

    def uploaded(self) -> list[Examples]:
        """What lies in the examples repository, read as the learner reads it."""
        found = []
        for path in self.hub.files("dataset:me/examples"):
            if path.startswith("exp/") and parse_example_name(Path(path).name):
                local = self.root / Path(path).name
                local.write_bytes(self._content(path))
                found.append(read_examples(local))
        return found

    def _content(self, path: str) -> bytes:
        url = f"{self.hub.url}/datasets/me/examples/resolve/main/{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as reply:
            data: bytes = reply.read()
        return data


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with running_hub(tmp_path / "hf") as hub:
        fleet = Fleet(hub, tmp_path)
        yield fleet
        for process in fleet.running:
            process.kill()
            process.communicate()


def once(games: list[bytes], n: int) -> bool:
    """Are these n different games?"""
    return len(games) == len(set(games)) == n


def test_both_producers_upload_when_they_end(fleet: Fleet) -> None:
    """Although the interval is far from over."""
    fleet.publish()
    started = [fleet.start(*kind, "--max-batches", "2") for kind in (SELFPLAY, EVAL_AUX)]
    for process in started:
        code, out, err = finish(process)
        assert (code, err) == (0, "")
        assert "Pulling weights from" in out
    files = fleet.uploaded()
    assert sorted(file.source for file in files) == ["eval-eq-zeb"] * 2 + ["selfplay-mcts"] * 2
    assert once(games_of(files), 32)
    assert fleet.spooled() == []


def test_a_hub_that_takes_no_uploads_gets_them_later(fleet: Fleet) -> None:
    fleet.publish()
    fleet.hub.fault("datasets", action="drop", times=10**6)
    process = fleet.start(*SELFPLAY, "--upload-grace", "1")
    wait_for_line("batch 2:", process)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, out, err = finish(process)
    assert code == 143
    assert "Traceback" not in err  # lines of the client library's own retries may be there
    assert time.monotonic() - began < 30
    assert "files still waiting in" in out.splitlines()[-1]
    waiting = fleet.known()
    assert len(waiting) >= 2
    fleet.hub.control(faults=[])
    assert finish(fleet.start(*SELFPLAY, "--max-batches", "1"))[0] == 0
    assert fleet.spooled() == []
    assert waiting < fleet.known()
    files = fleet.uploaded()
    assert len(files) == len(waiting) + 1
    assert once(games_of(files), sum(file.n_games for file in files))


def test_kill_9_loses_and_doubles_no_file(fleet: Fleet) -> None:
    """Killed with some files uploaded, some waiting, and perhaps one on its way."""
    fleet.publish()
    known: set[str] = set()
    for number in (1, 2, 1):
        process = fleet.start(*SELFPLAY)
        wait_for_line(f"batch {number}:", process)
        process.kill()
        process.communicate()
        assert known < fleet.known()
        known = fleet.known()
    assert len(known) >= 4
    assert finish(fleet.start(*SELFPLAY, "--max-batches", "1"))[0] == 0
    assert fleet.spooled() == []
    files = fleet.uploaded()
    assert len(files) == len(known) + 1
    assert once(games_of(files), 8 * len(files))


def test_a_hub_that_is_down_at_the_start_is_waited_for(fleet: Fleet) -> None:
    fleet.publish()
    fleet.hub.control(down=True)
    process = fleet.start(*EVAL_AUX, "--max-batches", "1")
    wait_for_line("HF transient error (attempt 1/", process)
    wait_for_line("weights cannot be read yet (will retry)", process)
    fleet.hub.control(down=False)
    assert finish(process)[0] == 0
    assert once(games_of(fleet.uploaded()), 8)


def test_a_namespace_without_weights_is_named_and_waited_for(fleet: Fleet) -> None:
    fleet.publish()
    process = fleet.start(*SELFPLAY, "--weights-name", "other", "--max-batches", "1")
    assert "other.pt" in wait_for_line("waiting for the learner", process)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    assert fleet.uploaded() == []


def test_a_revoked_token_ends_the_worker_and_loses_nothing(fleet: Fleet) -> None:
    fleet.publish()
    process = fleet.start(*SELFPLAY, "--upload-interval", "0", "--upload-grace", "1")
    wait_for_line("batch 2:", process)
    fleet.hub.control(tokens={})
    code, _, err = finish(process)
    assert code == 1
    assert err.startswith("error: ")
    assert "token" in err
    assert "Traceback" not in err
    fleet.hub.control(tokens={TOKEN: "write"})
    assert finish(fleet.start(*SELFPLAY, "--max-batches", "1"))[0] == 0
    files = fleet.uploaded()
    assert once(games_of(files), sum(file.n_games for file in files))
    progress = next((fleet.root / "state").glob("**/.worker-0.progress.json"))
    assert json.loads(progress.read_text())["next_game"] == 8 * len(files)


def test_a_crash_is_told_on_the_hub_with_what_the_worker_left(fleet: Fleet) -> None:
    fleet.publish()
    process = fleet.supervise("--first-pause", "600")
    wait_for_line("batch 3:", process)
    os.kill(child_of(process), signal.SIGKILL)
    assert process.stderr is not None
    while "restart 1" not in (line := process.stderr.readline()):
        assert line
    deadline = time.monotonic() + 60
    while (beat := fleet.heartbeat()).phase != "failed" or fleet.spooled():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (beat.error, beat.restarts) == ("killed by SIGKILL", 0)
    assert beat.earlier_batches >= 3
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    assert len(fleet.uploaded()) >= beat.earlier_batches


def test_examples_can_go_to_a_bucket(fleet: Fleet) -> None:
    fleet.publish()
    process = fleet.start(*SELFPLAY, "--max-batches", "2", to=("--examples-bucket", "me/bucket"))
    code, _, err = finish(process)
    assert (code, err) == (0, "")
    files = fleet.hub.files("me/bucket")
    assert len(files) == 3
    assert [path for path in files if not path.startswith("exp/worker-0_")] == [
        "exp/heartbeats/worker-0.json"
    ]
