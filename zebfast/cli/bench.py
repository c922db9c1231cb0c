"""`zebfast bench`: how fast each stage runs here, what limits, and the behaviour signature.

With --tune: the settings with which this machine plays fastest.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from zebfast.cli.bench_text import print_report, report
from zebfast.cli.data_stages import STAGES as DATA_STAGES
from zebfast.cli.exact_stages import STAGES as EXACT_STAGES
from zebfast.cli.options import ModeOption
from zebfast.cli.play_stages import STAGES as PLAY_STAGES
from zebfast.cli.stages import STAGES as RUN_STAGES
from zebfast.cli.stages import measure
from zebfast.cli.worker import search_options, worker

_ORDER = (
    "random_games",
    "simulations",
    "exact_deals",
    "worlds",
    "features",
    "evaluations",
    "evaluations_v2",
    "selfplay_published_way",
    "selfplay_games",
    "selfplay_v2_published_way",
    "selfplay_v2",
    "examples_written",
    "examples_read",
    "learner_steps",
    "learner_steps_v2",
)
_EVERY = {s.key: s for s in (*EXACT_STAGES, *RUN_STAGES, *PLAY_STAGES, *DATA_STAGES)}
STAGES = tuple(_EVERY[key] for key in _ORDER)

_OF_TUNING = ("checkpoint", "size", "tokenizer", "device", "dtype", "remember")
_OF_REPORT = ("seconds", "stages", "signature", "forget")


@click.command(
    name="bench",
    epilog="Examples: zebfast bench --seconds 5, zebfast bench --stage random_games, "
    "zebfast bench --tune --checkpoint model.pt",
)
@click.option("--signature", is_flag=True, help="Print only the behaviour signature, one integer.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=1.25,
    show_default=True,
    help="Time for each stage; one piece of work is always finished.",
)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    type=click.Choice(_ORDER),
    help="Measure only this stage; may be repeated (default: all).",
)
@click.option(
    "--tune",
    is_flag=True,
    help="Find the parallel games, groups and threads with which this machine plays fastest, in "
    "less than a minute, and remember them for workers on it. All options below go with it.",
)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Network to tune for (default: an untrained one; its size is what matters).",
)
@click.option("--size", metavar="NAME", default="medium", show_default=True, help="Of that one.")
@click.option("--tokenizer", metavar="NAME", default="v1", show_default=True, help="Of that one.")
@search_options
@click.option("--remember/--no-remember", default=True, help="Keep the outcome for workers.")
@click.option("--forget", is_flag=True, help="Forget everything that was ever tuned here.")
@click.pass_context
def bench(
    context: click.Context,
    /,
    signature: bool,
    as_json: bool,
    seconds: float,
    stages: tuple[str, ...],
    tune: bool,
    forget: bool,
    **flags: Any,
) -> None:
    """Measure each stage for a moment and name the bottleneck of self-play.

    The signature is computed from fixed seeds; it changes if, and only if, the engine or the
    search behaves differently.
    """
    _refuse_what_changes_nothing(context, tune)
    if signature:
        from zebfast.selfplay.signature import signature as behaviour_signature

        number = behaviour_signature()
        click.echo(json.dumps({"signature": number}) if as_json else str(number))
    elif forget:
        _forget()
    elif tune:
        from zebfast.cli.tune import tune_command

        tune_command(flags, as_json=as_json)
    else:
        _measure([s for s in STAGES if not stages or s.key in stages], seconds, as_json)


# Where and in what precision a worker's network runs.
bench.params.extend(p for p in worker.params if p.name in ("device", "dtype"))


def _measure(chosen: list[Any], seconds: float, as_json: bool) -> None:
    """Each stage in turn, then the report; what is measured now on a terminal."""
    results = []
    for number, stage in enumerate(chosen, start=1):
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{number}/{len(chosen)} {stage.what}", err=True, nl=False)
        results.append(measure(stage, seconds=seconds))
    if sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)
    found = report(results)
    if as_json:
        click.echo(json.dumps(found))
    else:
        print_report(found)


def _forget() -> None:
    from zebfast.cli.tuned import forget, tuned_file

    path = tuned_file()
    click.echo(f"Removed {path}" if forget(path) else f"Nothing was remembered in {path}")


def _refuse_what_changes_nothing(context: click.Context, tune: bool) -> None:
    """UsageError for an option on the command line that goes with the other of the two jobs."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        if not tune and (name in _OF_TUNING or isinstance(parameter, ModeOption)):
            raise click.UsageError(f"{parameter.opts[0]} goes with --tune: give both, or neither")
        if tune and name in _OF_REPORT:
            raise click.UsageError(f"{parameter.opts[0]} does not go with --tune: leave one out")
