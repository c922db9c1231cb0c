"""How far a run has followed its recipe, from the events that its learner tells."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from zebfast.experiment.status.liveness import age
from zebfast.learner.recipe import Recipe
from zebfast.system.events import CycleDone, Event, losses_text

_RATE_SECONDS = 300.0


@dataclass(frozen=True)
class RecipeProgress:
    """Where a run stands.

    Attributes:
        stage: name of the stage; ``number`` counts from 1.
        games: counted so far; ``until_games`` the end of the stage, ``total_games`` of the run.
        games_per_s: over the last minutes; None while that is not known.
    """

    stage: str
    number: int
    n_stages: int
    games: int
    until_games: int
    total_games: int
    games_per_s: float | None = None

    @property
    def share(self) -> float:
        """Part of the run's games, 0 to 1."""
        return min(1.0, self.games / self.total_games)

    @property
    def seconds_left(self) -> float | None:
        """To the end of the run at the present rate, whatever the later stages play at."""
        if not self.games_per_s:
            return None
        return max(0, self.total_games - self.games) / self.games_per_s

    def __str__(self) -> str:
        if self.games >= self.total_games:
            return f"all {self.n_stages} stages are played | {self.games:,} games"
        parts = [
            f"stage {self.stage} ({self.number} of {self.n_stages})",
            f"{self.games:,} of {self.until_games:,} games",
            f"{self.share:.0%} of all",
        ]
        if self.games_per_s:
            parts.append(f"{self.games_per_s:.1f} games/s")
        if self.seconds_left is not None:
            parts.append(f"ETA {age(self.seconds_left)}")
        return " | ".join(parts)


def progress_at(recipe: Recipe, games: int, games_per_s: float | None = None) -> RecipeProgress:
    """Where a run with so many counted games stands."""
    index = recipe.index_at(games)
    stage = recipe.stages[index]
    return RecipeProgress(
        stage=stage.name,
        number=index + 1,
        n_stages=len(recipe.stages),
        games=games,
        until_games=stage.until_games,
        total_games=recipe.total_games,
        games_per_s=games_per_s,
    )


@dataclass
class RecipeWatch:
    """Listens to a learner; ``games`` are those counted before it began."""

    recipe: Recipe
    games: int = 0
    losses: str = ""
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def take(self, event: Event, *, now: float) -> None:
        """Take in what the learner tells, told at ``now`` (seconds of any clock)."""
        if not isinstance(event, CycleDone):
            return
        self.games = int(event.metrics.get("stats/total_games") or 0)
        self.losses = f"cycle {event.cycle}: {losses_text(event.metrics)}"
        self._seen.append((now, self.games))
        while now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()

    def progress(self) -> RecipeProgress:
        """Where the run stands now, at the rate of this stage: another producer has another."""
        first, rate = self.recipe.first_games(self.recipe.index_at(self.games)), None
        own = [(when, games) for when, games in self._seen if games >= first]
        if len(own) > 1 and own[-1][0] > own[0][0]:
            rate = (own[-1][1] - own[0][1]) / (own[-1][0] - own[0][0])
        return progress_at(self.recipe, self.games, rate)
