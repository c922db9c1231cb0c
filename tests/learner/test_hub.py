"""The learner as a process over a loopback Hub with the real client, and what goes wrong there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import Hub, HubClient, running_hub
from processes import Process

from zebfast.learner.metrics import read_metrics
from zebfast.learner.state import load_checkpoint

AddFile = Callable[..., str]
NAME = "exp"
UPLOAD = """
store = examples("dataset", repo, name, home)
for path in paths:
    store.put(Path(path).name, lambda target: target.write_bytes(Path(path).read_bytes()))
return store.close(60)
"""
STATE = "return weights(repo, name, home).read_state()"


class Site:
    """One experiment on the loopback Hub: its learner processes and its example files."""

    def __init__(self, hub: Hub, root: Path, tmp_path: Path, init_path: Path, name: str) -> None:
        self.hub, self.root, self.tmp_path = hub, root, tmp_path
        self.weights, self.examples = f"me/{name}", f"me/{name}-examples"
        self.client = HubClient(hub.env())
        self.init_path = init_path
        self.processes: list[Process] = []

    def learner(self, *more: str, machine: str = "one") -> Process:
        home = self.tmp_path / machine
        flags = [
            *("--repo-id", self.weights, "--examples-repo-id", self.examples),
            *("--weights-name", NAME, "--checkpoint", str(self.init_path)),
            *("--state-dir", str(home), "--local-replay-cache-dir", str(home / "cache")),
            *("--batch-size", "8", "--training-steps-per-cycle", "4", "--min-buffer-size", "28"),
            *("--push-every", "1", "--eval-every", "0", "--threads", "1", "--device", "cpu"),
            *("--push-seconds", "0.2", "--poll-seconds", "0.2", "--retry-seconds", "0.05"),
            *("--local-replay-cache-save-every", "1"),
        ]
        process = Process(
            [sys.executable, "-u", "-m", "zebfast.learner", *flags, *more],
            self.hub.env(),
            self.root,
        )
        self.processes.append(process)
        return process

    def upload(self, *paths: Path) -> None:
        left = self.client.do(
            UPLOAD, repo=self.examples, name=NAME, home=str(self.tmp_path / "worker"),
            paths=[str(path) for path in paths],
        )  # fmt: skip
        assert left == 0

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.client.do(
            STATE, repo=self.weights, name=NAME, home=str(self.tmp_path / "reader")
        )
        return state

    def close(self) -> None:
        self.client.kill()
        for process in self.processes:
            process.process.kill()
            process.process.wait()


@pytest.fixture(scope="module")
def one_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hf")) as hub:
        yield hub


@pytest.fixture
def site(
    one_hub: Hub, repo_root: Path, tmp_path: Path, init_path: Path, request: Any
) -> Iterator[Site]:
    one_hub.control(faults=[], down=False, tokens={"hf_aMarkerThatNothingMayShow": "write"})
    name = re.sub(r"\W", "-", request.node.name)[:40]
    made = Site(one_hub, repo_root, tmp_path, init_path, name)
    yield made
    made.close()


@pytest.fixture
def files(tmp_path: Path, add_file: AddFile) -> Callable[..., list[Path]]:
    """``files(1, 2)``: example files of two games each with these numbers."""

    def make(*numbers: int, **metadata: Any) -> list[Path]:
        folder = tmp_path / "made"
        return [folder / add_file(folder, number, **metadata) for number in numbers]

    return make


def test_a_run_over_the_hub_is_continued_and_counts_every_file(
    site: Site, files: Callable[..., list[Path]]
) -> None:
    site.upload(*files(1, 2))
    first = site.learner()
    seen = first.wait_for(r"^Cycle    3:.*games: 4\]")
    assert f"Bootstrapped HF repo {site.weights} with exp.pt" in first.text
    site.upload(*files(3))
    first.wait_for(r"games: 6\]", after=seen)
    assert first.end() == 143, first.text
    state = site.state()
    assert state["total_games"] == 6
    assert state["running"] is False, first.text
    assert state["streams"]["selfplay-mcts"]["files"] == 3
    last = site.learner("--max-cycles", "2")
    assert last.process.wait(60) == 0, last.text
    pulled = f"Pulling weights from HF: exp.pt (step {state['step']}, 6 games)"
    assert pulled in last.text
    assert "optimizer included" in last.text
    assert site.state()["step"] == state["step"] + 2
    rows = read_metrics(site.tmp_path / "one" / f"{NAME}-metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, state["step"] + 3))
    assert "Traceback" not in first.text + last.text


def test_another_machine_continues_without_the_first_ones_files(
    site: Site, files: Callable[..., list[Path]]
) -> None:
    site.upload(*files(1, 2))
    first = site.learner("--max-cycles", "2")
    assert first.process.wait(60) == 0, first.text
    second = site.learner("--max-cycles", "1", machine="two")
    assert second.process.wait(60) == 0, second.text
    state = site.state()
    assert (state["step"], state["total_games"], state["optimizer_steps"]) == (3, 4, 12)


def test_hub_away_at_the_start_in_the_middle_and_at_the_end(
    site: Site, files: Callable[..., list[Path]]
) -> None:
    site.upload(*files(1))
    site.hub.control(down=True)
    learner = site.learner()
    learner.wait_for("cannot start yet")
    site.hub.control(down=False)
    seen = learner.wait_for(r"^Cycle    2:")

    site.hub.control(down=True)
    seen = learner.wait_for("push error", after=seen)
    for _ in range(3):  # training goes on
        seen = learner.wait_for(r"^Cycle", after=seen)
    assert learner.process.poll() is None
    site.hub.control(down=False)
    site.upload(*files(2))
    learner.wait_for(r"games: 4\]", after=seen)

    site.hub.control(down=True)
    assert learner.end() == 143, learner.text
    assert "not published yet" in learner.text
    saved = load_checkpoint(site.tmp_path / "one" / f"{NAME}.ckpt")
    assert saved is not None
    site.hub.control(down=False)
    assert site.state()["step"] < saved.progress.step
    again = site.learner("--max-minutes", "0.0001")
    assert again.process.wait(60) == 0, again.text
    state = site.state()
    assert (state["step"], state["total_games"]) == (saved.progress.step, 4)
    assert "Traceback" not in learner.text + again.text


def test_a_push_whose_reply_was_lost_is_no_other_version(
    site: Site, files: Callable[..., list[Path]]
) -> None:
    site.upload(*files(1))
    site.hub.fault(f"/api/models/{site.weights}/commit", action="lose_reply", skip=1, times=3)
    learner = site.learner("--max-cycles", "4")
    assert learner.process.wait(60) == 0, learner.text
    assert (site.state()["step"], site.state()["total_games"]) == (4, 2)
    assert site.learner("--max-cycles", "1").process.wait(60) == 0
    assert site.state()["step"] == 5


def test_a_second_learner_is_refused_until_it_takes_over(
    site: Site, files: Callable[..., list[Path]]
) -> None:
    site.upload(*files(1))
    first = site.learner()
    first.wait_for(r"^Cycle    2:")
    second = site.learner(machine="two")
    assert second.process.wait(60) == 1, second.text
    assert "--take-over" in second.text
    assert "already has a learner" in second.text
    third = site.learner("--max-cycles", "2", "--take-over", machine="two")
    assert third.process.wait(60) == 0, third.text
    assert first.process.wait(60) == 1, first.text
    assert "taken over" in first.text or "took" in first.text
    saved = load_checkpoint(site.tmp_path / "one" / f"{NAME}.ckpt")
    assert saved is not None
    assert saved.progress.total_games == 2
    assert "Traceback" not in first.text + second.text + third.text


def test_a_revoked_token_ends_the_run_in_one_sentence_and_loses_nothing(
    site: Site, files: Callable[..., list[Path]]
) -> None:
    site.upload(*files(1))
    learner = site.learner()
    learner.wait_for(r"^Cycle    2:")
    site.hub.control(tokens={})
    assert learner.process.wait(60) == 1, learner.text
    assert "Traceback" not in learner.text
    assert "token" in learner.lines[-1]
    site.hub.control(tokens={"hf_aMarkerThatNothingMayShow": "write"})
    again = site.learner("--max-cycles", "1")
    assert again.process.wait(60) == 0, again.text
    assert "optimizer included" in again.text
    assert site.state()["total_games"] == 2


def test_hostile_and_foreign_files_from_the_hub(
    site: Site, files: Callable[..., list[Path]], tmp_path: Path
) -> None:
    [good] = files(1)
    [cut] = files(2)
    cut.write_bytes(cut.read_bytes()[:-100])
    bomb = tmp_path / "made" / "w_1700000003_ab.pt"
    bomb.write_bytes(b"\x80\x04cposix\nsystem\n(S'true'\ntR.")
    [foreign] = files(4, weights_name="other")
    site.upload(good, cut, bomb, foreign)
    learner = site.learner("--max-cycles", "2", "--keep-example-files", "0")
    assert learner.process.wait(60) == 0, learner.text
    for path in (cut, bomb, foreign):
        assert sum(f"{path.name} is refused" in line for line in learner.lines) == 1
    assert site.state()["total_games"] == 2
    again = site.learner("--max-cycles", "1")
    assert again.process.wait(60) == 0, again.text
    assert "is refused" not in again.text
