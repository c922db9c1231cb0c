"""Learner processes that are killed while they send their state to S3, and their successors."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import Process

from tests.servers.wandb import WandbServer, environment
from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.learner.metrics import read_metrics

AddFile = Callable[..., str]

pytest.importorskip("s3fs", reason="s3fs is not installed")
moto_server = pytest.importorskip("moto.server", reason="moto is not installed")

NAME = Namespace.parse("exp")
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "very-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class S3:
    """An S3 service with the bucket ``killed`` that can go away and come back with what it had."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._port = 0
        self.start()
        self.files().makedirs("killed", exist_ok=True)

    def start(self) -> None:
        self._server = moto_server.ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def files(self) -> Any:
        """The client's file system, not remembering what it has listed."""
        s3fs: Any = importlib.import_module("s3fs")
        return s3fs.S3FileSystem(
            key=KEYS["AWS_ACCESS_KEY_ID"], secret=KEYS["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.url, use_listings_cache=False, skip_instance_cache=True,
        )  # fmt: skip

    def n_states(self) -> int:
        return sum(1 for path in self.files().find("killed/") if path.endswith("manifest.json"))


@pytest.fixture
def s3() -> Iterator[S3]:
    made = S3()
    yield made
    made.stop()


class Site:
    """Learners of one run, each on a machine of its own; weights and examples are common."""

    def __init__(self, s3: S3, root: Path, tmp_path: Path, init_path: Path) -> None:
        self._s3, self._root, self._tmp, self._init = s3, root, tmp_path, init_path
        self.weights, self.examples = tmp_path / "weights", tmp_path / "examples" / "exp"
        self.processes: list[Process] = []

    def learner(self, machine: str, *more: str, **env: str) -> Process:
        home = self._tmp / machine
        flags = [
            *("--weights-dir", str(self.weights), "--input-dir", str(self.examples.parent)),
            *("--weights-name", "exp", "--checkpoint", str(self._init)),
            *("--state-dir", str(home), "--local-replay-cache-dir", str(home / "cache")),
            *("--batch-size", "8", "--training-steps-per-cycle", "4", "--min-buffer-size", "28"),
            *("--push-every", "1", "--eval-every", "0", "--threads", "1", "--device", "cpu"),
            *("--keep-example-files", "2", "--retry-seconds", "0.05", "--disk-limit", "0"),
            *("--sync-to", "s3://killed/runs", "--snapshot-every", "1"),
        ]
        process = Process(
            [sys.executable, "-u", "-m", "zebfast.learner", *flags, *more],
            {**os.environ, **KEYS, "AWS_ENDPOINT_URL": self._s3.url, **env},
            self._root,
        )
        self.processes.append(process)
        return process

    def state(self) -> dict[str, Any]:
        state = LocalWeightStore(self.weights, NAME).read_state()
        assert state is not None
        return state


@pytest.fixture
def site(s3: S3, repo_root: Path, tmp_path: Path, init_path: Path) -> Iterator[Site]:
    made = Site(s3, repo_root, tmp_path, init_path)
    yield made
    for process in made.processes:
        process.process.kill()
        process.process.wait()


def test_killed_while_sending_and_gone_on_elsewhere(
    site: Site, s3: S3, add_file: AddFile, tmp_path: Path
) -> None:
    """Step, games and W&B run go on; S3 is away for a while; no file is counted twice or lost."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    with WandbServer() as service:
        wandb = environment(service.url, tmp_path / "wandb-home")
        for number in (1, 2):
            add_file(site.examples, number)
        first = site.learner("one", "--wandb", **wandb)
        seen = first.wait_for(r"^Cycle    3:")
        s3.stop()
        seen = first.wait_for(r"sync error \(will retry\)", after=seen)
        seen = first.wait_for("^Cycle", after=seen)  # training goes on
        s3.start()
        seen = first.wait_for("works again", after=seen)
        add_file(site.examples, 3)
        first.wait_for(r"games: 6\]", after=seen)
        while s3.n_states() < 3:
            assert first.process.poll() is None, first.text
            time.sleep(0.05)
        first.end(signal_number=signal.SIGKILL)  # a state is being sent at nearly every moment
        lost = site.state()
        add_file(site.examples, 4)

        second = site.learner("two", "--wandb", "--max-cycles", "2", **wandb)
        assert second.process.wait(120) == 0, second.text
        assert "Resumed from s3://killed/runs/exp/step-" in second.text, second.text
        assert "optimizer" in second.text
        assert "fresh optimizer" not in second.text
        state = site.state()
        assert state["total_games"] == 8, second.text
        assert state["step"] >= lost["step"] + 1
        assert state["optimizer_steps"] == 4 * state["step"]
        assert state["wandb_run_id"] == lost["wandb_run_id"]
        assert len(service.runs) == 1
    rows = [row["step"] for row in read_metrics(tmp_path / "two" / "exp-metrics.jsonl")]
    assert rows == sorted(set(rows))
    assert rows[-1] == state["step"]
    assert s3.n_states() == 3
    assert "Traceback" not in first.text + second.text
    assert "very-secret" not in first.text + second.text
