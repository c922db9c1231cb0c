"""`python -m zebfast.worker` and `zebfast worker`: play games, hand over the examples.

One command for all producers. Flags of another producer are refused on the command line; in the
environment they are left alone, so that one environment serves machines of all.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from zebfast.arena.search_specs import MAX_WORLDS as MAX_SAMPLES
from zebfast.arena.specs import DEFAULT_TEMPERATURE
from zebfast.cli.learn import option
from zebfast.cli.places import WEIGHTS, place_options, store_options
from zebfast.cli.run import HELP, run, stop_at_eof_option
from zebfast.cli.worker_config import (
    EVAL_AUX,
    EXACT,
    EXAMPLES,
    RECIPE,
    ROLLOUT,
    SELFPLAY,
    config_from_flags,
)
from zebfast.cli.worker_options import (
    ABOVE_0,
    AT_LEAST_0,
    POSITIVE,
    ModeOption,
    eval_aux_option,
    games_option,
    search_options,
    teaching_options,
)
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.teaching import GAMES_PER_GROUP

if TYPE_CHECKING:
    from zebfast.worker.loop import Settle

#: What `zebfast bench --tune` finds, as flags are called; the names are those of Setting.
TUNED_FLAGS = ("n_parallel_games", "n_groups", "threads")


@click.command(
    name="worker",
    short_help="Play games with the newest weights and hand over the examples.",
    context_settings=HELP,
    epilog="Example: python -m zebfast.worker --repo-id run --output-dir run/examples",
)
@place_options(*WEIGHTS, "Directory that the learner publishes weights to.")
@place_options(*EXAMPLES, "Directory to write example files to; created if it is not there.")
@store_options
@click.option(
    "--weights-name",
    envvar="ZEB_WEIGHTS_NAME",
    show_envvar=True,
    help="Namespace of the run (default: the nameless one, model).",
)
@click.option(
    "--mode",
    type=click.Choice([SELFPLAY, EVAL_AUX, EXACT, ROLLOUT, RECIPE]),
    default=SELFPLAY,
    show_default=True,
    envvar="ZEB_WORKER_MODE",
    show_envvar=True,
    help="What to play: the network against itself, by search; E[Q] against the network; the bare "
    "network, every play labelled by the solver (exact) or by playing on (rollout); whatever the "
    "run's recipe has come to.",
)
@option(
    "--worker-id",
    str,
    None,
    "Name in file names and log lines; one process each  [default: worker-0; eval-aux: evalaux-0]",
)
@games_option(
    "--n-parallel-games",
    POSITIVE,
    None,
    f"Games in progress at once  [default: {SelfPlayConfig().n_parallel_games}; exact, rollout: "
    f"{GAMES_PER_GROUP} a group]",
)
@games_option(
    "--n-groups", POSITIVE, None, "Groups of games, a thread each (default: 2, or cores)."
)
@search_options
@teaching_options
@eval_aux_option(
    "--n-samples",
    click.IntRange(1, MAX_SAMPLES),
    100,
    "eval-aux: worlds that E[Q] solves for each play.",
    "ZEB_EQ_N_SAMPLES",
)
@eval_aux_option(
    "--zeb-temperature",
    AT_LEAST_0,
    DEFAULT_TEMPERATURE,
    "eval-aux: of the network's plays; 0 = its favourite.",
    "ZEB_EQ_TEMPERATURE",
)
@eval_aux_option(
    "--eq-policy-targets/--no-eq-policy-targets",
    bool,
    False,
    "eval-aux: policy targets of "
    "E[Q]'s plays from the values it gives them, not from the domino it played.",
    "ZEB_EQ_POLICY_TARGETS",
)
@eval_aux_option(
    "--eq-target-temperature",
    ABOVE_0,
    1.0,
    "eval-aux: points by which a play must be worse to get 1/e of the weight in those targets.",
)
@click.option(
    "--eq-games-per-batch",
    type=POSITIVE,
    envvar="ZEB_EQ_GAMES_PER_BATCH",
    hidden=True,
    help="eval-aux: --games-per-batch, from the environment.",
)
@option(
    "--games-per-batch", POSITIVE, None, "Games of an example file  [default: 256; eval-aux: 128]"
)
@option(
    "--weight-sync-interval",
    POSITIVE,
    None,
    "Batches between looks for newer weights  [default: 10; eval-aux: 5]",
)
@option(
    "--upload-interval",
    click.FloatRange(min=0),
    240.0,
    "Seconds between uploads to the Hub; in directories files appear as batches end.",
)
@option(
    "--n-workers",
    POSITIVE,
    None,
    "Workers that upload to the same repository: makes the "
    "interval as long as the Hub's limit of commits an hour asks for.",
)
@option(
    "--upload-grace",
    click.FloatRange(min=0),
    30.0,
    "Seconds a stopped worker goes on uploading what waits; the next start uploads the rest.",
)
@option("--device", str, None, "cpu, cuda or cuda:N (default: cuda if present, else cpu).")
@option(
    "--dtype",
    click.Choice(["auto", "fp32", "fp16", "bf16"]),
    "auto",
    "Precision of the network; auto: the fastest whose answers agree with fp32.",
)
@option(
    "--threads",
    POSITIVE,
    None,
    "Threads torch uses per group (default: cores per group); eval-aux: solvers (default: cores).",
)
@click.option(
    "--seed",
    "--base-seed",
    "seed",
    type=click.IntRange(0, 2**63 - 1),
    help="Seed of "
    "all games (default: a new one), another for each worker; a given one continues "
    "where this worker id stopped.",
)
@option("--example-format", click.Choice(["native", "pt"]), "native", "Compact, or documented .pt.")
@option("--max-batches", POSITIVE, None, "Stop after this many batches.")
@click.option("--restarts", type=click.IntRange(min=0), default=0, hidden=True)
@click.option("--earlier-batches", type=click.IntRange(min=0), default=0, hidden=True)
@stop_at_eof_option
@click.pass_context
def worker(context: click.Context, /, **flags: Any) -> int:
    """Play games with the newest weights and write training examples.

    Self-play by default; --mode eval-aux plays the E[Q] player against the network, every deal
    both ways. --mode exact and rollout play the bare network and label its decisions with what
    each legal play is worth: final points with open hands and best play, or with everybody's
    favourite plays. --mode recipe does what the learner's recipe asks for, and changes with it.
    Runs until stopped. Ctrl-C or SIGTERM hand over the games that are finished.

    Where --n-parallel-games, --n-groups or --threads are not given, what zebfast bench --tune found
    for this machine, network and search is used.
    """
    import torch

    from zebfast.cli.progress import batch_progress
    from zebfast.worker.loop import work

    refuse_flags_of_the_other(context, flags["mode"])
    config, threads = config_from_flags(flags)
    torch.set_num_threads(threads)
    nodes, visits = flags["max_mcts_nodes"], flags["n_simulations"]
    if flags["mode"] == SELFPLAY and nodes < visits:
        click.echo(
            f"note: a tree of {nodes} nodes ends a search before {visits} simulations; "
            f"give --max-mcts-nodes {2 * visits} for full searches",
            err=True,
        )
    with batch_progress(sys.stderr) as on_progress:
        return work(config, say=click.echo, on_progress=on_progress, settle=_settling(context))


def _settling(context: click.Context) -> Settle | None:
    """How to play as was found best on this machine; None where the flags leave nothing open."""
    default = ParameterSource.DEFAULT
    given = {name for name in TUNED_FLAGS if context.get_parameter_source(name) is not default}
    if context.params["mode"] != SELFPLAY or len(given) == len(TUNED_FLAGS):
        return None
    from zebfast.cli.tuned import settling

    return settling(given, click.echo)


def refuse_flags_of_the_other(context: click.Context, mode: str) -> None:
    """UsageError for a flag on the command line that this mode would not look at."""
    for parameter in context.command.params:
        if isinstance(parameter, ModeOption) and mode not in parameter.modes:
            source = context.get_parameter_source(parameter.name or "")
            if source is ParameterSource.COMMANDLINE:
                raise click.UsageError(
                    f"{parameter.opts[0]} changes nothing in --mode {mode}: leave it out, or give "
                    f"--mode {parameter.modes[0]}"
                )


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of `python -m zebfast.worker`. Exits with 0, 1, 2 (usage), 130 or 143."""
    run(worker, prog_name="python -m zebfast.worker", argv=argv)


def main_eval_aux(argv: list[str] | None = None) -> NoReturn:
    """Entry point of `python -m zebfast.worker.eval_aux`: the same with its mode given."""
    arguments = sys.argv[1:] if argv is None else argv
    run(
        worker,
        prog_name="python -m zebfast.worker.eval_aux",
        argv=["--mode", EVAL_AUX, *arguments],
    )
