"""A run's way through its recipe: which stage it is in, at what rate, how much may be trained.

The stage is that of the counted games. Every example brings ``reuse`` rows to be trained, and
training never takes more, so how a run goes does not depend on which side is the faster one. The
learning rate falls with the games, and not ahead of the rows trained: where training is the slower
side, it still ends at ``lr_end``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from zebfast.exchange import Say
from zebfast.learner.data.mixture import Sources
from zebfast.learner.recipe import Recipe, Stage
from zebfast.learner.state import CourseProgress

if TYPE_CHECKING:
    from zebfast.learner.state import Progress

#: The producer of a run that has all its games: workers that follow it have nothing to do.
NO_PRODUCER = {"mode": "none"}


class Course:
    """Follows ``recipe`` in ``progress``, whose course it keeps right.

    Attributes:
        saved: the course as it is saved.
        entered: a stage has begun that nobody has been told of; the loop clears it.
    """

    def __init__(self, recipe: Recipe, progress: Progress, sources: Sources, say: Say) -> None:
        self.recipe = recipe
        if progress.course is None:
            progress.course = CourseProgress(stage=recipe.index_at(progress.total_games))
        self.saved = progress.course
        self.entered = False
        self._progress, self._sources, self._say = progress, sources, say
        self._ticked = time.monotonic()
        # The file may have been edited since: games alone decide.
        self._go_to(recipe.index_at(progress.total_games))
        if not self.entered:
            self._announce("")

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
        saved, held = self.saved, len(self._sources.selfplay)
        saved.rows_due = min(saved.rows_due, saved.rows_done + held * self.stage.reuse)
        return max(0, int(saved.rows_due - saved.rows_done)) // self.stage.batch_size

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

    def last_line(self) -> str:
        """What a finished run says of itself."""
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
        saved.stage, self.entered = index, True
        saved.rows_due, saved.rows_done = max(0.0, saved.rows_due - saved.rows_done), 0
        dropped = ""
        if self.stage.forget:
            dropped = f", {len(self._sources.selfplay):,} older examples dropped"
            self._sources.selfplay.clear()
            saved.forgotten = sorted(self._progress.ledger)
            saved.rows_due = 0.0
        self._announce(dropped)

    def _announce(self, dropped: str) -> None:
        stage = self.stage
        self._say(
            f"Stage {self.saved.stage + 1} of {len(self.recipe.stages)}, {stage.name}: "
            f"{stage.producer['mode']} games up to {stage.until_games:,}, lr {stage.lr:g} to "
            f"{stage.lr_end:g}, reuse {stage.reuse:g}{dropped}"
        )



