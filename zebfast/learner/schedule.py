"""A run's way through its recipe: which stage it is in, at what rate, how much may be trained.

The stage is that of the counted games. Every example brings ``reuse`` rows to be trained, and
training never takes more, so how a run goes does not depend on which side is the faster one. The
learning rate falls with the games, and not ahead of the rows trained: where training is the slower
side, it still ends at ``lr_end``. A run of flags has one stage without an end, at one rate, and
trains as it can.
"""

from __future__ import annotations

import time
from typing import Any

from zebfast.learner.data.replay import ReplayMixture
from zebfast.learner.metrics import MetricsRow
from zebfast.learner.recipe import Recipe, Stage
from zebfast.learner.state import Progress, ScheduleProgress
from zebfast.selfplay.producer_kinds import PLAY_VALUE_SOURCES
from zebfast.system.events import StageChanged, emit

#: The producer of a run that has all its games: workers that follow it have nothing to do.
NO_PRODUCER = {"mode": "none"}
# Fewer steps than batches are drawn for at once are waited for: each call costs the device a wait.
_WORTHWHILE_STEPS = 32


class Schedule:
    """Follows ``recipe`` in ``progress``, whose schedule it keeps right.

    Attributes:
        saved: where the run is. An endless recipe has nothing of it to be saved.
        stage_changed: a stage has begun that nobody has been told of; the loop clears it.
    """

    def __init__(self, recipe: Recipe, progress: Progress, mixture: ReplayMixture) -> None:
        self.recipe = recipe
        self.saved = ScheduleProgress()
        if not self.recipe.is_endless:
            # The file may have been edited since: games alone decide.
            at = ScheduleProgress(stage=recipe.index_at(progress.total_games))
            self.saved = progress.schedule = progress.schedule or at
        self.stage_changed = False
        self._progress, self._mixture = progress, mixture
        self._ticked = time.monotonic()
        self._go_to(recipe.index_at(progress.total_games))
        if not self.stage_changed:
            self._announce()

    @property
    def stage(self) -> Stage:
        return self.recipe.stages[self.saved.stage]

    @property
    def producer(self) -> dict[str, Any]:
        """What workers that follow the run are to do."""
        return NO_PRODUCER if self.has_all_games else dict(self.stage.producer)

    @property
    def has_all_games(self) -> bool:
        return self._progress.total_games >= self.recipe.total_games

    @property
    def is_done(self) -> bool:
        """All games are counted, and all rows trained that they bring."""
        return self.saved.finished or (self.has_all_games and not self.n_steps())

    def tick(self) -> None:
        """Count the time since the last call."""
        now = time.monotonic()
        self.saved.minutes += (now - self._ticked) / 60
        self._ticked = now

    def count(self, n_examples: int, n_games: int) -> None:
        """A new file has just been counted; its stage is the present one.

        Files that come when all games were there already, as some do, bring no rows.
        """
        if self._progress.total_games - n_games < self.recipe.total_games:
            self.saved.rows_due += n_examples * self.stage.reuse
        self._go_to(self.recipe.index_at(self._progress.total_games))

    def n_steps(self) -> int:
        """Optimizer steps that may be taken now; a buffer's worth of rows can wait, and no more."""
        saved, held = self.saved, len(self._mixture.selfplay)
        saved.rows_due = min(saved.rows_due, saved.rows_done + held * self.stage.reuse)
        return max(0, int(saved.rows_due - saved.rows_done)) // self.stage.batch_size

    def steps_now(self, wanted: int) -> int:
        """Steps to take now, of ``wanted`` in the cycle; 0 while hardly any are allowed."""
        if not self.stage.reuse:
            return wanted
        allowed = self.n_steps()
        worthwhile = 1 if self.has_all_games else min(wanted, _WORTHWHILE_STEPS)
        return min(wanted, allowed) if allowed >= worthwhile else 0

    def rate(self, n_steps: int) -> float:
        """Learning rate of the next step, which is counted, after ``n_steps`` of the whole run."""
        stage, saved = self.stage, self.saved
        trained = min(1.0, saved.rows_done / max(saved.rows_due, 1.0))
        saved.rows_done += stage.batch_size
        part = self.recipe.share_done(self._progress.total_games) * trained
        rate = stage.lr + (stage.lr_end - stage.lr) * part
        warmup = self.recipe.training.warmup_steps
        return rate * min(1.0, (n_steps + 1) / warmup) if warmup else rate

    def state(self) -> dict[str, Any]:
        """What the published state says of it, for workers and for people."""
        if self.recipe.is_endless:
            return {}
        recipe, saved = self.recipe, self.saved
        return {
            "producer": self.producer,
            "stage": self.stage.name,
            "recipe": {
                "name": recipe.name,
                "stage": self.stage.name,
                "index": saved.stage,
                "n_stages": len(recipe.stages),
                "stage_games": self.stage.until_games,
                "total_games": recipe.total_games,
                "minutes": round(saved.minutes, 3),
                "finished": saved.finished,
            },
            "arena": {"looks": saved.looks, "best": saved.best, "last": saved.last},
        }

    def row(self) -> MetricsRow:
        """What rows of metrics say of it."""
        if self.recipe.is_endless:
            return {}
        labelled = (self._progress.streams.sources.get(source) for source in PLAY_VALUE_SOURCES)
        return {
            "stats/minutes": round(self.saved.minutes, 3),
            "stats/stage": self.saved.stage,
            "stats/labels": sum(found["examples"] for found in labelled if found is not None),
        }

    def last_words(self) -> str | None:
        """What a finished run says of itself; None of one that goes on."""
        if not self.saved.finished:
            return None
        best, progress = self.saved.best or {}, self._progress
        return (
            f"Recipe {self.recipe.name} is done: {progress.total_games:,} games, cycle "
            f"{progress.step}, {self.saved.minutes:.1f} minutes; the best network is that of cycle "
            f"{best.get('step')} and is what is published"
        )

    def _go_to(self, index: int) -> None:
        saved = self.saved
        if index == saved.stage:
            return
        saved.stage, self.stage_changed = index, True
        saved.rows_due, saved.rows_done = max(0.0, saved.rows_due - saved.rows_done), 0
        dropped = None
        if self.stage.forget:
            dropped = len(self._mixture.selfplay)
            self._mixture.selfplay.clear()
            saved.forgotten = sorted(self._progress.ledger)
            saved.rows_due = 0.0
        self._announce(dropped)

    def _announce(self, dropped: int | None = None) -> None:
        if self.recipe.is_endless:
            return
        stage = self.stage
        emit(
            StageChanged(
                stage=stage.name,
                number=self.saved.stage + 1,
                n_stages=len(self.recipe.stages),
                mode=stage.producer["mode"],
                until_games=stage.until_games,
                lr=stage.lr,
                lr_end=stage.lr_end,
                reuse=stage.reuse,
                dropped=dropped,
            )
        )
