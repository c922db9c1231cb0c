"""`zebfast experiment runs` and `plot`: the record of an experiment, as a table and as curves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zebfast.cli.experiment.context import (
    echo_json,
    experiments_dir_option,
    open_experiment,
    open_named_or_all,
    stores_of,
)
from zebfast.cli.messages import note
from zebfast.cli.options import file_option

if TYPE_CHECKING:
    from zebfast.experiment.experiment import Experiment
    from zebfast.experiment.runlog import Summary
    from zebfast.learner.recipe import Recipe


@click.command(
    name="runs",
    short_help="List experiments, or the runs of one.",
    help="""List experiments with where they come from, dates, games, best evaluation and number
    of incidents; with NAME every run of one, how it ended, and what it met.

    \b
    Examples:
      zebfast experiment runs
      zebfast experiment runs first --json""",
)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
@experiments_dir_option
def runs(name: str | None, as_json: bool, experiments_dir: Path) -> None:
    """Read, print. Exit codes: 0, 1 unusable file, 2 usage."""
    from zebfast.cli.experiment.text import print_runs, print_summary
    from zebfast.experiment.runlog import summarize

    found = open_named_or_all(name, experiments_dir)
    summaries = [summarize(each, _metrics(each)) for each in found]
    if as_json:
        echo_json([_record(summary) for summary in summaries], one=name is not None)
    elif name is not None:
        print_summary(summaries[0])
    elif summaries:
        print_runs(summaries)


@click.command(
    name="plot",
    short_help="Draw its learning curves.",
    help="""Draw the learning curves of an experiment into a PNG, from the metrics of this machine.

    \b
    Example:
      zebfast experiment plot first -o first.png""",
)
@click.argument("name")
@file_option("-o", "--output", help="PNG to write (default: curves.png beside experiment.toml).")
@experiments_dir_option
def plot(name: str, output: Path | None, experiments_dir: Path) -> None:
    """Draw, print the file's name. Exit codes: 0, 1 no metrics or no matplotlib, 2 usage."""
    from zebfast.experiment.curves import plot_curves
    from zebfast.experiment.experiment import recipe_of

    experiment = open_experiment(name, experiments_dir)
    metrics, output = _metrics(experiment), output or experiment.directory / "curves.png"
    if not metrics.is_file():
        raise click.ClickException(
            f"{metrics} does not exist: the curves are on the machine of the learner, after its "
            "first cycle."
        )
    plot_curves(metrics, output, title=experiment.name, recipe=recipe_of(experiment))
    click.echo(output)


def draw_curves(metrics: Path, picture: Path, *, title: str, recipe: Recipe | None = None) -> None:
    """Draw the curves of a run that has ended and say where they are, or what that needs."""
    from zebfast.experiment.curves import plot_curves

    try:
        plot_curves(metrics, picture, title=title, recipe=recipe)
        click.echo(f"\nLearning curves: {picture}")
    except ModuleNotFoundError as error:
        note(f"No picture: {error.name} is missing; pip install 'zebfast[plot]' gives it")


def _metrics(experiment: Experiment) -> Path:
    return stores_of(experiment).state_dir / experiment.namespace.metrics_file


def _record(summary: Summary) -> dict[str, Any]:
    """Everything of one experiment in plain values."""
    experiment, ended = summary.experiment, zip(summary.runs, summary.endings, strict=True)
    return {
        "name": experiment.name,
        "namespace": experiment.namespace.stem,
        "created": experiment.created.isoformat(),
        "note": experiment.note,
        "weights": str(experiment.weights),
        "examples": str(experiment.examples),
        "lineage": dict(experiment.lineage),
        "step": summary.step,
        "games": summary.games,
        "best": [asdict(best) for best in summary.best],
        "incidents": summary.n_incidents,
        "runs": [{**asdict(run), "end": end} for run, end in ended],
        "reverts": list(summary.reverts),
    }
