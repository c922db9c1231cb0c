"""Whole runs of a recipe: stages, evaluations, the best network, interruptions."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning import learn, run, state_of
from taught import add_taught_file, tiny_recipe

from zebfast.arena.stats import MatchResult, MatchTally
from zebfast.exchange import LocalWeightStore
from zebfast.learner.config import LearnerConfig
from zebfast.learner.evaluation import Evaluation, MatchEvaluator
from zebfast.learner.metrics import read_metrics
from zebfast.learner.recipe import BEST
from zebfast.learner.state import TrainingCheckpoint, load_checkpoint
from zebfast.learner.train.trainer import Trainer
from zebfast.net import checkpoint as model_file
from zebfast.net.v2 import V2Config
from zebfast.system.files import write_atomic

TINY = V2Config(width=16, n_blocks=1, belief_head=True)
Make = Callable[..., LearnerConfig]


@pytest.fixture
def make(make_config: Make, tmp_path: Path) -> Make:
    """``make(run, *replaced, **changes)``: quick runs of the tiny recipe, with their examples."""
    path = tmp_path / "tiny.pt"
    model_file.save(model_file.fresh(TINY, seed=1), path)

    def made(run: str = "run", *replaced: tuple[str, str], **changes: Any) -> LearnerConfig:
        recipe = tiny_recipe(*replaced)
        own = {"amp_dtype": "bf16"} | asdict(recipe.training)
        flags = own | {"checkpoint": path, "recipe": recipe} | changes
        config = make_config(run, **(flags | {"replay_buffer_size": 1000}))
        for number in range(4):
            assert config.examples.path is not None
            add_taught_file(config.examples.path, number)
        return config

    return made


def saved_by(config: LearnerConfig) -> TrainingCheckpoint:
    saved = load_checkpoint(config.checkpoint_path)
    assert saved is not None
    return saved


def published_by(config: LearnerConfig) -> dict[str, np.ndarray]:
    pulled = LocalWeightStore(config.stores.state_dir, config.namespace).pull()
    assert pulled is not None
    return pulled.state_dict


def same_weights(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    return all(np.array_equal(weight, theirs[name]) for name, weight in ours.items())


def versus(wins: int, losses: int) -> MatchResult:
    tally = MatchTally(deals=(wins + losses) // 2, wins=wins, losses=losses)
    return tally.result(player_a="candidate", player_b="best", seed=1, seconds=1.0)


def test_a_run_ends_by_itself_and_leaves_the_best(make: Make) -> None:
    config = make()
    lines = run(config)
    text = "\n".join(lines)
    assert "Stage 1 of 2, first: exact games up to 4, lr 0.01 to 0.001, reuse 2" in text
    assert "Stage 2 of 2, second: rollout games up to 8" in text
    assert "older examples dropped" in text
    assert lines[-1].startswith("Recipe tiny is done: 8 games")
    state = state_of(config)
    assert (state["stage"], state["producer"]) == ("second", {"mode": "none"})
    assert state["recipe"]["finished"]
    assert state["arena"]["looks"] == 2
    best = model_file.load(config.best_path)
    assert same_weights(best.weights, published_by(config))
    assert best.provenance["recipe"] == "tiny"
    assert best.provenance["best"]["games"] == best.total_games
    rows = read_metrics(config.metrics_path)
    assert [row["arena/look"] for row in rows if "arena/look" in row] == [1, 2]
    cycle = next(row for row in rows if "train/play_loss" in row)
    assert cycle["stats/labels"] > 0
    assert {"stats/minutes", "stats/stage", "train/points_loss"} <= cycle.keys()
    assert "eval/vs_random_decided" in rows[0]
    again = run(config)
    assert not any(line.startswith(("Cycle", "Eval")) for line in again)
    assert again[-1] == lines[-1]


def test_contracts_are_played_and_count_for_the_best(make: Make) -> None:
    config = make("run", ("[arena]", "[arena]\ncontracts = true"))
    run(config)
    looks = [row for row in read_metrics(config.metrics_path) if "arena/look" in row]
    for name in ("contract_rate", "contract_low", "contract_high"):
        assert all(0 <= row[f"eval/vs_random_{name}"] <= 1 for row in looks)
    assert "eval/vs_best_contract_rate" in looks[1]
    assert "contract_rate" in state_of(config)["arena"]["best"]["results"]["random"]


def test_the_best_is_that_of_points_and_contracts() -> None:
    def contracts(won: int, games: int) -> MatchResult:
        tally = MatchTally(deals=games // 2, set_opponent=won)
        return tally.result(player_a="candidate", player_b="best", seed=1, seconds=1.0)

    worse = Evaluation({}, versus(40, 60))
    assert (worse.is_best, worse.z) == (False, -2.0)
    made_good = Evaluation({}, versus(40, 60), {BEST: contracts(60, 100)})
    assert (made_good.is_best, made_good.z) == (True, 0.0)
    not_so = Evaluation({}, versus(40, 60), {BEST: contracts(55, 100)})
    assert not not_so.is_best


def test_evaluations_by_cycles_go_on_beside_those_that_choose(make: Make) -> None:
    """--eval-every that was asked for: against plain players, on the same deals every time."""
    config = make("run", eval_every=2, eval_games=10, max_cycles=4)
    run(config)
    rows = [row for row in read_metrics(config.metrics_path) if "eval/vs_random_win_rate" in row]
    plain = [row for row in rows if "arena/look" not in row]
    assert [row["step"] for row in plain] == [2, 4]
    assert all("eval/vs_heuristic_win_rate" in row for row in plain)
    assert [row["step"] for row in rows if "arena/look" in row] == [0]


def test_training_takes_the_rows_that_examples_bring(make: Make) -> None:
    """Twice those of the first stage and once those of the second, to within a batch each."""
    config = make()
    run(config)
    saved = saved_by(config)
    schedule = saved.progress.schedule
    assert schedule is not None
    assert len(schedule.forgotten) == 2
    assert 0 <= schedule.rows_due - schedule.rows_done < 4
    n = saved.progress.streams.sources["eq-exact"]["examples"]
    assert schedule.rows_due < 0.6 * n  # once the second half; nothing of the first is left
    steps = saved.trainer["optimizer_steps"]
    assert steps == schedule.rows_done // 4  # all was there at the first look: one stage at once


def test_stages_change_what_is_trained(make: Make) -> None:
    config = make()
    assert config.examples.path is not None
    names = sorted(config.examples.path.glob("*.safetensors"))
    later = [(path, path.read_bytes()) for path in names[2:]]
    for path, _ in later:
        path.unlink()

    def deliver(line: str) -> None:
        if line.startswith("Cycle    4"):
            for path, data in later:
                write_atomic(path, data)  # as a worker does: half of one would be refused

    # Two files, four games, are the first stage: it ends with the first of the later ones.
    run_config = replace(config, recipe=tiny_recipe(("until_games = 4", "until_games = 5")))
    assert learn(run_config, say=deliver) == 0
    rows = [row for row in read_metrics(config.metrics_path) if "train/lr" in row]
    stages = [row["stats/stage"] for row in rows]
    assert stages == sorted(stages)
    assert set(stages) == {0, 1}
    first = [row["train/lr"] for row in rows if row["stats/stage"] == 0]
    assert all(1e-3 <= lr <= 1e-2 for lr in first)
    assert rows[-1]["train/lr"] < 2e-3 / 4  # it ends near lr_end, which is 0


def test_interrupted_anywhere_it_ends_the_same(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, average, optimizer and schedule, bit for bit; every ninth step there is a stop."""
    kept = ("forget = true", "forget = false")
    whole, parts = make("whole", kept), make("parts", kept)
    run(whole)
    step = Trainer._step
    taken = 0

    def stopping(self: Trainer, *args: Any, **how: Any) -> None:
        nonlocal taken
        taken += 1
        step(self, *args, **how)
        if taken % 9 == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_step", stopping)
    codes = []
    while not codes or codes[-1]:
        codes.append(learn(parts, say=lambda line: None))
        assert len(codes) < 30
    assert len(codes) > 2
    ours, theirs = saved_by(whole), saved_by(parts)
    assert same_weights(ours.model_state_dict, theirs.model_state_dict)
    assert same_weights(ours.published_weights, theirs.published_weights)
    assert same_weights(published_by(whole), published_by(parts))
    schedules = [saved.progress.schedule for saved in (ours, theirs)]
    assert schedules[0] is not None
    assert schedules[1] is not None
    assert schedules[0].rows_done == schedules[1].rows_done
    assert schedules[0].looks == schedules[1].looks == 2
    looks = [row for row in read_metrics(parts.metrics_path) if "arena/look" in row]
    assert [row["arena/look"] for row in looks] == [1, 2]


class Crash(Exception):
    """Stands for the end of the process at this very line."""


@pytest.mark.parametrize("forget", ["true", "false"])
def test_killed_at_any_line_it_ends_the_same(make: Make, forget: str) -> None:
    """Among them those of looks, which are said before they are saved: none is there twice."""
    kept = ("forget = true", f"forget = {forget}")
    whole, parts = make("whole", kept), make("parts", kept)
    run(whole)
    words = ["Stage 2", "Eval     0", "Cycle    2", "Cycle    3", "Eval", "Recipe"]

    def die(line: str) -> None:
        if words and line.startswith(words[0]):
            words.pop(0)
            raise Crash

    for _ in range(len(words)):
        with pytest.raises(Crash):
            learn(parts, say=die)
    run(parts)
    assert not words
    ours, theirs = saved_by(whole), saved_by(parts)
    assert same_weights(ours.published_weights, theirs.published_weights)
    assert same_weights(published_by(whole), published_by(parts))
    assert theirs.progress.total_games == 8
    looks = [row for row in read_metrics(parts.metrics_path) if "arena/look" in row]
    assert [row["arena/look"] for row in looks] == [1, 2]
    best = [model_file.load(config.best_path).weights for config in (whole, parts)]
    assert same_weights(*best)


def test_what_is_published_is_the_average(make: Make) -> None:
    averaged, plain = make("averaged", max_cycles=3), make("plain", max_cycles=3, ema=0.0)
    for config in (averaged, plain):
        run(config)
    saved = saved_by(averaged)
    assert same_weights(saved.model_state_dict, saved_by(plain).model_state_dict)
    assert same_weights(saved.published_weights, published_by(averaged))
    assert not same_weights(saved.model_state_dict, published_by(averaged))
    assert same_weights(saved_by(plain).model_state_dict, published_by(plain))


def test_a_collapse_goes_back_to_the_best(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks by script: the first is the best, a draw takes its place, a rout is taken back."""
    script = [None, versus(50, 50), versus(30, 70), versus(49, 51), versus(49, 51)]
    seen: list[tuple[dict[str, Any], Any]] = []

    def play(self: MatchEvaluator, weights: Any, _: Any, *, best: Any, **__: Any) -> Evaluation:
        seen.append((weights, best))
        return Evaluation({}, script[min(len(seen) - 1, 4)])

    monkeypatch.setattr(MatchEvaluator, "play", play)
    config = make("run", ("every_minutes = 1000", "every_minutes = 1e-9"))
    text = "\n".join(run(config))
    assert "vs best (step 0) 50.0% of decided: not worse: the new best" in text
    assert "30.0% of decided: collapsed: the weights go back to those of step" in text
    assert seen[0][1] is None
    assert same_weights(seen[2][1], seen[1][0])  # the best is the second candidate
    assert not same_weights(seen[2][0], seen[2][1])
    assert same_weights(seen[3][1], seen[1][0])
    assert same_weights(published_by(config), seen[1][0])  # and stays what is published
    assert same_weights(model_file.load(config.best_path).weights, seen[1][0])
    rows = [row for row in read_metrics(config.metrics_path) if "arena/look" in row]
    assert [row["arena/collapse"] for row in rows[:4]] == [0, 0, 1, 0]
    assert state_of(config)["arena"]["best"]["look"] == 2


def test_the_best_file_is_made_good_after_a_kill(make: Make) -> None:
    config = make(max_cycles=1)
    run(config)
    weights = model_file.load(config.best_path).weights
    config.best_path.unlink()
    run(config)
    assert same_weights(model_file.load(config.best_path).weights, weights)


def test_the_schedule_is_known_from_the_published_state(make: Make) -> None:
    """On a machine without the checkpoint: stage, rows, looks; the best is found anew."""
    config = make(max_cycles=2)
    run(config)
    schedule = saved_by(config).progress.schedule
    assert schedule is not None
    config.checkpoint_path.unlink()
    lines = run(replace(config, max_cycles=1))
    assert not any("reads" in line for line in lines)
    found = saved_by(config).progress.schedule
    assert found is not None
    assert found.stage == schedule.stage
    assert found.forgotten == schedule.forgotten
    assert found.rows_done == schedule.rows_done + 4 * 4
    assert found.looks == schedule.looks


def test_an_opponent_that_is_not_there_is_one_sentence(make: Make, tmp_path: Path) -> None:
    opponent = f"zeb:source={tmp_path}/none.pt"
    config = make("run", ('["random"]', f'["{opponent}"]'))
    with pytest.raises(Exception, match="an opponent of the recipe cannot be had") as caught:
        run(config)
    assert type(caught.value).__name__ == "StartError"
