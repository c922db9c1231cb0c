"""What `status` says of made-up looks at an experiment that follows a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from zebfast.experiment.experiment import Experiment, find_recipe, load_recipe
from zebfast.experiment.runlog import Run
from zebfast.experiment.status.checks import run_checks
from zebfast.experiment.status.liveness import Check, current_stage, stage_or_first, stream_of
from zebfast.experiment.status.report import status_of
from zebfast.experiment.status.snapshot import Facts, Producer
from zebfast.experiment.watch.verdict import Limits, judge
from zebfast.selfplay.producer_kinds import EXACT, ROLLOUT, SELFPLAY

NOW = 1_800_000_000.0
RUN = Run(id="r", stage="recipe", host="here", pid=7, version="0.1.0", started=NOW - 7200,
          config_file="configs/x.toml")  # fmt: skip
WORKER = Producer("local-0", 4, NOW - 60, source=ROLLOUT.source, model_step=9, games_per_s=10.0)
COUNTED = {"games": 96, "examples": 2000, "first_unix": NOW - 600, "last_unix": NOW - 300}
Look = Callable[..., Facts]


@pytest.fixture
def look(make_experiment: Callable[..., Experiment]) -> Look:
    """A look at a run in the second stage of `quick` that has nothing wrong with it."""

    def make(*, games: int = 600, finished: bool = False, **changes: Any) -> Facts:
        state = {
            "step": 10, "total_games": games, "updated_unix": NOW - 20,
            "recipe": {"finished": finished}, "workers": {},
            "streams": {EXACT.source: {"files": 3, **COUNTED}},
        }  # fmt: skip
        row = {"step": 10, "time": NOW - 20, "train/policy_loss": 0.5,
               "stats/total_games": games, "stats/eval_aux_mix_ratio": 0.0}  # fmt: skip
        base: dict[str, Any] = {
            "experiment": make_experiment(recipe="quick"), "now": NOW, "here": "here",
            "state": state, "producers": (WORKER,), "rows": (row,), "runs": (RUN,), "process": 7,
            "recipe": load_recipe(find_recipe("quick")),
        }  # fmt: skip
        return Facts(**(base | changes))

    return make


def found(facts: Facts) -> dict[str, Check]:
    return {check.name: check for check in run_checks(facts)}


def test_the_screen_shows_stage_games_and_streams(look: Look) -> None:
    status = status_of(look())
    assert status.stage == "recipe"
    assert str(status.recipe) == (
        "stage rollout (2 of 2) | 600 of 1,024 games | 59% of all | 10.0 games/s | ETA 42 s"
    )
    assert status.to_json()["recipe"]["stage"] == "rollout"
    files = {stream.source: (stream.n_files, stream.seconds_since) for stream in status.streams}
    assert files == {EXACT.source: (3, 300.0), ROLLOUT.source: (4, 60.0)}
    assert status.problems == ()


def test_teachers_are_of_the_stream_that_is_trained_on(look: Look) -> None:
    assert stream_of(WORKER) == SELFPLAY.source
    assert found(look())["example files"].state == "ok"
    old = Producer("local-0", 4, NOW - 7200, source=EXACT.source)
    check = found(look(producers=(old,)))["example files"]
    assert check.state == "wrong"
    assert "--mode recipe" in check.fix
    verdict = judge(look(producers=()), {}, Limits(grace=1e9))
    assert verdict.state == "healthy"


def test_before_the_first_run(look: Look) -> None:
    facts = look(runs=(), process=None, rows=(), state=None, producers=())
    assert current_stage(facts) is None
    assert stage_or_first(facts) == "recipe"
    fix = found(facts)["learner"].fix
    assert "zebfast experiment learn first" in fix
    assert "--stage" not in fix


def test_all_games_are_not_yet_the_end(look: Look) -> None:
    checks = found(look(games=1024, process=None, producers=()))
    assert checks["example files"].state == "off"
    assert checks["learner"].state == "wrong", "what the games bring is not trained yet"
    done = found(look(games=1024, finished=True, process=None, producers=()))
    assert (done["learner"].state, done["learner"].found[:18]) == ("off", "the recipe is done")
