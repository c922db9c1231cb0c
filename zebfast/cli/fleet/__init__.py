"""`zebfast fleet …`: rented machines that play for an experiment."""

from __future__ import annotations

import click

from zebfast.cli.run import HELP, LazyGroup, Verb

VERBS = {
    "up": Verb("fleet.up", "up", "Show what machines cost, rent them, let them play."),
    "status": Verb("fleet.status", "status", "Show each machine, what it costs, how it is."),
    "replenish": Verb("fleet.monitor", "replenish", "Replace what is missing or broken, once."),
    "monitor": Verb("fleet.monitor", "monitor", "Replace what breaks, until Ctrl-C."),
    "down": Verb("fleet.down", "down", "Destroy every machine, and see that none is left."),
    "export": Verb(
        "fleet.export", "export", "Write what Slurm, Kubernetes, dstack or SkyPilot take."
    ),
    "logs": Verb("fleet.status", "logs", "Print what machines have printed."),
}


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    name="fleet",
    short_help="Rent machines that play for an experiment.",
    context_settings=HELP,
    epilog="Keys: VAST_API_KEY, RUNPOD_API_KEY; HF_TOKEN goes to the machines. Each command has "
    "--help.",
)
def fleet() -> None:
    """Rented machines that run the workers of an experiment, each under the label of its fleet.

    \b
    Example:
      zebfast fleet up first -n 2 --max-dph 0.10 --dry-run
      zebfast fleet up first -n 2 --max-dph 0.10 --budget 5
      zebfast fleet monitor first
      zebfast fleet down first
    """
