"""Whole learner runs in this process: continuity, counting, refusals, a full disk."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learning import learn, run, state_of

from zebfast.exchange import ExchangeError, LocalWeightStore, Namespace
from zebfast.learner import loop
from zebfast.learner.config import LearnerConfig
from zebfast.learner.metrics import read_metrics
from zebfast.learner.session import StartError
from zebfast.learner.state import CheckpointError, Streams, load_checkpoint
from zebfast.learner.train.trainer import Sums, Trainer, TrainingDiverged
from zebfast.net import checkpoint as model_file
from zebfast.net.v1 import NetConfig

Make = Callable[..., LearnerConfig]
AddFile = Callable[..., str]


class Crash(Exception):
    """Stands for the end of the process at this very line."""


def test_lines_and_metrics_of_a_run(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=2, eval_every=2, eval_games=20)
    for number in range(3):
        add_file(config.examples.path, number)
    text = "\n".join(run(config))
    assert f"Bootstrapped {config.stores.state_dir}" in text
    assert "Ingested 168 examples from 3 files [buffer: 168]" in text
    assert "Cycle    1: policy_loss=" in text
    assert "mix(self/eval)=1.00/0.00, eval_aux_policy_w=0" in text
    assert "[selfplay: 168, eval_aux: 0, games: 6]" in text
    assert "Eval     2: vs random" in text
    state = state_of(config)
    assert (state["step"], state["total_games"], state["wandb_run_id"]) == (2, 6, None)
    first, second, evaluation = read_metrics(config.stores.state_dir / "metrics.jsonl")
    assert (first["step"], second["step"]) == (1, 2)
    for name in ("random", "heuristic"):
        low, rate, high = (evaluation[f"eval/vs_{name}_{k}"] for k in ("low", "win_rate", "high"))
        assert 0 <= low <= rate <= high <= 1
    for name in ("policy_loss", "belief_acc", "grad_norm", "lr", "selfplay_value_loss"):
        assert np.isfinite(first[f"train/{name}"]), name
    assert first["ingest/selfplay_examples"] == 168
    assert second["stats/total_games"] == 6


def test_a_stop_before_the_first_step_repeats_no_cycle(
    make_config: Make, add_file: AddFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(max_cycles=5)
    add_file(config.examples.path, 0)
    train = Trainer.train

    def stopped_at_the_third_cycle(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        if self.optimizer_steps == 2 * config.training.training_steps_per_cycle:
            os.kill(os.getpid(), signal.SIGTERM)
        return train(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "train", stopped_at_the_third_cycle)
    assert learn(config, say=lambda line: None) == 143
    assert [row["step"] for row in read_metrics(config.stores.state_dir / "metrics.jsonl")] == [
        1,
        2,
    ]
    assert state_of(config)["step"] == 2


def test_two_and_two_cycles_are_four(make_config: Make, add_file: AddFile) -> None:
    """A restart between cycles changes nothing: weights, optimizer, counters, bit for bit."""
    whole, halves = make_config("whole", max_cycles=4), make_config("halves", max_cycles=2)
    for config in (whole, halves):
        for number in range(2):
            add_file(config.examples.path, number)
    run(whole)
    run(halves)
    lines = run(halves)
    assert any(
        line.startswith("Pulling weights from") and "(step 2, 4 games)" in line for line in lines
    )
    assert any(line.startswith("Cycle    3:") for line in lines)
    ours, theirs = (load_checkpoint(c.stores.state_dir / "model.ckpt") for c in (whole, halves))
    assert ours is not None
    assert theirs is not None
    assert replace(ours.progress, lineage="", published=[], streams=Streams()) == replace(
        theirs.progress, lineage="", published=[], streams=Streams()
    )
    for name, weight in ours.model_state_dict.items():
        assert np.array_equal(weight, theirs.model_state_dict[name]), name
    for index, moments in ours.trainer["optimizer"]["state"].items():
        for key, value in moments.items():
            assert np.array_equal(value, theirs.trainer["optimizer"]["state"][index][key])
    assert [r["step"] for r in read_metrics(halves.stores.state_dir / "metrics.jsonl")] == [
        1,
        2,
        3,
        4,
    ]


def test_unfinished_cycle_is_finished_after_a_restart(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=1, training_steps_per_cycle=10**9, max_minutes=0.01)
    add_file(config.examples.path, 1)
    run(config)
    saved = load_checkpoint(config.stores.state_dir / "model.ckpt")
    assert saved is not None
    done = saved.progress.steps_into_cycle
    assert done > 0
    assert saved.progress.step == 0
    run(make_config(max_cycles=1, training_steps_per_cycle=done + 5))
    assert state_of(config)["step"] == 1
    assert state_of(config)["optimizer_steps"] == done + 5


def test_files_that_an_end_has_no_time_for_are_counted_by_the_next_start(
    make_config: Make, add_file: AddFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a Hub does not answer while a learner ends: nothing is lost, or counted twice."""
    config = make_config(max_cycles=1, poll_seconds=1000.0)
    add_file(config.examples.path, 0)
    train = Trainer.train

    def while_workers_hand_over(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        for number in range(1, 6):
            add_file(config.examples.path, number)
        return train(self, *args, **kwargs)

    with monkeypatch.context() as change:
        change.setattr(Trainer, "train", while_workers_hand_over)
        change.setattr(loop, "_LAST_SCAN_SECONDS", 0.0)
        run(config)
    assert state_of(config)["total_games"] == 2
    for _ in range(2):
        run(config)
        assert state_of(config)["total_games"] == 12


def test_bad_and_foreign_files_are_set_aside(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=1)
    good = add_file(config.examples.path, 1)
    foreign = add_file(config.examples.path, 2, weights_name="other")
    evaluation = add_file(config.examples.path, 3, source="eval-eq-zeb")
    (config.examples.path / "w_5_ab.pt").write_bytes(b"PK\x03\x04 not really")
    text = "\n".join(run(config))
    assert "w_5_ab.pt is refused" in text
    assert "weights_name is 'other'; expected 'model'" in text
    assert "eval_aux: 56 of 56 kept" in text
    bad = sorted(p.name for p in (config.examples.path / "bad").iterdir())
    assert bad == sorted([foreign, f"{foreign}.reason.txt", "w_5_ab.pt", "w_5_ab.pt.reason.txt"])
    assert state_of(config)["total_games"] == 2
    assert state_of(config)["ingested"] == sorted([good, evaluation])


def test_waits_for_the_buffer_and_for_fresh_examples(make_config: Make, add_file: AddFile) -> None:
    config = make_config(min_buffer_size=57, max_minutes=0.005)
    add_file(config.examples.path, 1)
    lines = run(config)
    assert lines.count("Buffer 56/57 — waiting for workers...") == 1
    assert state_of(config)["total_games"] == 2  # counted once, though nothing was trained
    add_file(config.examples.path, 2)
    lines = run(replace(config, max_example_age=0.2, max_minutes=0.02))
    assert any(line.startswith("Cycle    1:") for line in lines)
    assert any("training paused" in line for line in lines)
    assert state_of(config)["total_games"] == 4


def test_pruned_files_are_counted_and_still_trained_on(
    make_config: Make, add_file: AddFile
) -> None:
    config = make_config(max_cycles=1, keep_example_files=2, replay_cache_save_every=1)
    names = [add_file(config.examples.path, number) for number in range(5)]
    run(config)
    assert sorted(p.name for p in config.examples.path.glob("*.safetensors")) == names[3:]
    lines = run(config)
    assert any("280/1,000 examples from 5 files" in line for line in lines)
    assert state_of(config)["total_games"] == 10


@pytest.mark.parametrize("late", ["replay_cache_save_every", "push_every", None])
def test_nothing_is_pruned_that_a_crash_could_lose(
    make_config: Make, add_file: AddFile, late: str | None
) -> None:
    """A file goes only when replay cache, checkpoint and published state all have it."""
    every_cycle = {"replay_cache_save_every": 1, "push_every": 1}
    config = make_config(keep_example_files=1, **{**every_cycle, **({late: 1000} if late else {})})
    for number in range(3):
        add_file(config.examples.path, number)

    def files() -> int:
        return len(list(config.examples.path.glob("*.safetensors")))

    def die(line: str) -> None:
        if line.startswith("Cycle   50:") or (files() == 1 and line.startswith("Cycle")):
            raise Crash

    with pytest.raises(Crash):
        learn(config, say=die)
    assert files() == (3 if late else 1)
    run(replace(config, max_cycles=1))
    assert files() == 1
    assert state_of(config)["total_games"] == 6


def test_published_weights_of_somebody_else_win(make_config: Make, add_file: AddFile) -> None:
    """A revert, or another machine's training: its weights and its counters are continued."""
    config = make_config(max_cycles=3)
    add_file(config.examples.path, 1)
    run(config)
    store = LocalWeightStore(config.stores.state_dir, config.namespace)
    pulled = store.pull()
    assert pulled is not None
    older = {name: weight * 0.5 for name, weight in pulled.state_dict.items()}
    store.publish(older, pulled.config, {"step": 1, "total_games": 0, "ingested": []})
    lines = run(config)
    assert any("fresh optimizer" in line for line in lines)
    assert any(line.startswith("Cycle    2:") for line in lines)
    assert state_of(config)["total_games"] == 2


def test_a_push_cut_short_behind_its_weights_is_the_run_s_own(
    make_config: Make, add_file: AddFile
) -> None:
    """The state is still that of the push before, and announces these weights."""
    config = make_config(max_cycles=1)
    add_file(config.examples.path, 1)
    run(config)
    before = state_of(config)
    run(config)
    path = config.stores.state_dir / config.namespace.state_file
    pending = {"weights_sha256": state_of(config)["weights_sha256"]}
    path.write_text(json.dumps(before | {"pending": pending}))
    lines = run(config)
    assert not any("fresh optimizer" in line for line in lines)
    assert any(line.startswith("Cycle    3:") for line in lines)
    assert state_of(config)["step"] == 3


def test_what_cannot_be_started_is_one_sentence(make_config: Make, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="--checkpoint FILE"):
        run(make_config(checkpoint=None))
    with pytest.raises(model_file.BadCheckpoint, match="does not exist"):
        run(make_config(checkpoint=tmp_path / "none.pt"))
    config = make_config(min_buffer_size=1, max_minutes=1e-9)
    run(config)
    other = NetConfig(embed_dim=32, n_heads=2, n_layers=1, ff_dim=16)
    model_file.save(model_file.fresh(other, seed=0), tmp_path / "other.pt")
    with pytest.raises(StartError, match="different network"):
        run(replace(config, checkpoint=tmp_path / "other.pt"))
    (config.stores.state_dir / "config.json").write_text(json.dumps(other.to_dict()))
    with pytest.raises(StartError, match="do not belong together"):
        run(replace(config, checkpoint=None))


def test_unreadable_training_checkpoint_is_one_sentence(make_config: Make) -> None:
    config = make_config(max_minutes=1e-9)
    run(config)
    (config.stores.state_dir / "model.ckpt").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(CheckpointError, match=r"model\.ckpt cannot be read"):
        run(config)


@pytest.mark.parametrize("allowed", range(0, 9))
def test_full_disk_leaves_nothing_half_written(
    make_config: Make, add_file: AddFile, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    """The disk fills at any write; the next run, with room, continues with the right count."""
    config = make_config(max_cycles=2, replay_cache_save_every=1)
    add_file(config.examples.path, 1)
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > allowed * 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space") as caught:
            run(config)
        assert caught.value.filename
    files = [p for p in config.stores.state_dir.rglob("*") if p.is_file()]
    assert not [p for p in files if p.name.endswith(".tmp")]
    run(config)
    assert state_of(config)["total_games"] == 2


def test_diverged_training_is_not_saved(make_config: Make, add_file: AddFile) -> None:
    config = make_config(lr=1e3, max_grad_norm=1e6, max_cycles=3, training_steps_per_cycle=40)
    add_file(config.examples.path, 1)
    with pytest.raises(TrainingDiverged, match="lower --lr"):
        run(config)
    pulled = LocalWeightStore(config.stores.state_dir, Namespace()).pull()
    assert pulled is not None
    assert all(np.isfinite(w).all() for w in pulled.state_dict.values())


def test_kinds_of_errors_are_users_sentences() -> None:
    assert issubclass(TrainingDiverged, ExchangeError)


def test_a_checkpoint_that_is_a_link_stays_where_it_leads(
    make_config: Make, add_file: AddFile, tmp_path: Path
) -> None:
    large = tmp_path / "large disk"
    large.mkdir()
    (tmp_path / "run").mkdir()
    link, target = tmp_path / "run" / "model.ckpt", large / "kept"
    link.symlink_to(target)
    (large / ".kept.0a1b2c3d.tmp").write_bytes(b"of a killed learner")
    config = make_config(max_cycles=1, snapshot_every=1)
    add_file(config.examples.path, 0)
    run(config)
    assert link.is_symlink()
    assert [each.name for each in large.iterdir()] == ["kept"]
    assert load_checkpoint(target).progress.step == 1
    [copy] = config.snapshots_path.glob("*/training.ckpt")
    assert not copy.is_symlink()


def test_sums_of_a_long_cycle_are_not_rounded() -> None:
    sums = Sums(torch.device("cpu"))
    sums.each_step += 1.1e9  # of so many steps before
    for _ in range(10):
        sums.each_step += torch.full_like(sums.each_step, 1.1, dtype=torch.float32)
    sums.n_steps = 1_000_000_010
    assert sums.means()["value_loss"] == pytest.approx(1.1, rel=1e-7)
