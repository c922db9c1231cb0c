"""What training steps leave behind: sums on the device, then a report of means by metric name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from zebfast.exchange import ExchangeError
from zebfast.learner.losses import DIAGNOSTICS, LOSSES, SOURCES

_EACH_STEP = (*LOSSES, "grad_norm")
_DIAGNOSTICS = (*DIAGNOSTICS, "grad_norm_value_head")


class TrainingDiverged(ExchangeError):
    """The losses are no longer numbers; nothing of that cycle was saved or published."""


@dataclass(frozen=True)
class TrainReport:
    """What some optimizer steps did: how many, how long, and means by metric name.

    ``seconds`` leaves out what was done between the steps. ``eval_aux_share`` is the part of the
    rows of the batches that were eval-aux ones.
    """

    n_steps: int
    seconds: float
    means: dict[str, float]
    eval_aux_share: float = 0.0

    def require_numbers(self, *, cycle: int, lr: float) -> None:
        """TrainingDiverged where a loss is no number."""
        for name in ("policy_loss", "value_loss", "play_loss"):
            if not math.isfinite(self.means.get(name, 0.0)):
                raise TrainingDiverged(
                    f"{name} became {self.means[name]} in cycle {cycle}: the last checkpoint is "
                    f"untouched; restart with a lower --lr than {lr:g}"
                )


class Sums:
    """Sums over steps that stay on the device until the end, so that the host need not wait."""

    def __init__(self, device: torch.device) -> None:
        self.each_step = torch.zeros(len(_EACH_STEP), device=device)
        self.diagnostics = torch.zeros(len(_DIAGNOSTICS), device=device)
        self.by_source = torch.zeros(2, len(SOURCES), len(LOSSES), device=device)
        self.n_steps = self.n_diagnosed = 0

    def means(self) -> dict[str, float]:
        """Means by metric name; a source's losses are means over all its rows."""
        per_step = (self.each_step / max(self.n_steps, 1)).tolist()
        means = dict(zip(_EACH_STEP, per_step, strict=True))
        if self.n_diagnosed:
            diagnostics = (self.diagnostics / self.n_diagnosed).tolist()
            means |= dict(zip(_DIAGNOSTICS, diagnostics, strict=True))
        sums, counts = self.by_source.tolist()
        for source, of_source, n_of_source in zip(SOURCES, sums, counts, strict=True):
            for name, total, n in zip(LOSSES, of_source, n_of_source, strict=True):
                if n:
                    means[f"{source}_{name}"] = total / n
        if "taught_play_loss" not in means:
            del means["play_loss"]
        elif not {"selfplay_policy_loss", "eval_aux_policy_loss"} & means.keys():
            means["policy_loss"] = means["taught_policy_loss"]
        return means


def merge_reports(reports: Sequence[TrainReport]) -> TrainReport:
    """One report of several parts of a cycle; a metric is the mean over the steps that have it.

    The learning rate is that of the last one.
    """
    if len(reports) == 1:
        return reports[0]
    n_steps = sum(report.n_steps for report in reports)
    means: dict[str, float] = {}
    for name in dict.fromkeys(name for report in reports for name in report.means):
        parts = [(r.means[name], r.n_steps) for r in reports if name in r.means]
        means[name] = sum(mean * n for mean, n in parts) / sum(n for _, n in parts)
    means["lr"] = reports[-1].means["lr"]
    share = sum(report.eval_aux_share * report.n_steps for report in reports) / n_steps
    return TrainReport(n_steps, sum(report.seconds for report in reports), means, share)
