"""Where a run stands in its recipe, from the events of its learner."""

from __future__ import annotations

import pytest

from zebfast.experiment.status.recipe_progress import RecipeWatch, progress_at
from zebfast.learner.recipe import Recipe, parse_recipe
from zebfast.system.events import CycleDone, Ingested

STAGE = """
[[stages]]
name = "{name}"
until_games = {until}
producer = {{ mode = "{mode}" }}
lr = 1e-3
lr_end = 1e-4
reuse = 2.0
"""


@pytest.fixture
def recipe() -> Recipe:
    stages = [("exact", 1000, "exact"), ("rollout", 4000, "rollout")]
    texts = (STAGE.format(name=name, until=until, mode=mode) for name, until, mode in stages)
    return parse_recipe('name = "two"\n' + "".join(texts))


def done(cycle: int, games: int) -> CycleDone:
    """As the learner tells it."""
    losses = {"train/policy_loss": 1.5, "train/value_loss": 0.5}
    return CycleDone(cycle=cycle, metrics={**losses, "stats/total_games": games})


def test_stages_by_games(recipe: Recipe) -> None:
    first, second, end = (progress_at(recipe, games) for games in (0, 1000, 5000))
    assert (first.stage, first.number, first.until_games, first.share) == ("exact", 1, 1000, 0.0)
    assert (second.stage, second.number, second.until_games) == ("rollout", 2, 4000)
    assert (end.stage, end.number, end.share) == ("rollout", 2, 1.0)
    assert str(second) == "stage rollout (2 of 2) | 1,000 of 4,000 games | 25% of all"


def test_rate_and_time_left_are_of_the_stage(recipe: Recipe) -> None:
    watch = RecipeWatch(recipe, games=100)
    assert watch.progress().games == 100
    for now, cycle, games in ((0.0, 1, 200), (10.0, 2, 1100), (20.0, 3, 1200)):
        watch.take(Ingested(files=4, examples=28672, n_selfplay=28672), now=now)
        watch.take(done(cycle, games), now=now)
    progress = watch.progress()
    assert progress.games_per_s == pytest.approx(10.0), "games of the stage before do not count"
    assert progress.seconds_left == pytest.approx(280.0)
    assert str(progress).endswith("10.0 games/s | ETA 4 min")
    assert watch.losses == "cycle 3: policy_loss=1.5000, value_loss=0.5000"


def test_the_rate_is_of_the_last_minutes(recipe: Recipe) -> None:
    watch = RecipeWatch(recipe)
    for now, games in ((0.0, 100), (500.0, 200), (510.0, 300)):
        watch.take(done(1, games), now=now)
    assert watch.progress().games_per_s == pytest.approx(10.0)


def test_nothing_left_at_the_end(recipe: Recipe) -> None:
    assert progress_at(recipe, 4100, 5.0).seconds_left == 0
    assert progress_at(recipe, 10, None).seconds_left is None
