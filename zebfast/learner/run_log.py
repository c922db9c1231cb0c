"""What a run tells while it goes on, and what the published state says of it."""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from typing import Any, Literal

from zebfast.learner.data.ingest import IngestReport
from zebfast.learner.data.replay import ReplayMixture, ReplayRatioGuard
from zebfast.learner.metrics import cycle_row
from zebfast.learner.schedule import Schedule
from zebfast.learner.state import Progress
from zebfast.learner.train.trainer import TrainReport
from zebfast.system.events import CycleDone, Event, Incident, Ingested, Waiting, emit

_LONG_SCAN_SECONDS = 10.0
_N_PROBLEMS = 10
_MOST_LETTERS = 500  # of a problem
# Incidents that those who only see the published state should know of, too.
_PUBLISHED = frozenset({"diverged", "exchange", "memorising", "missing targets", "refused file"})


class RunStatus:
    """How the run stands, for `status`: ``take`` subscribes to the events of the run.

    ``running`` becomes False with the last push.
    """

    def __init__(
        self, progress: Progress, mixture: ReplayMixture, schedule: Schedule, wandb_url: str | None
    ) -> None:
        self.running = True
        self._progress, self._mixture, self._schedule = progress, mixture, schedule
        self._wandb_url = wandb_url
        self._waiting: str | None = None
        self._problems: deque[dict[str, Any]] = deque(maxlen=_N_PROBLEMS)
        self._losses: dict[str, float] = {}
        self._eval_aux_share = mixture.eval_aux_share()

    def take(self, event: Event) -> None:
        match event:
            case Waiting():
                self._waiting = event.text or None
            case Incident() if event.what in _PUBLISHED:
                line = event.text.strip()[:_MOST_LETTERS]
                self._problems.append({"unix": round(event.unix, 3), "line": line})
            case CycleDone():
                row = event.metrics
                self._losses = {
                    name.removeprefix("train/"): loss
                    for name, loss in row.items()
                    if name.startswith("train/") and name.endswith("_loss")
                    if loss is not None and math.isfinite(loss)
                }
                self._eval_aux_share = row["stats/eval_aux_mix_ratio"] or 0.0

    def state(self) -> dict[str, Any]:
        """What may change in the published state without new weights."""
        progress, mixture, streams = self._progress, self._mixture, self._progress.streams
        return self._schedule.state() | {
            "wandb_run_id": progress.wandb_run_id,
            "wandb_url": self._wandb_url,
            "eval_aux_games": progress.eval_aux_games,
            "host": socket.gethostname(),
            "updated_unix": round(time.time(), 3),
            "running": self.running,
            "streams": streams.summary(time.time()),
            "workers": streams.newest_workers(),
            "learning": {
                "cycle": progress.step,
                **self._losses,
                "replay_buffer_selfplay": len(mixture.selfplay),
                "replay_buffer_eval_aux": len(mixture.eval_aux),
                "replay_reuse": round(mixture.selfplay.replay_ratio(), 2),
                "eval_aux_enabled": mixture.config.enabled,
                "eval_aux_mix_ratio": self._eval_aux_share,
                "eval_aux_policy_weight": mixture.config.policy_weight,
                "waiting": self._waiting,
            },
            "problems": list(self._problems),
        }


class RunLogger:
    """Makes events of what happens: files taken in, cycles, why training waits."""

    def __init__(
        self, progress: Progress, mixture: ReplayMixture, schedule: Schedule, *, max_ratio: float
    ) -> None:
        self._progress, self._mixture, self._schedule = progress, mixture, schedule
        self._ratio_guard = ReplayRatioGuard(max_ratio)
        self._waiting = ""
        self._untold = IngestReport()  # since the last line, and since the last row
        self._of_cycle = IngestReport()
        self._untold_since = self._cycle_began = time.monotonic()

    def waiting(self, reason: Literal["", "examples", "fresh examples"], text: str = "") -> None:
        """Why training waits now; told when it changes, not at every look."""
        if text != self._waiting:
            self._waiting = text
            emit(Waiting(reason=reason, text=text))

    def ingested(self, report: IngestReport, *, flush: bool = False) -> None:
        """Files were taken in: told once a scan, and every few seconds of a long one."""
        now = time.monotonic()
        self._of_cycle.add(report)
        self._untold.add(report)
        is_over = flush or report.scan_done or now - self._untold_since > _LONG_SCAN_SECONDS
        if not self._untold.files:
            self._untold_since = now
        elif is_over:
            mixture = self._mixture
            n_eval_aux = len(mixture.eval_aux) if mixture.config.enabled else 0
            emit(
                Ingested(
                    n_selfplay=len(mixture.selfplay),
                    n_eval_aux=n_eval_aux or None,
                    **self._untold.counts(),
                )
            )
            self._untold, self._untold_since = IngestReport(), now

    def cycle(self, report: TrainReport, optimizer_steps: int) -> None:
        """A cycle has ended; what was told of time and files since the one before begins anew."""
        now, mixture = time.monotonic(), self._mixture
        seconds = now - self._cycle_began
        row = cycle_row(
            report,
            progress=self._progress,
            mixture=mixture,
            optimizer_steps=optimizer_steps,
            share_of_time=report.seconds / max(seconds, report.seconds, 1e-9),
        )
        row |= self._of_cycle.row(seconds) | self._schedule.row()
        self._of_cycle, self._cycle_began = IngestReport(), now
        emit(CycleDone(cycle=self._progress.step, metrics=row, eval_aux=mixture.config.enabled))
        for name, replay in (("self-play", mixture.selfplay), ("eval-aux", mixture.eval_aux)):
            if warning := self._ratio_guard.check(name, replay):
                emit(Incident(what="memorising", text=warning))
