"""`zebfast experiment …`: named experiments, from the first weights to the record of every run."""

from __future__ import annotations

import click

from zebfast.cli.run import HELP, LazyGroup, Verb

VERBS = {
    "create": Verb("experiment.create", "create", "Name an experiment and give it a network."),
    "learn": Verb("experiment.learn", "learn", "Run its learner, in one of two stages."),
    "status": Verb("experiment.status", "status", "Show what runs, and what is wrong."),
    "watch": Verb("experiment.watch", "watch", "Judge its progress; tell, and restart what died."),
    "dashboard": Verb(
        "experiment.dashboard", "dashboard", "Show it in the browser, as it goes on."
    ),
    "runs": Verb("experiment.runs", "runs", "List experiments, or the runs of one."),
    "plot": Verb("experiment.runs", "plot", "Draw its learning curves."),
    "revert": Verb("experiment.revert", "revert", "Publish earlier weights again."),
}


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    name="experiment",
    short_help="Create, run and watch named experiments.",
    context_settings=HELP,
    epilog="Each command has --help. An experiment is kept in experiments/NAME/experiment.toml.",
)
def experiment() -> None:
    """An experiment is a namespace of weights and examples with a name, kept in one TOML file.

    \b
    Example:
      zebfast experiment create first --weights-dir run --input-dir run/examples --size small
      zebfast experiment learn first --stage selfplay
      zebfast experiment status first
    """
