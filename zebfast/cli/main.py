"""The `zebfast` program: a group of verbs, each loaded only when it is used.

The table below is all that `zebfast --help` needs, so it answers at once and without torch.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from zebfast.cli.run import HELP, LazyGroup, Verb, run

VERBS = {
    "demo": Verb("demo", "demo", "Learn the game from nothing here, in about five minutes."),
    "init": Verb("init", "init", "Write a fresh checkpoint."),
    "export": Verb("init", "export", "Write a model-only snapshot of a training checkpoint."),
    "worker": Verb("worker", "worker", "Play games and hand over the examples."),
    "host": Verb("host", "host", "Run a supervised worker on a rented machine."),
    "learn": Verb("learn", "command", "Learn from the examples and publish new weights."),
    "experiment": Verb("experiment", "experiment", "Create, run and watch named experiments."),
    "fleet": Verb("fleet", "fleet", "Rent machines that play for an experiment."),
    "eval": Verb("evaluate", "evaluate", "Play matches between players, every deal both ways."),
    "play": Verb("play", "play", "Play whole games of 42 in the browser."),
    "review": Verb("review", "review", "Look back at a game: its mistakes, and what was luck."),
    "seat": Verb("seat", "seat", "Sit a player at a table of whole games, by lines of JSON."),
    "replay": Verb("replay", "replay", "Replay recorded games and check every play and score."),
    "solve": Verb("solve", "solve", "Print exact values of positions, all hands open."),
    "bench": Verb(
        "bench", "bench", "Measure each stage; --tune finds how this machine plays best."
    ),
    "doctor": Verb("doctor", "doctor", "Say what is installed, what is missing, how to get it."),
}


def print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Print the versions that matter in a bug report, without importing torch."""
    if not wanted or ctx.resilient_parsing:
        return
    import zebfast
    from zebfast.cli.doctor import core_build
    from zebfast.system.machine import installed_version

    python = ".".join(map(str, sys.version_info[:3]))
    torch = installed_version("torch") or "missing"
    parts = f"core: {core_build()}, Python {python}, torch {torch}"
    click.echo(f"zebfast {zebfast.__version__} ({parts})")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    context_settings=HELP,
    epilog="Start here: zebfast demo. What is missing: zebfast doctor. Each command has --help.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the versions and exit.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """Learn the domino game Texas 42 from self-play.

    \b
    Example:
      zebfast demo
    """
    from zebfast.cli.messages import messages_to, note

    context.with_resource(messages_to(note))


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of the `zebfast` program. Exits with 0, 1 (failed), 2 (usage) or 130."""
    run(cli, prog_name="zebfast", argv=argv)
