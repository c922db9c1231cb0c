"""Recipes as data: those that come with the package, by name, and files of one's own."""

from __future__ import annotations

from pathlib import Path

from zebfast.experiment.files import suggestion
from zebfast.experiment.record import Experiment, ExperimentError
from zebfast.learner.recipe import Recipe, RecipeError, read_recipe
from zebfast.worker.options import task_of

_RECIPES_DIR = Path(__file__).parent / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in _RECIPES_DIR.glob("*.toml"))


def find_recipe(name_or_file: str) -> Path:
    """The file of the recipe of this name, or the file that this is.

    Raises:
        ExperimentError: there is none.
    """
    known = recipe_names()
    if name_or_file in known:
        return _RECIPES_DIR / f"{name_or_file}.toml"
    path = Path(name_or_file).expanduser()
    if not path.is_file():
        raise ExperimentError(
            f"there is no recipe {name_or_file!r}{suggestion(name_or_file, known)}; expected "
            f"{', '.join(known)}, or a TOML file"
        )
    return path


def load_recipe(path: Path) -> Recipe:
    """The recipe in a file. ExperimentError where learner or workers could not follow it."""
    try:
        recipe = read_recipe(path)
    except RecipeError as error:
        raise ExperimentError(str(error)) from None
    for stage in recipe.stages:
        try:
            task_of(stage.producer, {})
        except ValueError as error:
            raise ExperimentError(
                f"recipe {path} cannot be used: in stage {stage.name!r} the producer's {error}"
            ) from None
    return recipe


def recipe_of(experiment: Experiment) -> Recipe | None:
    """The recipe that an experiment follows, if it follows one. ExperimentError as above."""
    return None if experiment.recipe is None else load_recipe(experiment.recipe_path)
