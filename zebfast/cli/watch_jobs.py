"""`zebfast experiment watch --print`: what makes a machine watch an experiment by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
from click.core import ParameterSource

from zebfast.cli.experiments import open_experiment

PROGRAM = (sys.executable, "-m", "zebfast")
#: Flags that are not repeated in what --print prints; the address is a secret.
_OWN = frozenset(("name", "once", "every", "as_json", "dry_run", "print_as", "notify",
                  "experiments_dir"))  # fmt: skip


def print_job(context: click.Context) -> None:
    """Print the kind of job that the flags of ``context`` name."""
    from zebfast.experiment.record import STAGES
    from zebfast.experiment.runlog import read_runs
    from zebfast.experiment.units import Job, cron_line, github_workflow, systemd_units

    flags = context.params
    if flags["name"] is None:
        raise click.UsageError("--print needs the NAME of one experiment.")
    experiment = open_experiment(flags["name"], flags["experiments_dir"])
    runs = read_runs(experiment.run_log)
    first = experiment.own_stages[0]
    stage = next((known for known in STAGES if runs and known == runs[-1].stage), first)
    job = Job(experiment, stage, PROGRAM, Path.cwd(), _given(context))
    printers: dict[str, Callable[[Job], str]] = {
        "cron": cron_line, "systemd": systemd_units, "github": github_workflow,
    }  # fmt: skip
    click.echo(printers[flags["print_as"]](job), nl=False)


def _given(context: click.Context) -> list[str]:
    """The flags of this command line that a job is to be given, too."""
    words: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in _OWN or source is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        values = value if isinstance(value, tuple) else (value,)
        for each in values:
            words += [parameter.opts[0]] if each is True else [parameter.opts[0], str(each)]
    return words
