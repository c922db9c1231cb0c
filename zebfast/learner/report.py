"""What a cycle looks like in the log and in the metrics; people grep for these very words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from zebfast.arena.stats import MatchResult
from zebfast.learner.data.ingest import IngestReport
from zebfast.learner.evaluation import Look, decided_share
from zebfast.learner.metrics import Row
from zebfast.learner.recipe import BEST
from zebfast.learner.state import CourseProgress
from zebfast.learner.train.trainer import TrainReport

_LOSSES = ("policy_loss", "value_loss", "belief_loss", "points_loss", "play_loss")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where the learner stands when a cycle ends: all that is told besides the losses.

    Attributes:
        total_games: self-play games counted so far; ``eval_aux_games`` those of the other source.
        optimizer_steps: since the namespace began.
        n_selfplay: examples in the self-play buffer; ``n_eval_aux`` in the other one.
        eval_aux_enabled: is that stream read at all.
        eval_aux_policy_weight: weight of their policy loss.
        selfplay_reuse: how often the average example of the buffer has been drawn, None while
            that is not known; ``eval_aux_reuse`` the same for the other buffer.
        share_of_time: part of the time since the last cycle that was spent training.
    """

    total_games: int
    optimizer_steps: int
    n_selfplay: int
    n_eval_aux: int = 0
    eval_aux_games: int = 0
    eval_aux_enabled: bool = False
    eval_aux_policy_weight: float = 0.0
    selfplay_reuse: float | None = None
    eval_aux_reuse: float | None = None
    share_of_time: float | None = None


@dataclass
class Tally:
    """What has been ingested since the last row of metrics, in examples.

    Of the eval-aux examples ``seen``, each was kept, or skipped as stale (too old, or thinned out
    by age), or skipped because the stream is disabled.
    """

    started: float = field(default_factory=time.monotonic)
    selfplay: int = 0
    eval_aux_seen: int = 0
    eval_aux_kept: int = 0
    eval_aux_stale: int = 0
    eval_aux_disabled: int = 0

    def add(self, report: IngestReport) -> None:
        self.selfplay += report.n_examples
        self.eval_aux_seen += report.eval_aux_seen
        self.eval_aux_kept += report.eval_aux_kept
        self.eval_aux_stale += report.eval_aux_stale
        self.eval_aux_disabled += report.eval_aux_disabled

    def row(self) -> Row:
        seconds = max(time.monotonic() - self.started, 1e-9)
        return {
            "ingest/selfplay_examples": self.selfplay,
            "ingest/selfplay_examples_per_s": self.selfplay / seconds,
            "ingest/eval_aux_seen_examples": self.eval_aux_seen,
            "ingest/eval_aux_kept_examples": self.eval_aux_kept,
            "ingest/eval_aux_skipped_stale_examples": self.eval_aux_stale,
            "ingest/eval_aux_skipped_disabled_examples": self.eval_aux_disabled,
        }


def ingest_line(report: IngestReport, n_selfplay: int, n_eval_aux: int | None) -> str:
    """One look at the example store; ``n_eval_aux`` is None while that stream is disabled."""
    eval_aux = ""
    if report.eval_aux_seen:
        skipped = [
            f", {n:,} {why}"
            for n, why in ((report.eval_aux_stale, "stale"), (report.eval_aux_disabled, "disabled"))
            if n
        ]
        eval_aux = f" (eval_aux: {report.eval_aux_kept:,} of {report.eval_aux_seen:,} kept"
        eval_aux += "".join(skipped) + ")"
    held = f"buffer: {n_selfplay:,}"
    if n_eval_aux is not None:
        held = f"selfplay: {n_selfplay:,}, eval_aux: {n_eval_aux:,}"
    return f"Ingested {report.n_examples:,} examples from {report.n_files} files{eval_aux} [{held}]"


def cycle_line(step: int, report: TrainReport, standing: Standing) -> str:
    means = report.means
    told = [f"{name}={means[name]:.4f}" for name in _LOSSES if name in means]
    line = f"Cycle {step:4d}: {', '.join(told)} (train={report.seconds:.2f}s)"
    held = f"buffer: {standing.n_selfplay:,}"
    if standing.eval_aux_enabled:
        share = report.eval_aux_share
        line += f", mix(self/eval)={1 - share:.2f}/{share:.2f}"
        line += f", eval_aux_policy_w={standing.eval_aux_policy_weight:g}"
        held = f"selfplay: {standing.n_selfplay:,}, eval_aux: {standing.n_eval_aux:,}"
    if standing.selfplay_reuse is not None:
        line += f", reuse={standing.selfplay_reuse:.1f}"
    return f"{line} [{held}, games: {standing.total_games:,}]"


def cycle_row(report: TrainReport, standing: Standing, tally: Tally) -> Row:
    """The metrics of one cycle; ``train/*`` are the means of ``report``."""
    row: Row = {f"train/{name}": mean for name, mean in report.means.items()}
    row |= {
        "train/seconds": report.seconds,
        "train/steps_per_s": report.n_steps / max(report.seconds, 1e-9),
        "train/share_of_time": standing.share_of_time,
        "stats/total_games": standing.total_games,
        "stats/eval_aux_games": standing.eval_aux_games,
        "stats/optimizer_steps": standing.optimizer_steps,
        "stats/replay_buffer_selfplay": standing.n_selfplay,
        "stats/replay_buffer_eval_aux": standing.n_eval_aux,
        "stats/selfplay_mix_ratio": 1 - report.eval_aux_share,
        "stats/eval_aux_mix_ratio": report.eval_aux_share,
        "stats/eval_aux_policy_weight": standing.eval_aux_policy_weight,
        "stats/replay_reuse": standing.selfplay_reuse,
        "stats/eval_aux_replay_reuse": standing.eval_aux_reuse,
    }
    return row | tally.row()


def evaluation_line(step: int, results: Mapping[str, MatchResult]) -> str:
    parts = [
        f"vs {name} {r.win_rate:.1%} won (95 % interval {r.win_rate_low:.1%} to "
        f"{r.win_rate_high:.1%}, {r.games:,} games)"
        for name, r in results.items()
    ]
    return f"Eval  {step:4d}: {', '.join(parts)}"


def evaluation_row(results: Mapping[str, MatchResult], total_games: int) -> Row:
    """The metrics of one evaluation; the games are there as the other x-axis of its curve."""
    row: Row = {"stats/total_games": total_games}
    for name, result in results.items():
        row |= {
            f"eval/vs_{name}_win_rate": result.win_rate,
            f"eval/vs_{name}_low": result.win_rate_low,
            f"eval/vs_{name}_high": result.win_rate_high,
        }
    return row


def look_line(step: int, look: Look, course: CourseProgress) -> str:
    """A look, as an evaluation is told, and what became of it; ``course`` is that before it."""
    line = evaluation_line(step, look.results) if look.results else f"Eval  {step:4d}:"
    if look.versus_best is None or course.best is None:
        return f"{line}; the first to be the best"
    found = "not worse: the new best" if look.is_best else "the best stays"
    if look.is_collapse:
        found = f"collapsed: the weights go back to those of step {course.best['step']}"
    share = decided_share(look.versus_best)
    return f"{line}; vs best (step {course.best['step']}) {share:.1%} of decided: {found}"


def look_row(look: Look, number: int, total_games: int) -> Row:
    """The metrics of one look: those of an evaluation, and how the best so far fared."""
    results = dict(look.results)
    if look.versus_best is not None:
        results[BEST] = look.versus_best
    row = evaluation_row(results, total_games)
    for name, result in results.items():
        row |= {
            f"eval/vs_{name}_decided": decided_share(result),
            f"eval/vs_{name}_match_games": result.games,
        }
    row |= {
        "arena/look": number,
        "arena/is_best": int(look.is_best),
        "arena/collapse": int(look.is_collapse),
        "arena/z": look.z,
    }
    return row
