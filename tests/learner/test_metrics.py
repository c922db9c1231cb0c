"""What a cycle says: every documented name in the metrics, and the lines that people grep for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from learning import learn, state_of

from zebfast.learner import metrics as metrics_file
from zebfast.learner.config import EvalAuxConfig, LearnerConfig
from zebfast.learner.data.ingest import IngestReport
from zebfast.learner.data.replay import ReplayMixture
from zebfast.learner.metrics import JsonlMetrics, cycle_row, read_metrics
from zebfast.learner.state import Progress
from zebfast.learner.train.trainer import TrainReport
from zebfast.system.events import (
    CycleDone,
    Evaluated,
    Event,
    Ingested,
    Published,
    console_text,
    subscribed,
)

DIAGNOSTICS = (
    "policy_loss value_loss belief_loss belief_acc policy_entropy policy_top1_accuracy "
    "policy_kl_divergence grad_norm grad_norm_value_head value_mean value_std value_target_mean lr"
)
DOCUMENTED = {
    *(f"train/{name}" for name in DIAGNOSTICS.split()),
    *(f"train/selfplay_{name}_loss" for name in ("policy", "value", "belief")),
    *(f"train/eval_aux_{name}_loss" for name in ("policy", "value", "belief")),
    *(f"stats/replay_buffer_{name}" for name in ("selfplay", "eval_aux")),
    *("stats/total_games", "stats/selfplay_mix_ratio", "stats/eval_aux_mix_ratio"),
    *("ingest/selfplay_examples", "ingest/selfplay_examples_per_s"),
    *(f"ingest/eval_aux_{name}_examples" for name in ("seen", "kept")),
    *(f"ingest/eval_aux_skipped_{name}_examples" for name in ("stale", "disabled")),
}
WIN_RATE = "eval/vs_random_win_rate"

ROW: dict[str, float | int | None] = {
    "train/policy_loss": 1.5,
    "train/value_loss": 0.25,
    "train/seconds": 3.209,
    "stats/total_games": 117_376,
    "stats/replay_buffer_selfplay": 129_024,
    "stats/replay_buffer_eval_aux": 100_000,
    "stats/eval_aux_mix_ratio": 0.05,
    "stats/eval_aux_policy_weight": 0.0,
    "stats/replay_reuse": 2.25,
}
REPORT = TrainReport(1000, 3.209, {"policy_loss": 1.5, "value_loss": 0.25}, 0.05)


def test_every_documented_name_is_in_the_metrics(
    make_config: Callable[..., LearnerConfig], add_file: Callable[..., str]
) -> None:
    config = make_config(
        max_cycles=2,
        eval_every=2,
        eval_games=20,
        train_diagnostics_every=1,
        eval_aux=EvalAuxConfig(batch_fraction=0.25, policy_weight=0.5),
    )
    for number in range(3):
        add_file(config.examples.path, number)
    add_file(config.examples.path, 3, source="eval-eq-zeb", worker_id="evalaux-0")
    lines: list[str] = []
    assert learn(config, say=lines.append) == 0
    first, second, rating = read_metrics(config.stores.state_dir / "metrics.jsonl")
    assert DOCUMENTED - first.keys() == set()
    for row in (first, second):
        numbers = {name: row[name] for name in DOCUMENTED}
        assert {name for name, number in numbers.items() if number is None} == set()
    assert (rating["step"], rating["stats/total_games"]) == (2, 6)
    assert 0 <= rating[WIN_RATE] <= 1
    assert first["ingest/selfplay_examples"] == 168
    assert first["ingest/eval_aux_seen_examples"] == first["ingest/eval_aux_kept_examples"] == 56
    assert second["ingest/eval_aux_seen_examples"] == 0
    assert first["stats/replay_buffer_eval_aux"] == 56
    assert first["stats/eval_aux_mix_ratio"] == 0.25
    (line,) = (line for line in lines if line.startswith("Cycle    1: "))
    assert "mix(self/eval)=0.75/0.25, eval_aux_policy_w=0.5, " in line
    assert line.endswith(" [selfplay: 168, eval_aux: 56, games: 6]")


def test_rows_and_lines_are_of_the_events(
    make_config: Callable[..., LearnerConfig], add_file: Callable[..., str]
) -> None:
    """Of all that a run tells there is one account, of which file, log and state are made."""
    config = make_config(max_cycles=2, eval_every=2, eval_games=20)
    add_file(config.examples.path, 0)
    told: list[Event] = []
    lines: list[str] = []
    with subscribed(told.append):
        assert learn(config, say=lines.append) == 0
    rows = [event for event in told if isinstance(event, CycleDone | Evaluated)]
    assert [type(event) for event in rows] == [CycleDone, CycleDone, Evaluated]
    for event, row in zip(rows, read_metrics(config.metrics_path), strict=True):
        assert row.pop("step") == event.cycle
        row.pop("time")
        assert row == event.metrics
    words = [text for event in told if (text := console_text(event)) is not None]
    assert [line for line in lines if line in words] == words
    published = [event for event in told if isinstance(event, Published)]
    assert (published[-1].step, published[-1].games) == (2, 2)
    losses = {n.removeprefix("train/"): v for n, v in rows[1].metrics.items() if "_loss" in n}
    learning = state_of(config)["learning"]
    assert {name: learning[name] for name in losses} == losses


def test_cycle_line_has_the_words_people_grep_for() -> None:
    assert console_text(CycleDone(cycle=1001, metrics=ROW, eval_aux=True)) == (
        "Cycle 1001: policy_loss=1.5000, value_loss=0.2500 (train=3.21s), "
        "mix(self/eval)=0.95/0.05, eval_aux_policy_w=0, reuse=2.2 "
        "[selfplay: 129,024, eval_aux: 100,000, games: 117,376]"
    )
    with_belief = ROW | {
        "train/policy_loss": 1.0,
        "train/value_loss": 0.5,
        "train/belief_loss": 0.75,
        "train/seconds": 1.0,
        "stats/replay_reuse": None,
    }
    assert console_text(CycleDone(cycle=1, metrics=with_belief)) == (
        "Cycle    1: policy_loss=1.0000, value_loss=0.5000, belief_loss=0.7500 (train=1.00s) "
        "[buffer: 129,024, games: 117,376]"
    )


def test_ingest_line_tells_what_became_of_both_sources() -> None:
    told = Ingested(files=4, examples=28_672, n_selfplay=28_672)
    assert console_text(told) == ("Ingested 28,672 examples from 4 files [buffer: 28,672]")
    told = Ingested(
        files=6,
        examples=500,
        n_selfplay=500,
        n_eval_aux=2_500,
        eval_aux_seen=4000,
        eval_aux_kept=2500,
        eval_aux_stale=1500,
    )
    assert console_text(told) == (
        "Ingested 500 examples from 6 files (eval_aux: 2,500 of 4,000 kept, 1,500 stale) "
        "[selfplay: 500, eval_aux: 2,500]"
    )


def test_a_row_adds_up_what_was_ingested_since_the_last(
    make_config: Callable[..., LearnerConfig],
) -> None:
    taken = IngestReport()
    taken.add(IngestReport(examples=10, eval_aux_seen=7, eval_aux_kept=4, eval_aux_stale=3))
    taken.add(IngestReport(examples=5, eval_aux_seen=2, eval_aux_disabled=2))
    progress, mixture = Progress(lineage="x"), ReplayMixture(make_config())
    row = taken.row(2.5) | cycle_row(
        REPORT, progress=progress, mixture=mixture, optimizer_steps=3, share_of_time=0.5
    )
    assert row["ingest/selfplay_examples_per_s"] == 6.0
    assert row["ingest/selfplay_examples"] == 15
    skipped = "ingest/eval_aux_skipped_"
    assert row["ingest/eval_aux_seen_examples"] == 9
    assert row["ingest/eval_aux_kept_examples"] == 4
    assert row[skipped + "stale_examples"] == 3
    assert row[skipped + "disabled_examples"] == 2
    assert row["stats/selfplay_mix_ratio"] == 0.95


def test_lines_beyond_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows: list[dict[str, Any]] = [{"step": n, "train/policy_loss": n / 2} for n in (1, 2, 3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 4, "tra')
    sink = JsonlMetrics(path, last_step=2)
    sink.log(3, {"train/policy_loss": float("nan"), "stats/total_games": 5})
    assert read_metrics(path)[:2] == rows[:2]
    last = read_metrics(path)[2]
    assert (last["step"], last["train/policy_loss"], last["stats/total_games"]) == (3, None, 5)
    assert not re.search("NaN", path.read_text())


def test_a_long_file_keeps_its_evaluations_and_ever_fewer_old_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_file, "_MAX_BYTES", 20_000)
    made = JsonlMetrics(tmp_path / "m.jsonl", last_step=0)
    largest = 0
    for step in range(1, 2001):
        made.log(step, {"train/policy_loss": 1.0, "stats/total_games": 7 * step})
        if step % 500 == 0:
            made.log(step, {WIN_RATE: 0.5})
        largest = max(largest, made.path.stat().st_size)
    assert largest <= 20_100
    rows = read_metrics(made.path)
    steps = [row["step"] for row in rows if "train/policy_loss" in row]
    assert steps == sorted(set(steps))
    assert steps[-50:] == list(range(1951, 2001))
    assert [row["step"] for row in rows if WIN_RATE in row] == [500, 1000, 1500, 2000]
    assert steps[1] - steps[0] > 8
    assert JsonlMetrics(made.path, last_step=1990).path.stat().st_size < 20_000
    for number in range(2000):  # of which nothing can go: the file grows, and is read now and then
        made.log(2001, {WIN_RATE: number / 2000})
    assert len([row for row in read_metrics(made.path) if row["step"] == 2001]) == 2000
