"""What `zebfast experiment create --recipe` takes from the recipe, and what it leaves to flags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zebfast.cli.learn import EXAMPLES
from zebfast.cli.places import BUCKET, WEIGHTS

if TYPE_CHECKING:
    from zebfast.experiment.record import Experiment
    from zebfast.learner.recipe import Recipe

RUN_DIR = "run"  # of weights and examples, below the experiment, where no places are given
_OF_THE_RECIPE = ("size", "tokenizer", "belief_head")


def recipe_flags(recipe: Recipe, flags: dict[str, Any], directory: Path) -> dict[str, Any]:
    """The flags of ``create`` with the recipe's network, and with places if none were given.

    First weights that are given bring their own network, whatever the recipe begins with.
    UsageError for a flag that the recipe decides.
    """
    given = [name for name in _OF_THE_RECIPE if flags[name]]
    if given:
        raise click.UsageError(
            f"--{given[0].replace('_', '-')} is decided by the recipe {recipe.name!r}: leave it "
            "out, or write a recipe of your own"
        )
    if flags["existing"]:
        raise click.UsageError(
            "--existing continues weights whose games no recipe has counted: leave it out, and "
            "begin from them with --from-hub"
        )
    network = {}
    if flags["source"] is None and flags["from_hub"] is None:
        network = {name: getattr(recipe.network, name) for name in _OF_THE_RECIPE}
    return flags | network | {"recipe": recipe.name} | _places(flags, directory)


def _places(flags: dict[str, Any], directory: Path) -> dict[str, str]:
    """Directories for what no flag names: below the experiment, or below weights in another."""

    def are_given(names: tuple[str, ...]) -> bool:
        return any(flags[name[2:].replace("-", "_")] is not None for name in names)

    places: dict[str, str] = {}
    if not are_given(WEIGHTS):
        places["weights_dir"] = str(directory / RUN_DIR)
    weights = flags["weights_dir"] or places.get("weights_dir")
    if weights is not None and not are_given((*EXAMPLES, BUCKET)):
        places["input_dir"] = str(Path(weights, "examples"))
    return places


def next_with_recipe(experiment: Experiment, recipe: Recipe) -> list[str]:
    """What to do with an experiment that was just created, in lines."""
    from zebfast.experiment.commands import learn_command, status_command, worker_command

    stages = ", ".join(stage.name for stage in recipe.stages)
    lines = [
        f"Created experiment {experiment.name} after the recipe {recipe.name}: "
        f"{recipe.total_games:,} games in {len(recipe.stages)} stages ({stages}).",
    ]
    if experiment.is_local:
        lines.append("Learner and worker on this machine, in one terminal:")
        lines.append(f"  {learn_command(experiment, 'recipe')}")
        lines.append("More workers, anywhere that reaches the places, with other worker ids:")
    else:
        lines.append("Learner and worker, each in a terminal:")
        lines.append(f"  {learn_command(experiment, 'recipe')}")
    lines.append(f"  {worker_command(experiment, 'recipe')}")
    lines.append(f"Then: {status_command(experiment)}")
    return lines
