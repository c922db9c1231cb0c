"""What the published state says: the counters, and how the run stands, for `status`."""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from typing import Any

from zebfast.learner.checkpoint import fingerprint
from zebfast.learner.continuation import counted_state
from zebfast.learner.publisher import Snapshot
from zebfast.learner.report import Standing
from zebfast.learner.startup import Session
from zebfast.learner.train_report import TrainReport

_N_PROBLEMS = 10


class Account:
    """Collects what is worth telling while the run goes on.

    ``waiting`` is why training waits at present, None while it goes on; ``running`` becomes False
    with the last push.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.running = True
        self.waiting: str | None = None
        self._problems: deque[dict[str, Any]] = deque(maxlen=_N_PROBLEMS)
        self._losses: dict[str, float] = {}
        self._eval_aux_share = session.sources.eval_aux_share()

    def note_problem(self, line: str) -> None:
        self._problems.append({"unix": round(time.time(), 3), "line": line.strip()})

    def note_cycle(self, report: TrainReport) -> None:
        losses = {name: mean for name, mean in report.means.items() if name.endswith("_loss")}
        self._losses = {name: mean for name, mean in losses.items() if math.isfinite(mean)}
        self._eval_aux_share = report.eval_aux_share

    def standing(self, report: TrainReport, share_of_time: float) -> Standing:
        """How the learner stands at the end of a cycle."""
        session, sources = self._session, self._session.sources
        return Standing(
            total_games=session.progress.total_games,
            eval_aux_games=session.progress.eval_aux_games,
            optimizer_steps=session.trainer.optimizer_steps,
            n_selfplay=len(sources.selfplay),
            n_eval_aux=len(sources.eval_aux),
            eval_aux_enabled=sources.config.enabled,
            eval_aux_policy_weight=sources.config.policy_weight,
            selfplay_reuse=sources.selfplay.mean_draws(),
            eval_aux_reuse=sources.eval_aux.mean_draws(),
            share_of_time=share_of_time,
        )

    def snapshot(self) -> Snapshot:
        """The present weights and counters, copied, to be published."""
        session, progress = self._session, self._session.progress
        state = counted_state(progress, session.trainer.optimizer_steps)
        weights = session.trainer.weights()
        own = fingerprint(progress.step, weights)
        config = session.trainer.net.config.to_dict()
        return Snapshot(weights, config, state | self.renewal(), own)

    def renewal(self) -> dict[str, Any]:
        """What may change in the state without new weights."""
        session, sources = self._session, self._session.sources
        streams = session.ingestor.streams
        course = {} if session.course is None else session.course.state()
        return course | {
            "wandb_run_id": session.progress.wandb_run_id,
            "wandb_url": session.wandb_url,
            "eval_aux_games": session.progress.eval_aux_games,
            "host": socket.gethostname(),
            "updated_unix": round(time.time(), 3),
            "running": self.running,
            "streams": streams.summary(time.time()),
            "workers": {name: dict(found) for name, found in streams.streams.workers.items()},
            "learning": {
                "cycle": session.progress.step,
                **self._losses,
                "replay_buffer_selfplay": len(sources.selfplay),
                "replay_buffer_eval_aux": len(sources.eval_aux),
                "replay_reuse": round(sources.selfplay.mean_draws(), 2),
                "eval_aux_enabled": sources.config.enabled,
                "eval_aux_mix_ratio": self._eval_aux_share,
                "eval_aux_policy_weight": sources.config.policy_weight,
                "waiting": self.waiting,
            },
            "problems": list(self._problems),
        }
