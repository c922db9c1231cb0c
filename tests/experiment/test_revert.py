"""Going back to earlier weights: what changes, what must not, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from quick import tiny_checkpoint

from zebfast.exchange import ExchangeError, LocalWeightStore, Namespace, NamespaceBusy, Revision
from zebfast.experiment.experiment import ExperimentError
from zebfast.experiment.revert import (
    find_revision,
    plan_revert,
    published_checkpoint,
    revert,
    revert_target,
)
from zebfast.learner.state import Progress, TrainingCheckpoint, save_checkpoint
from zebfast.net import checkpoint as checkpoints
from zebfast.net.v1 import SIZES
from zebfast.system.files import file_mark

STATE = {"step": 40, "total_games": 900, "lineage": "L", "ingested": ["a", "b"],
         "optimizer_steps": 4000, "wandb_run_id": "w1", "learning": {"cycle": 40}}  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> checkpoints.Checkpoint:
    """The weights to go back to."""
    return checkpoints.load(tiny_checkpoint(tmp_path / "old.pt"))


@pytest.fixture
def store(tmp_path: Path, old: checkpoints.Checkpoint) -> LocalWeightStore:
    """A namespace at step 40 whose weights are others."""
    made = LocalWeightStore(tmp_path / "run", Namespace.parse("first"))
    newer = checkpoints.fresh(old.config, seed=9)
    made.publish(newer.weights, newer.config.to_dict(), STATE)
    return made


def same_weights(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_old_weights_become_the_newest_version(
    store: LocalWeightStore, old: checkpoints.Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "old.pt"
    target = revert_target(store, str(path))
    done = revert(store, target, to=str(path), state_dir=store.directory)
    assert (done.step, done.from_step, done.total_games, done.uncounted) == (41, 40, 900, 0)
    weights = store.pull(newer_than=40)
    assert weights is not None, "workers fetch what has a higher step"
    assert same_weights(weights.state_dict, old.weights)
    changed = {key for key in weights.state if weights.state[key] != STATE.get(key)}
    assert changed == {"step", "weights_sha256", "reverted_at", "reverted_from", "reverted_to",
                       "reverted_to_step", "reverted_unix"}  # fmt: skip
    assert (weights.state["reverted_from"], weights.state["reverted_to"]) == (40, str(path))


def training(old: checkpoints.Checkpoint, **progress: Any) -> TrainingCheckpoint:
    made = Progress(lineage="L", **progress)
    return TrainingCheckpoint(
        made, old.weights, old.config.to_dict(), {"optimizer_steps": 100 * made.step}
    )


def test_what_a_killed_learner_had_counted_stays_counted(
    store: LocalWeightStore, old: checkpoints.Checkpoint
) -> None:
    saved = training(old, step=47, total_games=1000, eval_aux_games=6, ledger={"a", "b", "c"})
    save_checkpoint(store.directory / "first.ckpt", saved)
    done = revert(store, old, to="old.pt", state_dir=store.directory)
    assert (done.step, done.from_step, done.total_games, done.uncounted) == (48, 47, 1000, 1)
    state = store.read_state()
    assert state is not None
    assert (state["total_games"], state["eval_aux_games"]) == (1000, 6)
    assert (state["ingested"], state["optimizer_steps"]) == (["a", "b", "c"], 4700)


@pytest.mark.parametrize(
    "progress", [{"step": 30, "total_games": 700}, {"step": 47, "total_games": 800}]
)
def test_a_checkpoint_that_has_counted_less_is_not_believed(
    store: LocalWeightStore, old: checkpoints.Checkpoint, progress: dict[str, Any]
) -> None:
    save_checkpoint(store.directory / "first.ckpt", training(old, ledger={"x"}, **progress))
    plan = plan_revert(store, old, to="old.pt", state_dir=store.directory)
    assert (plan.step, plan.total_games, plan.uncounted) == (41, 900, 0)


def test_a_plan_writes_nothing(store: LocalWeightStore, old: checkpoints.Checkpoint) -> None:
    before = {path.name: path.read_bytes() for path in store.directory.iterdir()}
    plan_revert(store, old, to="old.pt", state_dir=store.directory)
    assert {path.name: path.read_bytes() for path in store.directory.iterdir()} == before


def test_refusals(store: LocalWeightStore, old: checkpoints.Checkpoint, tmp_path: Path) -> None:
    directory = store.directory
    with store.hold("a learner"), pytest.raises(NamespaceBusy, match="already has a learner"):
        revert(store, old, to="old.pt", state_dir=directory)
    other = checkpoints.fresh(SIZES["small"], seed=1)
    with pytest.raises(ExperimentError, match="holds another network"):
        revert(store, other, to="small.pt", state_dir=directory)
    empty = LocalWeightStore(tmp_path / "none", Namespace.parse("first"))
    with pytest.raises(ExperimentError, match="there is nothing to go back from"):
        plan_revert(empty, old, to="old.pt", state_dir=directory)
    with pytest.raises(ExchangeError, match="keeps no earlier versions"):
        revert_target(store, "abcdef1")
    assert store.read_state() == {**STATE, "weights_sha256": (store.read_state() or {})[
        "weights_sha256"]}  # fmt: skip


def test_a_namespace_as_a_checkpoint(store: LocalWeightStore) -> None:
    found = published_checkpoint(store, revision=None)
    assert (found.epoch, found.total_games) == (40, 900)
    assert found.provenance["weights_name"] == "first"
    assert found.provenance["source"] == str(store.directory)
    empty = LocalWeightStore(store.directory, Namespace.parse("second"))
    with pytest.raises(ExchangeError, match=r"no weights for namespace 'second'"):
        published_checkpoint(empty, revision=None)


class Versioned:
    """A store of which only the list of versions is asked for."""

    label = "me/w"

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids

    def revisions(self, limit: int) -> list[Revision]:
        made = [
            Revision(id, 0.0, f"first step {25 * i}, 9 games") for i, id in enumerate(self._ids)
        ]
        return made[:limit]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("25", "bbbbbbb2" * 5),
        ("0", "aaaaaaa1" * 5),
        ("aaaaaaa", "aaaaaaa1" * 5),
        ("99", "99"),
        ("main", "main"),
        ("aaaa", "aaaa"),
        ("c" * 40, "c" * 40),
    ],
)
def test_revisions_are_found_by_step_and_by_the_start_of_their_id(wanted: str, found: str) -> None:
    store: Any = Versioned(["aaaaaaa1" * 5, "bbbbbbb2" * 5])
    assert find_revision(store, wanted) == found


def test_a_start_that_fits_several_revisions_is_refused() -> None:
    store: Any = Versioned(["aaaaaaa1" * 5, "aaaaaaa2" * 5])
    with pytest.raises(ExchangeError, match="2 revisions in me/w begin with aaaaaaa"):
        find_revision(store, "aaaaaaa")


def test_bad_published_weights_are_one_sentence(
    store: LocalWeightStore, old: checkpoints.Checkpoint
) -> None:
    """Weights with a NaN among them, as an earlier version could publish them."""
    bad = {name: torch.tensor(weight) for name, weight in old.weights.items()}
    next(iter(bad.values())).view(-1)[0] = float("nan")
    torch.save(bad, path := store.directory / store.namespace.weights_file)
    store.update_state({"weights_sha256": file_mark(path).sha256})
    with pytest.raises(ExchangeError, match=r"first\.pt in .* cannot be used: .* NaN"):
        published_checkpoint(store, revision=None)
