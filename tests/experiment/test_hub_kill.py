"""The same ordeal over the Hub, in the real client: SIGKILL at seeded moments, faults in between.

`--kills N` changes how often (the whole suite keeps it short; `make ordeal` does fifty).
"""

from __future__ import annotations

import hashlib
import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hub import TOKEN, Hub, running_hub
from ordeal import Pair
from quick import QUICK_LEARNER, QUICK_WORKER, tiny_checkpoint

from zebfast.exchange import parse_example_name
from zebfast.learner.metrics import read_metrics
from zebfast.learner.state import load_checkpoint
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import Examples

SEED = 21
NAME = "exp"
WEIGHTS, EXAMPLES = "me/weights", "me/examples"
# One of each kind, spread over the run; further ones pass unspoilt.
FAULTS = [
    {"path": "/commit/", "action": "lose_reply", "skip": 2},
    {"path": "/commit/", "skip": 4, "status": 503},
    {"path": "/commit/", "skip": 5, "status": 412},
    {"path": "/commit/", "skip": 6, "action": "lose_reply", "times": 2},
    {"path": "/commit/", "skip": 9, "status": 429, "headers": {"Retry-After": "1"}},
    {"path": "/tree/", "skip": 5, "action": "drop", "times": 2},
    {"path": "/tree/", "skip": 9, "action": "cut"},
    {"path": "/resolve/", "skip": 8, "action": "drop", "times": 2},
]


@dataclass(frozen=True)
class Survivor:
    """A finished ordeal: its Hub, its directory and its processes."""

    hub: Hub
    root: Path
    pair: Pair

    def content(self, repo: str, path: str) -> bytes:
        """A file at the head of a repository (``me/x`` or ``datasets/me/x``)."""
        request = urllib.request.Request(
            f"{self.hub.url}/{repo}/resolve/main/{path}",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
            data: bytes = reply.read()
        return data

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.content(WEIGHTS, f"{NAME}-state.json")))


def flags_of_both(root: Path, checkpoint: Path) -> dict[str, tuple[str, ...]]:
    """Saving, publishing and the replay cache each at their own pace, so that kills part them."""
    common = ("--repo-id", WEIGHTS, "--examples-repo-id", EXAMPLES, "--weights-name", NAME,
              "--retry-seconds", "0.05")  # fmt: skip
    return {
        "worker": (
            *(*common, *QUICK_WORKER, "--seed", "7", "--state-dir", str(root / "worker")),
            *("--upload-interval", "0.5"),
        ),
        "learner": (
            *(*common, *QUICK_LEARNER, "--checkpoint", str(checkpoint)),
            *("--state-dir", str(root / "learner"), "--training-steps-per-cycle", "40"),
            *("--checkpoint-every", "2", "--push-every", "5", "--eval-every", "0"),
            *("--push-seconds", "0", "--poll-seconds", "0.2"),
            *("--local-replay-cache-dir", str(root / "cache")),
            *("--local-replay-cache-save-every", "3"),
        ),
    }


def uploaded(hub: Hub) -> set[str]:
    """Example files of the namespace that the Hub has."""
    paths = (path.partition("/") for path in hub.files(f"dataset:{EXAMPLES}"))
    return {name for folder, _, name in paths if folder == NAME and parse_example_name(name)}


@pytest.fixture(scope="module")
def survivor(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Survivor]:
    root = tmp_path_factory.mktemp("hub_killed")
    n_kills = request.config.getoption("--kills")
    with running_hub(root / "hf") as hub:
        hub.control(faults=FAULTS)
        flags = flags_of_both(root, tiny_checkpoint(root / "init.pt"))
        pair = Pair(root, flags, lambda: uploaded(hub), env=hub.env())
        try:
            pair.ordeal(n_kills, seed=SEED, files=min(n_kills + 1, 40))
        finally:
            pair.close()
        yield Survivor(hub, root, pair)


@pytest.fixture(scope="module")
def files(survivor: Survivor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Examples]:
    """Every example file on the Hub; each can be read."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name in sorted(uploaded(survivor.hub)):
        (folder / name).write_bytes(survivor.content(f"datasets/{EXAMPLES}", f"{NAME}/{name}"))
        found[name] = read_examples(folder / name)
    return found


def test_nothing_that_was_uploaded_is_lost(survivor: Survivor, files: dict[str, Examples]) -> None:
    assert survivor.pair.seen == set(files)
    spooled = [p for p in (survivor.root / "worker").rglob("*") if parse_example_name(p.name)]
    assert not spooled, "everything reached the Hub before the worker ended"
    games = [g.tobytes() for f in files.values() for g in f.records["obs"].reshape(-1, 28)]
    assert len(games) == len(set(games)), "a game was handed over twice"


def test_every_game_is_counted_once(survivor: Survivor, files: dict[str, Examples]) -> None:
    played = sum(file.n_games for file in files.values())
    saved = load_checkpoint(survivor.root / "learner" / f"{NAME}.ckpt")
    assert saved is not None
    assert survivor.state["total_games"] == saved.progress.total_games == played > 0
    assert set(survivor.state["ingested"]) == saved.progress.ledger == set(files)


def test_training_went_on_where_it_was(survivor: Survivor) -> None:
    saved = load_checkpoint(survivor.root / "learner" / f"{NAME}.ckpt")
    assert saved is not None
    rows = read_metrics(survivor.root / "learner" / f"{NAME}-metrics.jsonl")
    cycles = [row["step"] for row in rows if "train/policy_loss" in row]
    assert cycles == list(range(1, saved.progress.step + 1)), "every cycle is there once"
    assert survivor.state["step"] == saved.progress.step > 0
    weights = survivor.content(WEIGHTS, f"{NAME}.pt")
    assert hashlib.sha256(weights).hexdigest() == survivor.state["weights_sha256"]


def test_the_faults_were_met_and_only_spoken_of(survivor: Survivor) -> None:
    assert survivor.hub.control()["faults_given"] >= len(FAULTS) // 2
    for role in survivor.pair.processes:
        text = survivor.pair.log(role).read_text()
        assert "Traceback" not in text
        assert not re.search("refused|fresh optimizer", text)
