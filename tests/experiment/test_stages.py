"""Stage 0, stage 1 and the rollback over a loopback Hub, with the commands a user types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import running_hub
from hub_site import Site

from zebfast.net import checkpoint
from zebfast.net.networks import sized

NAME = "stages"
EVAL_MIX = 0.05
MIX = re.compile(r"^Cycle +(\d+):.* mix\(self/eval\)=([\d.]+)/([\d.]+).*$", re.M)
LEARNER = ("--batch-size", "16", "--min-buffer-size", "200", "--training-steps-per-cycle", "60",
           "--push-every", "2", "--push-seconds", "0", "--poll-seconds", "0.5",
           "--eval-every", "2", "--eval-games", "4", "--threads", "1",
           "--retry-seconds", "0.2")  # fmt: skip
PLAYING = ("--threads", "1", "--games-per-batch", "32", "--upload-interval", "1", "--device", "cpu",
           "--retry-seconds", "0.2")  # fmt: skip
SELF_PLAY = ("--n-groups", "1", "--n-simulations", "8", "--n-parallel-games", "32")
WORKERS = {
    "worker-0": SELF_PLAY,
    "evalaux-0": ("--mode", "eval-aux", "--n-samples", "4"),
}


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An empty machine and an empty Hub; whatever still runs at the end is killed."""
    root = tmp_path_factory.mktemp("site")
    with running_hub(root / "hf") as hub:
        site = Site(root, hub, NAME)
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
    checkpoint.save(checkpoint.fresh(sized("v2", "small", belief_head=False), seed=1), path)
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
                   "--state-dir", str(site.root / name), *PLAYING, *flags, polite=True)  # fmt: skip
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
