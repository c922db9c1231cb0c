"""The real W&B client against a loopback service that fails in every way: metrics and restarts."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb_offline

from tests.servers.wandb import Fault, WandbServer, environment
from zebfast.learner.metrics import read_metrics

pytest.importorskip("wandb", reason="wandb is not installed")

FINISH_SECONDS = 3.0
LOG_TIMEOUT = 60
CLIENT = Path(wandb_offline.__file__).with_name("wandb_client.py")


class Client:
    """A process that logs as the learner does; each call returns when the process has done it."""

    def __init__(self, env: dict[str, str], directory: Path) -> None:
        self.directory = directory
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(CLIENT)],
            cwd=directory,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, *what: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:  # besides ours, W&B prints its own
            answer = json.loads(line[1:]) if line.startswith("@") else {}
            if "say" in answer:
                self.said.append(answer["say"])
            elif answer:
                return answer
        raise AssertionError(f"the client ended at {what}")

    def open(
        self, run_id: str | None = "run1", *, at: int = 0, finish_seconds: float = FINISH_SECONDS
    ) -> dict[str, Any]:
        """Begin where a checkpoint of cycle ``at`` was saved."""
        return self.do("open", run_id, at, finish_seconds)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def cycles(self, *steps: int) -> None:
        for step in steps:
            self.do("log", step, {"train/loss": step / 2, "stats/total_games": 100 * step})

    def end(self) -> int:
        """Close W&B and end the process; its exit code."""
        self.do("close")
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(LOG_TIMEOUT)


Start = Callable[..., Client]


@pytest.fixture
def service() -> Iterator[WandbServer]:
    with WandbServer() as server:
        yield server


@pytest.fixture
def env(service: WandbServer, tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return environment(service.url, home, WANDB_INIT_TIMEOUT="1", WANDB_SILENT="true")


@pytest.fixture
def start(env: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """``start(folder="run", **environment)`` starts a client with its files in that folder."""
    clients: list[Client] = []

    def begin(folder: str = "run", **more: str) -> Client:
        directory = tmp_path / folder
        directory.mkdir(exist_ok=True)
        client = Client({**env, **more}, directory)
        clients.append(client)
        return client

    yield begin
    for client in clients:
        client.process.kill()
        client.process.wait()
        for pipe in (client.process.stdin, client.process.stdout):
            if pipe is not None:
                pipe.close()


def cycles_of(service: WandbServer, run_id: str = "run1") -> list[int]:
    return [row["cycle"] for row in service.rows(run_id)]


def local_run(client: Client) -> wandb_offline.OfflineRun:
    (path,) = client.directory.glob("wandb/offline-run-*/run-*.wandb")
    return wandb_offline.read_run(path)


def sync(command: str, env: dict[str, str]) -> None:
    """Run a `wandb sync …` command as it was said."""
    words = shlex.split(command)
    assert words[:2] == ["wandb", "sync"]
    subprocess.run(
        [sys.executable, "-m", *words], env={**os.environ, **env}, check=True, timeout=LOG_TIMEOUT
    )


def test_a_run_and_its_axes(service: WandbServer, start: Start) -> None:
    client = start()
    opened = client.open(run_id=None)
    assert opened["url"].startswith(service.url)
    assert opened["place"] == opened["url"]
    client.do("log", 1, {"train/loss": 2.0, "stats/total_games": 64, "stats/none": None})
    client.do("log", 1, {"eval/vs_random_win_rate": 0.5, "stats/total_games": 64})
    assert client.end() == 0
    assert client.said == []
    run = service.runs[opened["run_id"]]
    assert (run.project, run.display_name, run.exit_code) == ("zeb", "a run", 0)
    assert run.config["lr"] == {"value": 0.5}
    assert service.rows(run.name) == [
        {"cycle": 1, "train/loss": 2.0, "stats/total_games": 64},
        {"cycle": 1, "eval/cycle": 1, "eval/vs_random_win_rate": 0.5, "stats/total_games": 64},
    ]


def evaluate(client: Client, step: int) -> None:
    client.do("log", step, {"eval/vs_random_win_rate": 0.5, "stats/total_games": 100 * step})


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_killed_runs_go_on_without_gap_or_repetition(
    service: WandbServer, start: Start, env: dict[str, str], mode: str
) -> None:
    """Killed after cycle 4, training begins again at its checkpoint of 2; then once more."""
    first = start(WANDB_MODE=mode)
    first.open()
    first.cycles(1, 2, 3, 4)
    first.kill()
    second = start(WANDB_MODE=mode)
    assert second.open(at=2)["run_id"] == "run1"
    second.cycles(3)
    evaluate(second, 3)
    second.kill()
    third = start(WANDB_MODE=mode)
    third.open(at=3)
    third.cycles(4, 5)
    assert third.end() == 0
    if mode == "offline":
        sync("wandb sync " + " ".join(map(str, third.directory.glob("wandb/offline-run-*"))), env)
    rows = service.rows("run1")
    assert [row["cycle"] for row in rows if "train/loss" in row] == [1, 2, 3, 4, 5]
    assert [row["cycle"] for row in rows if "eval/vs_random_win_rate" in row] == [3]


def test_what_the_service_has_is_not_sent_again(service: WandbServer, start: Start) -> None:
    """Not even from a machine without the files of the first."""
    for folder, at, steps in (("here", 0, (1, 2, 3)), ("there", 2, (3, 4))):
        client = start(folder)
        client.open(at=at)
        client.cycles(*steps)
        evaluate(client, 3)
        assert client.end() == 0
    assert cycles_of(service) == [1, 2, 3, 3, 4]


def test_a_new_run_gets_the_cycles_before_it(service: WandbServer, start: Start) -> None:
    early = start(WANDB_MODE="disabled")
    early.open(run_id=None)
    early.cycles(1, 2)
    assert early.end() == 0
    late = start()
    run_id = late.open(run_id=None, at=2)["run_id"]
    late.cycles(3)
    assert late.end() == 0
    assert cycles_of(service, run_id) == [1, 2, 3]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drop"),
        Fault("status", "RunResumeStatus", status=500),
        Fault("status", "RunResumeStatus", status=404),
        Fault("delay", "RunResumeStatus", seconds=30),
    ],
    ids=["down", "500", "404", "hangs"],
)
def test_no_service_at_the_start(
    service: WandbServer, start: Start, env: dict[str, str], fault: Fault
) -> None:
    """The run is kept on the disk under the same id; the line says how to upload it later."""
    before = start("before")
    before.open()
    before.cycles(1)
    assert before.end() == 0
    service.fault = fault
    client = start()
    opened = client.open()
    assert (opened["run_id"], opened["url"]) == ("run1", None)
    assert "W&B cannot be reached (" in client.said[0]
    client.cycles(2, 3)
    assert client.end() == 0
    kept = local_run(client)
    assert (kept.run_id, kept.project, kept.config["lr"]) == ("run1", "zeb", 0.5)
    assert [row["cycle"] for row in kept.rows] == [2, 3]
    assert kept.axes == {"cycle": "", "stats/total_games": "", "*": "cycle"}
    service.fault = None
    assert cycles_of(service) == [1]
    (line,) = client.said
    command = re.search(r"`(wandb sync [^`]+)`", line)
    assert command, line
    sync(command[1], env)
    assert cycles_of(service) == [1, 2, 3]


def test_offline_cycles_are_sent_by_the_next_start(service: WandbServer, start: Start) -> None:
    service.fault = Fault("status", "RunResumeStatus", status=500)
    client = start()
    client.open()
    client.cycles(1, 2)
    assert client.end() == 0
    service.fault = None
    again = start()
    again.open(at=2)
    again.cycles(3)
    assert again.end() == 0
    assert again.said == ["W&B lacked 2 rows of the metrics file: sent"]
    assert cycles_of(service) == [1, 2, 3]


@pytest.mark.parametrize(
    "fault",
    [Fault("drop"), Fault("status", status=500), Fault("delay", seconds=30)],
    ids=["down", "500", "hangs"],
)
def test_service_lost_on_the_way(service: WandbServer, start: Start, fault: Fault) -> None:
    """Logging goes on, the end does not wait for ever, and the next start brings the rest."""
    client = start()
    client.open()
    client.cycles(1)
    service.fault = fault
    client.cycles(2, 3)
    assert client.end() == 0
    assert "did not take all metrics" in client.said[-1]
    service.fault = None
    again = start()
    again.open(at=3)
    again.cycles(4)
    assert again.end() == 0
    assert cycles_of(service) == [1, 2, 3, 4]


def test_key_revoked_on_the_way(service: WandbServer, start: Start) -> None:
    client = start()
    client.open()
    service.fault = Fault("status", status=401)
    client.cycles(1, 2)
    assert client.end() == 0


def test_lost_replies_repeat_nothing(service: WandbServer, start: Start) -> None:
    client = start()
    client.open(finish_seconds=LOG_TIMEOUT / 2)
    service.fault = Fault("lose", "file_stream", times=2)
    client.cycles(1, 2, 3, 4)
    assert client.end() == 0
    assert service.n_faults == 2
    assert client.said == []
    assert cycles_of(service) == [1, 2, 3, 4]


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP])
def test_without_its_own_process_training_goes_on(
    service: WandbServer, start: Start, what: signal.Signals
) -> None:
    """Killed, or hanging with more rows than fit into the pipe to it."""
    client = start()
    client.open()
    client.cycles(1)
    client.do("signal core", what)
    many = {f"train/{name}": 1 / (name + 3) for name in range(200)}
    for step in range(2, 200):
        client.do("log", step, many)
    assert client.end() == 0
    (line,) = client.said
    assert line.endswith("the next start sends what is missing")
    again = start()
    again.open(at=199)
    assert again.end() == 0
    assert cycles_of(service) == list(range(1, 200))


@pytest.mark.parametrize(
    ("fault", "key"),
    [(None, "short"), (None, ""), (Fault("status", status=401), None)],
    ids=["malformed", "none", "refused"],
)
def test_a_wrong_key_is_one_sentence(
    service: WandbServer, start: Start, fault: Fault | None, key: str | None
) -> None:
    service.fault = fault
    client = start(**({} if key is None else {"WANDB_API_KEY": key}))
    refused = client.open()["refused"]
    assert refused.startswith("W&B does not accept this machine's key (")
    assert "`wandb login`" in refused
    assert "\n" not in refused


def test_modes_of_the_environment_hold(service: WandbServer, start: Start) -> None:
    offline = start("offline", WANDB_MODE="offline")
    opened = offline.open(run_id=None)
    assert opened["url"] is None
    assert opened["run_id"]
    offline.cycles(1)
    assert offline.end() == 0
    assert [row["cycle"] for row in local_run(offline).rows] == [1]
    disabled = start("disabled", WANDB_MODE="disabled")
    assert disabled.open(run_id="run1") == {"run_id": "run1", "url": None, "place": "none"}
    disabled.cycles(1)
    assert disabled.end() == 0
    assert offline.said == disabled.said == []
    assert service.requests == []


def test_a_learner_and_its_restart_are_one_run(
    service: WandbServer,
    env: dict[str, str],
    tmp_path: Path,
    init_path: Path,
    add_file: Callable[..., str],
) -> None:
    """What is in the metrics file is in W&B, number for number; the state says where."""
    add_file(tmp_path / "examples", 1)
    add_file(tmp_path / "examples", 2, source="eval-eq-zeb")
    flags = ["--repo-id", str(tmp_path / "run"), "--input-dir", str(tmp_path / "examples")]
    flags += ["--checkpoint", str(init_path), "--no-local-replay-cache-enabled", "--threads", "1"]
    flags += ["--training-steps-per-cycle", "4", "--min-buffer-size", "1", "--batch-size", "8"]
    flags += ["--eval-every", "2", "--eval-games", "2", "--device", "cpu", "--push-every", "1"]
    flags += ["--wandb", "--run-name", "a learner", "--max-cycles"]
    said = ""
    for n_cycles in ("2", "1"):
        run = subprocess.run(
            [sys.executable, "-m", "zebfast.learner", *flags, n_cycles],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=2 * LOG_TIMEOUT,
        )
        assert run.returncode == 0, run.stderr
        said += run.stdout
    ((run_id, stored),) = service.runs.items()
    assert (stored.project, stored.display_name) == ("zeb-mcts", "a learner")
    state = json.loads((tmp_path / "run" / "training_state.json").read_text())
    assert state["wandb_run_id"] == run_id
    assert said.count(f"W&B run: {service.url}/me/zeb-mcts/runs/{run_id}") == 2
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    for row in rows:
        row["cycle"] = row.pop("step")
        del row["time"]
    told = [{k: v for k, v in row.items() if v is not None} for row in rows]
    sent = [{k: v for k, v in row.items() if k != "eval/cycle"} for row in service.rows(run_id)]
    assert [row["cycle"] for row in sent] == [1, 2, 2, 3]
    assert sent == told
