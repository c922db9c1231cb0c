"""What the commands on experiments share: finding one by name, and its stores' options."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zebfast.cli.messages import note
from zebfast.cli.places import chosen_stores
from zebfast.cli.run import Decorated

if TYPE_CHECKING:
    from zebfast.exchange import StoreOptions
    from zebfast.experiment.experiment import Experiment

RETRY_SECONDS = 1.0
ATTEMPTS = 2  # somebody waits for the answer


def experiments_dir_option(command: Decorated) -> Decorated:
    """Add ``--experiments-dir``."""
    return click.option(
        "--experiments-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("experiments"),
        show_default=True,
        help="Where the experiments' own files are.",
    )(command)


def open_experiment(name: str, experiments_dir: Path) -> Experiment:
    """The experiment of this name.

    Raises:
        click.UsageError: there is none; close names are suggested.
        ExperimentError: its file cannot be used.
    """
    from zebfast.experiment.experiment import list_experiments, read_experiment
    from zebfast.system.settings import did_you_mean

    known = list_experiments(experiments_dir)
    if name not in known:
        hint = did_you_mean(name, known) or "; zebfast experiment create makes one"
        raise click.UsageError(f"There is no experiment {name!r} in {experiments_dir}{hint}")
    return read_experiment(experiments_dir / name)


def open_named_or_all(name: str | None, experiments_dir: Path) -> list[Experiment]:
    """The one that is named, else all there are; of those, a file that is damaged is only told."""
    from zebfast.experiment.experiment import ExperimentError, list_experiments, read_experiment

    if name is not None:
        return [open_experiment(name, experiments_dir)]
    found = []
    for each in list_experiments(experiments_dir):
        try:
            found.append(read_experiment(experiments_dir / each))
        except ExperimentError as error:
            note(f"left out: {error}")
    if not found:
        note(f"There is no experiment in {experiments_dir}; zebfast experiment create makes one")
    return found


def echo_json(records: list[Any], *, one: bool) -> None:
    """Print what is said of all experiments as one list, or of the ``one`` that was named."""
    click.echo(json.dumps(records[0] if one else records, indent=2))


def stores_of(experiment: Experiment) -> StoreOptions:
    """How a command that only looks, or does one thing, talks to the experiment's stores."""
    flags = {"state_dir": experiment.state_dir, "retry_seconds": RETRY_SECONDS}
    return replace(chosen_stores(flags, experiment.weights), attempts=ATTEMPTS)
