"""Worker and learner killed with SIGKILL in turn at seeded moments; nothing lost, nothing twice.

They meet in a directory on a disk that fails now and then, as one of a network does. `--kills N`
changes how often (the whole suite keeps it short; `make ordeal` does fifty).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from disk_faults import PASSING, Rule, environment
from ordeal import Flags, Pair
from quick import QUICK_LEARNER, QUICK_WORKER, tiny_checkpoint

from zebfast.exchange import LocalWeightStore, Namespace, parse_example_name
from zebfast.learner.data.replay import ReplayBuffer, ReplayCache
from zebfast.learner.metrics import read_metrics
from zebfast.learner.state import load_checkpoint
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import Examples

SEED = 20
FAULT_RATE = 0.002  # of all calls on files of the run, for each kind of passing fault
STEPS_PER_CYCLE = 4
NAMESPACE = Namespace.parse(None)


def flags_of_both(run: Path, checkpoint: Path) -> dict[str, Flags]:
    """Saving, publishing and the replay cache each at their own pace, so that kills part them."""
    places = ("--repo-id", str(run), "--retry-seconds", "0.05")
    return {
        "worker": (*places, "--output-dir", str(run / "examples"), *QUICK_WORKER, "--seed", "7"),
        "learner": (
            *(*places, "--input-dir", str(run / "examples"), "--checkpoint", str(checkpoint)),
            *(*QUICK_LEARNER, "--training-steps-per-cycle", str(STEPS_PER_CYCLE)),
            *("--checkpoint-every", "2", "--push-every", "5", "--eval-every", "7"),
            *("--local-replay-cache-dir", str(run / "cache")),
            *("--local-replay-cache-save-every", "3"),
        ),
    }


def named(run: Path) -> set[str]:
    return {p.name for p in (run / "examples").iterdir() if parse_example_name(p.name)}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Pair:
    """A run after all its kills and a clean end; ``logs`` is its directory."""
    n_kills = request.config.getoption("--kills")
    root = tmp_path_factory.mktemp("killed")
    run = root / "run"
    (run / "examples").mkdir(parents=True)
    flags = flags_of_both(run, tiny_checkpoint(root / "init.pt"))
    calls = ("open", "list", "stat", "rename", "remove", "mkdir", "link", "sync", "sync_directory")
    rules = [
        Rule(calls=calls, match=re.escape(str(run)), code=code, rate=FAULT_RATE) for code in PASSING
    ]
    faults = environment(rules, seed=SEED, log=root / "faults.log")
    pair = Pair(run, flags, lambda: named(run), env=os.environ | faults)
    try:
        pair.ordeal(n_kills, seed=SEED, files=min(n_kills + 1, 40))
        # What a failing disk kept from the last look is counted by the next start on a sound one.
        pair.env, since = dict(os.environ), len(pair.log("learner").read_text())
        pair.start("learner")
        pair.wait_for("learner", "Cycle", since=since)
        pair.end("learner")
    finally:
        pair.close()
    return pair


@pytest.fixture(scope="module")
def files(killed: Pair) -> dict[str, Examples]:
    """Every example file that ever got its final name; each can be read."""
    return {name: read_examples(killed.logs / "examples" / name) for name in sorted(killed.seen)}


def test_every_named_file_is_whole_and_still_there(
    killed: Pair, files: dict[str, Examples]
) -> None:
    assert killed.named() == killed.seen
    assert files
    assert not (killed.logs / "examples" / "bad").exists()
    assert not list(killed.logs.rglob("*.tmp"))
    games = [g.tobytes() for f in files.values() for g in f.records["obs"].reshape(-1, 28)]
    assert len(games) == len(set(games)), "a game was handed over twice"


def test_every_game_is_counted_once(killed: Pair, files: dict[str, Examples]) -> None:
    played = sum(file.n_games for file in files.values())
    state = LocalWeightStore(killed.logs, NAMESPACE).read_state()
    saved = load_checkpoint(killed.logs / NAMESPACE.checkpoint_file)
    assert state is not None
    assert saved is not None
    assert state["total_games"] == saved.progress.total_games == played
    assert set(state["ingested"]) == saved.progress.ledger == set(files)


def test_every_example_is_held_once(killed: Pair, files: dict[str, Examples]) -> None:
    state = LocalWeightStore(killed.logs, NAMESPACE).read_state()
    assert state is not None
    replay = ReplayBuffer(500_000)  # the flag's default
    cache = ReplayCache(killed.logs / "cache" / f"model-{state['lineage']}", state["lineage"])
    assert cache.load(replay) == set(files)
    written = np.concatenate([file.records for file in files.values()])
    assert Counter(r.tobytes() for r in replay.contents()) == Counter(r.tobytes() for r in written)


def test_training_went_on_where_it_was(killed: Pair) -> None:
    weights = LocalWeightStore(killed.logs, NAMESPACE).pull()
    saved = load_checkpoint(killed.logs / NAMESPACE.checkpoint_file)
    assert weights is not None
    assert saved is not None
    progress = saved.progress
    rows = read_metrics(killed.logs / NAMESPACE.metrics_file)
    cycles = [row["step"] for row in rows if "train/policy_loss" in row]
    assert cycles == list(range(1, progress.step + 1)), "every cycle is in the metrics once"
    rated = [row["step"] for row in rows if "eval/vs_random_win_rate" in row]
    assert len(rated) == len(set(rated))
    steps = STEPS_PER_CYCLE * progress.step + progress.steps_into_cycle
    assert saved.trainer["optimizer_steps"] == steps == weights.state["optimizer_steps"]
    assert weights.step == progress.step > 0
    data = (killed.logs / NAMESPACE.weights_file).read_bytes()
    assert hashlib.sha256(data).hexdigest() == weights.state["weights_sha256"]
    for name, weight in weights.state_dict.items():
        assert np.array_equal(weight, saved.model_state_dict[name]), name


def test_the_faults_were_met_and_only_spoken_of(killed: Pair) -> None:
    assert len((killed.logs.parent / "faults.log").read_text().splitlines()) > 10
    for role in killed.processes:
        text = killed.log(role).read_text()
        assert not re.search("Traceback|refused|fresh optimizer|^error:", text, re.M)
