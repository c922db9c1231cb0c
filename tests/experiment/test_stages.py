"""Stage 0, stage 1 and the rollback over a loopback Hub, with the commands a user types."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import Hub, running_hub

from zebfast.net import checkpoint
from zebfast.net.v1 import SIZES

NAME = "stages"
EVAL_MIX = 0.05
MIX = re.compile(r"^Cycle +(\d+):.* mix\(self/eval\)=([\d.]+)/([\d.]+).*$", re.M)
LEARNER = ("--batch-size", "16", "--min-buffer-size", "200", "--training-steps-per-cycle", "60",
           "--push-every", "1", "--push-seconds", "0", "--poll-seconds", "0.5",
           "--eval-every", "2", "--eval-games", "20", "--threads", "1",
           "--retry-seconds", "0.2")  # fmt: skip
PLAYING = ("--threads", "1", "--games-per-batch", "32", "--upload-interval", "1", "--device", "cpu",
           "--retry-seconds", "0.2")  # fmt: skip
SELF_PLAY = ("--n-groups", "1", "--n-simulations", "8", "--n-parallel-games", "32")
WORKERS = {
    "worker-0": SELF_PLAY,
    "worker-1": SELF_PLAY,
    "evalaux-0": ("--mode", "eval-aux", "--n-samples", "4"),
}


class Site:
    """One machine with an account on the Hub: its folder, its programs and their logs."""

    def __init__(self, root: Path, hub: Hub) -> None:
        self.root, self.hub = root, hub
        self.env = hub.env(XDG_CACHE_HOME=str(root / "cache"), HOME=str(root))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def zebfast(self, *arguments: str) -> str:
        """Standard output of a command that must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "zebfast", *arguments],
            cwd=self.root, env=self.env, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, *arguments: str) -> None:
        polite = ["nice", "-n", "3"] if name in WORKERS else []  # or they take every core
        with open(self.log(name), "ab") as log:
            self.processes[name] = subprocess.Popen(
                [*polite, sys.executable, "-u", "-m", "zebfast", *arguments],
                cwd=self.root, env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def learn(self, stage: str) -> int:
        """Start the learner; where its log begins."""
        before = len(self.log("learner").read_text()) if self.log("learner").exists() else 0
        self.start("learner", "experiment", "learn", NAME, "--stage", stage)
        return before

    def end(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGTERM)
        assert self.processes[name].wait(90) == 143, self.log(name).read_text()[-3000:]

    def log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def wait_for(self, name: str, pattern: str, *, since: int = 0) -> re.Match[str]:
        """The first match in a log behind ``since``; what the log ends with after some minutes."""
        deadline = time.monotonic() + 400
        while True:
            text = self.log(name).read_text()
            if found := re.search(pattern, text[since:], re.M):
                return found
            assert self.processes[name].poll() is None, text[-3000:]
            assert time.monotonic() < deadline, f"no {pattern!r} in {text[-3000:]}"
            time.sleep(0.2)

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.zebfast("experiment", "status", NAME, "--json"))
        return answer

    def checks(self) -> dict[str, str]:
        """State of each verification step by its name."""
        return {check["name"]: check["state"] for check in self.status()["checks"]}

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An empty machine and an empty Hub; whatever still runs at the end is killed."""
    root = tmp_path_factory.mktemp("site")
    with running_hub(root / "hf") as hub:
        site = Site(root, hub)
        try:
            yield site
        finally:
            site.close()


@pytest.fixture(params=["untrained", pytest.param("published", marks=pytest.mark.slow)])
def bootstrap(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The network that it begins with: a small untrained one, or the published weights."""
    if request.param == "published":
        path: Path = request.getfixturevalue("peer_weights_path")
        return path
    path = tmp_path / "init.pt"
    checkpoint.save(checkpoint.fresh(SIZES["small"], seed=1), path)
    return path


def test_the_documented_life_of_an_experiment(site: Site, bootstrap: Path) -> None:
    places = ("--repo-id", "me/zeb", "--examples-repo-id", "me/zeb-examples")
    site.zebfast("experiment", "create", NAME, *places, "--from", str(bootstrap),
                 "--belief-head", "--no-wandb", "--", *LEARNER)  # fmt: skip
    assert site.checks()["published weights"] == "wait"

    site.learn("selfplay")
    site.wait_for("learner", "^Bootstrapped")
    for name, flags in WORKERS.items():
        site.start(name, "worker", *places, "--weights-name", NAME, "--worker-id", name,
                   "--state-dir", str(site.root / name), *PLAYING, *flags)  # fmt: skip
    for name in WORKERS:
        site.wait_for(name, rf"\[{name}\] batch 1: \d+ examples, [\d.]+ games/s, step=\d+")
    stage_0 = site.wait_for("learner", r"^Cycle +2: .*games: ([\d,]+)\]").group(0)
    assert "mix(" not in stage_0
    site.wait_for("learner", "^Eval ")
    checks = site.checks()
    assert "wrong" not in checks.values(), checks
    site.end("learner")
    at_stage_0 = site.status()

    begin = site.learn("evalaux")
    found = site.wait_for("learner", MIX.pattern, since=begin)
    assert float(found[3]) == pytest.approx(EVAL_MIX, abs=0.03)
    assert float(found[2]) + float(found[3]) == pytest.approx(1, abs=0.011)
    assert "eval_aux_policy_w=0," in found[0]
    site.wait_for("learner", rf"^Cycle +{int(found[1]) + 1}:", since=begin)
    checks = site.checks()
    assert "wrong" not in checks.values(), checks
    site.end("learner")
    at_stage_1 = site.status()
    assert at_stage_1["published_step"] > at_stage_0["published_step"]
    assert at_stage_1["published_games"] >= at_stage_0["published_games"]

    begin = site.learn("selfplay")
    rolled_back = site.wait_for("learner", r"^Cycle +(\d+): .*\[buffer: .*$", since=begin)
    assert int(rolled_back[1]) == at_stage_1["published_step"] + 1
    assert "mix(" not in rolled_back[0]
    assert all(site.processes[name].poll() is None for name in WORKERS), "no fleet was torn down"
    for name in (*WORKERS, "learner"):
        site.end(name)
    for name in (*WORKERS, "learner"):
        assert "Traceback" not in site.log(name).read_text()

    runs = json.loads(site.zebfast("experiment", "runs", NAME, "--json"))
    assert [run["stage"] for run in runs["runs"]] == ["selfplay", "evalaux", "selfplay"]
    site.zebfast("experiment", "plot", NAME, "-o", "curves.png")
    assert (site.root / "curves.png").stat().st_size > 10_000
    assert not list(site.root.glob("cache/**/bad/*"))
