"""What a cycle looks like in the log and in the metrics; people grep for these very words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zebfast.arena.stats import MatchResult
from zebfast.learner.ingest import IngestReport
from zebfast.learner.trainer import TrainReport

if TYPE_CHECKING:
    from zebfast.learner.startup import Session

Row = dict[str, float | int | None]


@dataclass
class Tally:
    """What has been ingested since the last row of metrics."""

    started: float = field(default_factory=time.monotonic)
    n_examples: int = 0
    n_eval_examples: int = 0

    def add(self, report: IngestReport) -> None:
        self.n_examples += report.n_examples
        self.n_eval_examples += report.n_eval_examples

    def examples_per_second(self) -> float:
        return self.n_examples / max(time.monotonic() - self.started, 1e-9)


def ingest_line(report: IngestReport, n_held: int) -> str:
    skipped = ""
    if report.n_eval_examples:
        skipped = f" ({report.n_eval_examples:,} evaluation examples skipped)"
    return (
        f"Ingested {report.n_examples:,} examples from {report.n_files} files{skipped} "
        f"[buffer: {n_held:,}]"
    )


def cycle_line(step: int, report: TrainReport, n_held: int, total_games: int) -> str:
    losses = f"policy_loss={report.means['policy_loss']:.4f}, "
    losses += f"value_loss={report.means['value_loss']:.4f}"
    if "belief_loss" in report.means:
        losses += f", belief_loss={report.means['belief_loss']:.4f}"
    return (
        f"Cycle {step:4d}: {losses} (train={report.seconds:.2f}s) "
        f"[buffer: {n_held:,}, games: {total_games:,}]"
    )


def evaluation_line(step: int, results: Mapping[str, MatchResult]) -> str:
    parts = [
        f"vs {name} {r.win_rate:.1%} won (95 % interval {r.win_rate_low:.1%} to "
        f"{r.win_rate_high:.1%}, {r.games:,} games)"
        for name, r in results.items()
    ]
    return f"Eval  {step:4d}: {', '.join(parts)}"


def cycle_row(report: TrainReport, session: Session, tally: Tally) -> Row:
    """The metrics of one cycle. Self-play is the only source yet, so its losses are the losses."""
    row: Row = {f"train/{name}": mean for name, mean in report.means.items()}
    for name in ("policy_loss", "value_loss", "belief_loss"):
        if name in report.means:
            row[f"train/selfplay_{name}"] = report.means[name]
    return row | {
        "train/seconds": report.seconds,
        "train/steps_per_s": report.n_steps / max(report.seconds, 1e-9),
        "stats/total_games": session.progress.total_games,
        "stats/optimizer_steps": session.trainer.optimizer_steps,
        "stats/replay_buffer_selfplay": len(session.replay),
        "stats/replay_buffer_eval_aux": 0,
        "stats/selfplay_mix_ratio": 1.0,
        "stats/eval_aux_mix_ratio": 0.0,
        "ingest/selfplay_examples": tally.n_examples,
        "ingest/selfplay_examples_per_s": tally.examples_per_second(),
        "ingest/eval_aux_seen_examples": tally.n_eval_examples,
        "ingest/eval_aux_kept_examples": 0,
        "ingest/eval_aux_skipped_stale_examples": 0,
        "ingest/eval_aux_skipped_disabled_examples": tally.n_eval_examples,
    }


def evaluation_row(results: Mapping[str, MatchResult]) -> Row:
    row: Row = {}
    for name, result in results.items():
        row |= {
            f"eval/vs_{name}_win_rate": result.win_rate,
            f"eval/vs_{name}_low": result.win_rate_low,
            f"eval/vs_{name}_high": result.win_rate_high,
        }
    return row
