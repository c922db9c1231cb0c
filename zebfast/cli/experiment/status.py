"""`zebfast experiment status [NAME]`: one screen about what runs and what is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import click

from zebfast.cli.experiment.context import (
    echo_json,
    experiments_dir_option,
    open_named_or_all,
    stores_of,
)
from zebfast.cli.experiment.settings import problem_of
from zebfast.cli.messages import note
from zebfast.cli.run import EXIT_FAILED


@click.command(
    name="status",
    short_help="Show what runs, and what is wrong.",
    help="""Show an experiment's learner, streams of examples, workers and published weights, and
    a check of each step of its operation, with the fix where one fails.

    Without NAME, every experiment gets one line (the only one its whole screen). The exit code is 1
    where the settings of one cannot be used.

    \b
    Examples:
      zebfast experiment status first
      watch -n 20 zebfast experiment status first""",
)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option("--check", is_flag=True, help="Exit with 1 when anything is wrong.")
@experiments_dir_option
def status(name: str | None, as_json: bool, check: bool, experiments_dir: Path) -> None:
    """Look, print. Exit codes: 0, 1 bad settings, or with --check anything wrong, 2 usage."""
    from zebfast.cli.experiment.text import print_status, print_status_lines
    from zebfast.experiment.status.report import status_of
    from zebfast.experiment.status.snapshot import gather
    from zebfast.experiment.watch.state import as_watched

    experiments = open_named_or_all(name, experiments_dir)
    found = [
        status_of(as_watched(gather(each, options=stores_of(each), now=time.time())))
        for each in experiments
    ]
    unusable = list(filter(None, map(problem_of, experiments)))
    if as_json:
        echo_json([each.to_json() for each in found], one=name is not None)
    elif len(found) == 1:
        print_status(found[0])
    elif found:
        print_status_lines(found)
    for problem in unusable:
        note(f"error: {problem}")
    if unusable or (check and any(each.problems for each in found)):
        raise click.exceptions.Exit(EXIT_FAILED)
