"""Experiments that follow a recipe: what `create` writes and refuses, what `learn` resolves."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from experiments import experiment, zebfast

from zebfast.experiment.experiment import (
    Experiment,
    ExperimentError,
    find_recipe,
    load_recipe,
    read_experiment,
    recipe_names,
    recipe_of,
)
from zebfast.net import checkpoint as checkpoints
from zebfast.net import shipped
from zebfast.net.v2 import V2Config


def created(root: Path, *arguments: str | Path, name: str = "hour") -> Experiment:
    done = experiment("create", name, "--recipe", "quick", *arguments, root=root)
    assert done.exit_code == 0, done.output
    return read_experiment(root / "experiments" / name)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_comes_along_can_be_followed(name: str) -> None:
    recipe = load_recipe(find_recipe(name))
    assert recipe.name == name
    assert recipe.about
    assert recipe.network.config().tokenizer == recipe.network.tokenizer


def test_create_takes_the_network_and_keeps_the_recipe(tmp_path: Path) -> None:
    made = created(tmp_path, "--seed", "3")
    directory = tmp_path / "experiments" / "hour"
    assert sorted(path.name for path in directory.iterdir()) == [
        "bootstrap.pt", "experiment.toml", "recipe.toml",
    ]  # fmt: skip
    assert made.recipe_path.read_bytes() == find_recipe("quick").read_bytes()
    recipe = recipe_of(made)
    assert recipe is not None
    assert checkpoints.load(made.bootstrap).config == recipe.network.config()
    assert (made.recipe, made.own_stages) == ("quick", ("recipe",))
    assert made.learner["seed"] == made.lineage["seed"] == 3
    assert made.fleets == {"recipe": "zeb-hour-recipe"}
    assert made.weights.path == (directory / "run").absolute()
    assert made.examples.path == (directory / "run" / "examples").absolute()


def test_trained_weights_have_a_recipe_of_their_own_where_there_is_one(tmp_path: Path) -> None:
    """The stages that they need no more are left out; a recipe without such a text is as it is."""
    assert [stage.name for stage in load_recipe(find_recipe("game")).stages] == [
        "short", "long", "game",
    ]  # fmt: skip
    done = experiment("create", "on", "--recipe", "game", "--from", "shipped", root=tmp_path)
    assert done.exit_code == 0, done.output
    recipe = recipe_of(read_experiment(tmp_path / "experiments" / "on"))
    assert recipe is not None
    assert (recipe.name, [stage.name for stage in recipe.stages]) == ("game", ["game"])
    assert find_recipe("quick", trained=True) == find_recipe("quick")


def test_given_weights_bring_their_own_network(tmp_path: Path) -> None:
    made = created(tmp_path, "--from", "shipped", "--beside", "shipped")
    trained, wide = checkpoints.load(shipped.PATH).config, checkpoints.load(made.bootstrap).config
    assert isinstance(trained, V2Config)
    assert wide == replace(trained, width=2 * trained.width)
    assert (made.lineage["file"], made.lineage["beside"]) == ("shipped", ["shipped"])


def test_the_seed_decides_the_first_weights(tmp_path: Path) -> None:
    one, same, other = (
        checkpoints.load(created(tmp_path, "--seed", seed, name=name).bootstrap).weights
        for seed, name in (("3", "one"), ("3", "same"), ("4", "other"))
    )
    assert all(np.array_equal(weight, same[name]) for name, weight in one.items())
    assert not all(np.array_equal(weight, other[name]) for name, weight in one.items())


def test_places_may_be_given(tmp_path: Path) -> None:
    made = created(tmp_path, "--weights-dir", tmp_path / "w")
    assert (made.weights.path, made.examples.path) == (tmp_path / "w", tmp_path / "w" / "examples")
    made = created(tmp_path, "--input-dir", tmp_path / "e", name="second")
    assert made.examples.path == tmp_path / "e"
    assert made.weights.path == (made.directory / "run").absolute()


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(find_recipe("quick").read_text().replace('name = "quick"', 'name = "own"'))
    done = experiment("create", "mine", "--recipe", own, root=tmp_path)
    assert done.exit_code == 0, done.output
    assert read_experiment(tmp_path / "experiments" / "mine").recipe == "own"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--size", "small"), "--size is decided by the recipe 'quick'"),
        (("--tokenizer", "v1"), "--tokenizer is decided by the recipe 'quick'"),
        (("--existing",), "--existing continues weights whose games no recipe has counted"),
        (("--repo-id", "me/weights"), "Missing option '--input-dir'"),
        (
            ("--", "--recipe", str(find_recipe("fast"))),
            "--recipe is part of what the experiment is",
        ),
    ],
)
def test_wrong_usage_exits_2_and_writes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    where = ("--experiments-dir", str(tmp_path / "experiments"))
    done = zebfast("experiment", "create", "hour", "--recipe", "quick", *where, *arguments)
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert not (tmp_path / "experiments").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("quik", "did you mean 'quick'?"),
        ("absent.toml", "expected fast, game, quick, or a TOML file"),
    ],
)
def test_a_recipe_that_is_not_there(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ExperimentError, match="there is no recipe") as found:
        find_recipe(name)
    assert words in str(found.value)


def test_a_recipe_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(find_recipe("quick").read_text().replace('mode = "exact"', 'mode = "exakt"'))
    with pytest.raises(ExperimentError, match=r"bad\.toml cannot be used: .*'exakt'"):
        load_recipe(bad)
    done = experiment("create", "hour", "--recipe", bad, root=tmp_path)
    assert done.exit_code == 1
    assert not (tmp_path / "experiments").exists()


def test_learn_resolves_the_recipe_and_names_no_stage(tmp_path: Path) -> None:
    made = created(tmp_path)
    done = experiment("learn", "hour", "--dry-run", root=tmp_path)
    assert done.exit_code == 0, done.output
    found = tomllib.loads(done.stdout)
    assert found["run"]["stage"] == "recipe"
    assert found["run"]["local_worker"] is True
    assert found["learner"]["recipe"] == str(made.recipe_path)
    assert found["learner"]["run_name"] == "hour"
    done = experiment("learn", "hour", "--dry-run", "--no-local-worker", root=tmp_path)
    assert tomllib.loads(done.stdout)["run"]["local_worker"] is False


def test_stages_are_the_recipes_own(tmp_path: Path) -> None:
    created(tmp_path)
    done = experiment("learn", "hour", "--stage", "selfplay", root=tmp_path)
    assert done.exit_code == 2
    assert "--stage is not for 'hour'" in done.stderr


def test_an_experiment_without_a_recipe_needs_a_stage(root: Path) -> None:
    done = experiment("learn", "first", root=root)
    assert done.exit_code == 2
    assert "Missing option '--stage'" in done.stderr
    done = experiment("learn", "first", "--stage", "selfplay", "--local-worker", root=root)
    assert done.exit_code == 2
    assert "--local-worker is for experiments with a recipe" in done.stderr


def test_fleets_have_the_role_of_the_recipe(tmp_path: Path) -> None:
    from zebfast.cli.fleet.context import choose
    from zebfast.fleet.launch import start_command
    from zebfast.fleet.model import Spec

    made = created(tmp_path)
    chosen = choose("hour", None, None, tmp_path / "experiments")
    assert (chosen.role, chosen.files.fleet) == ("recipe", "zeb-hour-recipe")
    spec = Spec(fleet="zeb-hour-recipe", experiment="hour", role="recipe", n=1)
    script = start_command(spec, made, "recipe-1")
    assert "--mode recipe" in script
    assert "zebfast host check --allow-cpu" in script
