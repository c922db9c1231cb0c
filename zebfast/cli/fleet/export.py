"""`zebfast fleet export EXPERIMENT --to ENGINE`: a manifest that runs the same workers."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from zebfast.cli.fleet.context import choose, fleet_options, named_experiment
from zebfast.cli.fleet.settings import export_settings, refuse_unreachable, spec_of
from zebfast.cli.messages import note
from zebfast.fleet.manifest import ENGINES, manifest
from zebfast.fleet.provider import WrongSettings
from zebfast.fleet.rent import new_token
from zebfast.selfplay.producer_kinds import Role
from zebfast.system.files import write_atomic

_SECONDS = 30.0  # for a program to say its version


@click.command(
    name="export",
    short_help="Write what Slurm, Kubernetes, dstack or SkyPilot take.",
    context_settings={"ignore_unknown_options": True},
    help="""Write a manifest that runs an experiment's workers on an engine of its own, with the
    settings of zebfast fleet up. The commands to use it stand at its top. Nothing is submitted,
    and no fleet command looks after them.

    Flags of zebfast worker may follow after --.

    \b
    Examples:
      zebfast fleet export first --to slurm -n 8 --partition main
      zebfast fleet export first --to kubernetes -n 8 --gres gpu:1 --output .""",
)
@fleet_options
@click.option("--to", type=click.Choice(list(ENGINES)), required=True, help="The engine.")
@export_settings
@click.option("--tool-version", metavar="VERSION", help="Version of the tool that will read it  "
              "[default: that of the tool on this machine, where there is one]")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIRECTORY",
              help="Write it there, under the fleet's name  [default: to stdout]")  # fmt: skip
@click.argument("worker_flags", nargs=-1, type=click.UNPROCESSED, metavar="[-- WORKER FLAGS]")
def export(
    experiment: str, role: Role | None, fleet: str | None, experiments_dir: Path, to: str,
    tool_version: str | None, output: Path | None, worker_flags: tuple[str, ...], **settings: Any,
) -> None:  # fmt: skip
    """Check, write. Exit codes: 0, 1 the places cannot be reached, 2 usage."""
    experiment, worker_flags = named_experiment(experiment, worker_flags)
    chosen = choose(experiment, role, fleet, experiments_dir)
    spec = spec_of(chosen, worker_flags, providers=(to,), **settings)
    version = tool_version or _version_here(ENGINES[to].version_command)
    try:
        if version is not None:
            ENGINES[to].check(to, version)
        refuse_unreachable(chosen, spec)
        name, text = manifest(to, spec, chosen.experiment, token=new_token())
    except WrongSettings as error:
        raise click.UsageError(str(error)) from None
    if output is None:
        click.echo(text, nl=False)
        return
    output.mkdir(parents=True, exist_ok=True)
    write_atomic(output / name, text.encode())
    note(f"Wrote {output / name}; the commands to use it stand at its top")


def _version_here(command: tuple[str, ...]) -> str | None:
    """What a program of this machine says of its version; None where there is none."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=_SECONDS,
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else None
    return None
