"""`zebfast experiment create NAME`: the identity of an experiment and its first weights."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import zebfast
from zebfast.cli.experiment.context import experiments_dir_option, stores_of
from zebfast.cli.experiment.settings import given_settings
from zebfast.cli.init import first_checkpoint, network_options, refuse_network_options
from zebfast.cli.learn import EXAMPLES
from zebfast.cli.messages import note
from zebfast.cli.places import BUCKET, WEIGHTS, chosen_place, place_options

if TYPE_CHECKING:
    from zebfast.experiment.experiment import Experiment
    from zebfast.learner.recipe import Recipe

# --- What `zebfast experiment create --recipe` takes from the recipe, and what it leaves to
# flags.

RUN_DIR = "run"  # of weights and examples, below the experiment, where no places are given
_OF_THE_RECIPE = ("size", "tokenizer", "belief_head", "contract")


def recipe_flags(recipe: Recipe, flags: dict[str, Any], directory: Path) -> dict[str, Any]:
    """The flags of ``create`` with the recipe's network, and with places if none were given.

    First weights that are given bring their own network, whatever the recipe begins with; it sees
    contracts where the recipe's is to.
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
    network = {"contract": recipe.network.contract} if recipe.network else {}
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


@click.command(
    name="create",
    short_help="Name an experiment and give it a network.",
    help="""Write experiments/NAME: experiment.toml, with everything that the experiment's programs
    share, and bootstrap.pt, the network that it begins with. Nothing is ever overwritten.

    NAME is the namespace of weights and examples. Flags of zebfast-learn after -- are kept in the
    file as the experiment's own settings.

    With --recipe the network and everything about its training come from a recipe, of which a copy
    is kept beside the file; weights and examples then lie in experiments/NAME/run unless other
    places are given.

    \b
    Examples:
      zebfast experiment create hour --recipe fast --seed 1
      zebfast experiment create first --weights-dir run --input-dir run/examples --size small
      zebfast experiment create big-2 --repo-id me/zeb --examples-repo-id me/zeb-examples \\
          --from-hub me/zeb --weights-name big --belief-head -- --batch-size 128 --amp""",
)
@click.argument("name")
@click.argument("learner_flags", nargs=-1, type=click.UNPROCESSED, metavar="[-- LEARNER FLAGS]")
@place_options(*WEIGHTS, "Directory of weights, config, state and metrics.")
@place_options(*EXAMPLES, "Directory that workers write examples to.")
@click.option("--state-dir", metavar="DIR", help="This machine's own files of the run (default: as "
              "zebfast-learn has it).")  # fmt: skip
@network_options
@click.option("--recipe", metavar="NAME|FILE", help="Train after a recipe: fast, one hour on two "
              "cores; game, whole games, two hours, or less with --from; quick, a trial of a "
              "minute; or a TOML file.")  # fmt: skip
@click.option("--existing", is_flag=True, help="The namespace NAME has weights already: continue "
              "them, and write no bootstrap.")  # fmt: skip
@click.option("--wandb/--no-wandb", default=False, help="Log to Weights & Biases.")
@click.option("--wandb-project", default="zeb-mcts", show_default=True, help="W&B project.")
@click.option("--run-name", metavar="NAME", help="W&B display name, without the stage (default: "
              "NAME).")  # fmt: skip
@click.option("--note", default="", help="What it is about, in your words.")
@click.option("--dry-run", is_flag=True, help="Print the file and write nothing.")
@experiments_dir_option
def create(name: str, experiments_dir: Path, existing: bool, dry_run: bool, **flags: Any) -> None:
    """Check, build, write. Exit codes: 0 written, 1 it cannot be, 2 usage."""
    from zebfast.experiment.experiment import (
        experiment_namespace,
        find_recipe,
        load_recipe,
        to_toml,
        write_new,
    )
    from zebfast.net import checkpoint as checkpoints

    directory, recipe, recipe_text = experiments_dir / name, None, None
    try:
        experiment_namespace(name)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    if directory.exists():
        raise click.UsageError(f"{directory} exists already: choose another name.")
    if flags["recipe"] is not None:
        trained = flags["source"] is not None or flags["from_hub"] is not None
        path = find_recipe(flags["recipe"], trained=trained)
        recipe, recipe_text = load_recipe(path), path.read_text(encoding="utf-8")
        flags = recipe_flags(recipe, flags | {"existing": existing}, directory)
    if not existing:
        refuse_network_options(flags)
    elif any(flags[k] for k in ("size", "tokenizer", "source", "beside", "from_hub")):
        raise click.UsageError("With --existing the weights are there: leave out where from.")
    experiment, save = _identity(directory, flags), None
    published = _published_step(experiment, existing=existing)
    lineage: dict[str, Any] = {"kind": "existing", "step": published}
    if not existing:
        checkpoint, lineage = first_checkpoint(flags)
        save = partial(checkpoints.save, checkpoint)
    experiment = replace(experiment, lineage=lineage)
    if dry_run:
        click.echo(to_toml(experiment), nl=False)
        note(f"Nothing was written: this would be {experiment.path}")
        return
    write_new(experiment, save, recipe=recipe_text)
    click.echo(experiment.path)
    _say_next(experiment, recipe)


def _identity(directory: Path, flags: dict[str, Any]) -> Experiment:
    """The experiment that the flags describe, without its lineage. UsageError where they cannot."""
    from zebfast.experiment.experiment import (
        Experiment,
        experiment_namespace,
        fleet_names,
        own_stages,
    )
    from zebfast.selfplay.producer_kinds import BY_ROLE

    name = directory.name
    try:
        namespace = experiment_namespace(name)
        weights, examples = chosen_place(flags, *WEIGHTS), chosen_place(flags, *EXAMPLES)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    # What a recipe leaves open is drawn after the seed of its first weights.
    seed = {} if flags["recipe"] is None else {"seed": flags["seed"]}
    stages = own_stages(flags["recipe"])
    return Experiment(
        directory=directory,
        name=name,
        namespace=namespace,
        created=datetime.now(UTC).replace(microsecond=0),
        version=zebfast.__version__,
        weights=_absolute(weights),
        examples=_absolute(examples),
        state_dir=flags["state_dir"] and str(Path(flags["state_dir"]).expanduser().absolute()),
        note=flags["note"],
        recipe=flags["recipe"],
        fleets=fleet_names(name, stages),
        wandb=flags["wandb"],
        wandb_project=flags["wandb_project"],
        wandb_run=flags["run_name"] or name,
        learner=seed | given_settings(flags["learner_flags"]),
        stages={stage: BY_ROLE[stage].stage for stage in stages},
    )


def _absolute(place: Any) -> Any:
    """Directories by their whole path: later commands may be given anywhere."""
    from zebfast.exchange import Place

    return place if place.path is None else Place.directory(place.path.absolute())


def _published_step(experiment: Experiment, *, existing: bool) -> int | None:
    """Step of the weights in the experiment's namespace, None when it has none.

    UsageError where there must be some, or must not.
    """
    from zebfast.exchange import open_weights

    options = stores_of(experiment)
    state = open_weights(experiment.weights, experiment.namespace, options=options).read_state()
    if state is None and existing:
        raise click.UsageError(
            f"{experiment.weights} has no weights for namespace {experiment.name!r}: leave "
            "--existing out and say which network to begin with."
        )
    step = None if state is None else int(state.get("step", 0))
    if step is not None and not existing:
        raise click.UsageError(
            f"{experiment.weights} has weights for namespace {experiment.name!r} already (step "
            f"{step}): choose another name, or give --existing to continue them."
        )
    return step


def _say_next(experiment: Experiment, recipe: Recipe | None) -> None:
    from zebfast.experiment.commands import learn_command, status_command, worker_command

    first, made = experiment.own_stages[0], f"Created experiment {experiment.name}"
    if recipe is None:
        note(f"{made}. Learner and worker, each in a terminal:")
    else:
        stages = ", ".join(stage.name for stage in recipe.stages)
        note(f"{made} after the recipe {recipe.name}: {recipe.total_games:,} games in "
             f"{len(recipe.stages)} stages ({stages}).")  # fmt: skip
        if experiment.is_local:
            note("Learner and worker on this machine, in one terminal:")
        else:
            note("Learner and worker, each in a terminal:")
    note(f"  {learn_command(experiment, first)}")
    if recipe is not None and experiment.is_local:
        note("More workers, anywhere that reaches the places, with other worker ids:")
    note(f"  {worker_command(experiment, first)}")
    note(f"Then: {status_command(experiment)}")
