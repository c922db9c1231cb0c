"""`python -m zebfast.worker` and `zebfast worker`: play games, hand over the examples.

One command for all producers. Flags of another producer are refused on the command line; in the
environment they are left alone, so that one environment serves machines of all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from zebfast.arena.players.specs import DEFAULT_TEMPERATURE
from zebfast.arena.players.specs import MAX_WORLDS as MAX_SAMPLES
from zebfast.cli.learn import choose_device
from zebfast.cli.messages import messages_to
from zebfast.cli.options import option
from zebfast.cli.places import WEIGHTS, chosen_place, chosen_stores, place_options, store_options
from zebfast.cli.run import HELP, Decorated, events_option, run, stop_at_eof_option
from zebfast.core.forest import (
    MAX_CACHE_MB,
    MAX_NODES,
    MAX_VISITS,
    MAX_WORLDS,
    MIN_NODES,
    WORLDS,
)
from zebfast.core.options import ROOTS, SearchOptions
from zebfast.rules import N_TRICKS
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.teaching import GAMES_PER_GROUP, TeachingConfig
from zebfast.system.machine import usable_cores

if TYPE_CHECKING:
    from zebfast.exchange import ExampleStore, Place, Say
    from zebfast.selfplay.config import SelfPlayConfig
    from zebfast.selfplay.teaching import TeachingConfig
    from zebfast.worker.config import EvalAuxConfig, RecipeConfig, WorkerConfig
    from zebfast.worker.loop import Settle

# --- From the worker's flags to its configuration.

EXAMPLES = ("--output-dir", "--examples-repo-id")
SELFPLAY, EVAL_AUX = "selfplay", "eval-aux"
EXACT, ROLLOUT, RECIPE = "exact", "rollout", "recipe"

_WORKER = {"worker_id": "worker-0", "games_per_batch": 256, "weight_sync_interval": 10}
_DEFAULTS: dict[str, dict[str, Any]] = {
    SELFPLAY: _WORKER,
    EXACT: _WORKER,
    ROLLOUT: _WORKER,
    # A stage may be minutes long, and each batch is seconds.
    RECIPE: _WORKER | {"weight_sync_interval": 2},
    EVAL_AUX: {"worker_id": "evalaux-0", "games_per_batch": 128, "weight_sync_interval": 5},
}


def config_from_flags(flags: dict[str, Any]) -> tuple[WorkerConfig, int]:
    """The configuration of parsed flags, and how many threads torch may use.

    Raises:
        click.UsageError: one sentence where they cannot be used.
    """
    from zebfast.exchange import Namespace, example_name
    from zebfast.worker.config import EvalAuxConfig, WorkerConfig

    mode = flags["mode"]
    given = {name: flags[name] for name in _DEFAULTS[mode] if flags[name] is not None}
    if mode == EVAL_AUX and flags["eq_games_per_batch"] is not None:
        given.setdefault("games_per_batch", flags["eq_games_per_batch"])
    chosen = _DEFAULTS[mode] | given
    same = ("seed", "dtype", "example_format", "max_batches", "upload_grace", "restarts",
            "earlier_batches")  # fmt: skip
    try:
        weights, examples = chosen_place(flags, *WEIGHTS), chosen_place(flags, *EXAMPLES)
        device = choose_device(flags["device"])
        example_name(chosen["worker_id"], 0)
        producer = _producer(mode, flags, device)
        config = WorkerConfig(
            weights=weights,
            examples=examples,
            stores=chosen_stores(_with_interval(flags, examples), weights),
            namespace=Namespace.parse(flags["weights_name"]),
            producer=producer,
            device=device,
            **chosen,
            **{name: flags[name] for name in same},
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    groups = 1 if isinstance(producer, EvalAuxConfig) else _groups(flags, device)
    return config, flags["threads"] or default_threads(groups)


def open_examples_of(flags: dict[str, Any], say: Say) -> tuple[str, ExampleStore]:
    """The id of the worker with these parsed flags, and the store that it hands its examples to.

    Raises:
        ValueError: one sentence where they cannot be used.
    """
    from zebfast.exchange import Namespace, open_examples

    weights, examples = chosen_place(flags, *WEIGHTS), chosen_place(flags, *EXAMPLES)
    store = open_examples(
        examples,
        Namespace.parse(flags["weights_name"]),
        options=chosen_stores(_with_interval(flags, examples), weights),
        say=say,
    )
    return flags["worker_id"] or _DEFAULTS[flags["mode"]]["worker_id"], store


def selfplay_config(flags: dict[str, Any], device: str) -> SelfPlayConfig:
    """What these parsed flags say of self-play.

    Raises:
        ValueError: one sentence where they cannot be used.
    """
    from zebfast.worker import options

    return options.selfplay_config(flags | {"n_groups": _groups(flags, device)})


def _producer(
    mode: str, flags: dict[str, Any], device: str
) -> SelfPlayConfig | EvalAuxConfig | TeachingConfig | RecipeConfig:
    """The producer of this mode, of parsed flags."""
    from zebfast.worker import options
    from zebfast.worker.config import RecipeConfig

    if mode == SELFPLAY:
        return selfplay_config(flags, device)
    if mode == EVAL_AUX:
        return _eval_aux(flags)
    groups = _groups(flags, device)
    if mode == RECIPE:
        own = ("n_parallel_games", "n_groups", "threads", "games_per_batch")
        return RecipeConfig(machine={name: flags[name] for name in own}, default_groups=groups)
    return options.teaching_config(mode, flags | {"n_groups": groups})


def _groups(flags: dict[str, Any], device: str) -> int:
    """Groups of games as the flags say, or as many as suit the device; a game for each."""
    default = default_groups(device)
    return flags["n_groups"] or min(default, flags["n_parallel_games"] or default)


def _eval_aux(flags: dict[str, Any]) -> EvalAuxConfig:
    from zebfast.worker.config import EvalAuxConfig

    return EvalAuxConfig(
        n_samples=flags["n_samples"],
        zeb_temperature=flags["zeb_temperature"],
        eq_policy_targets=flags["eq_policy_targets"],
        target_temperature=flags["eq_target_temperature"],
        n_threads=flags["threads"] or usable_cores(),
    )


def _with_interval(flags: dict[str, Any], examples: Place) -> dict[str, Any]:
    """The flags with an upload interval that keeps all workers within the Hub's quota."""
    if examples.kind != "dataset" or flags["n_workers"] is None:
        return flags
    from zebfast.exchange.hub.uploader import upload_interval_for

    least = upload_interval_for(flags["n_workers"])
    return flags | {"upload_interval": max(flags["upload_interval"], least)}


def default_groups(device: str) -> int:
    """Two groups overlap trees and network; on a CPU one per core also splits the network."""
    return 2 if device != "cpu" else max(2, min(usable_cores(), 16))


def default_threads(n_groups: int) -> int:
    """Threads of torch in each group, so that all together are as many as cores."""
    return max(1, usable_cores() // n_groups)


# --- Flags of `zebfast worker` that only one of its modes looks at; those of the self-play
# search.

POSITIVE = click.IntRange(min=1)
AT_LEAST_0 = click.FloatRange(min=0)
ABOVE_0 = click.FloatRange(min=0, min_open=True)
_SHARE = click.FloatRange(0, 1)
_VISITS = click.IntRange(1, MAX_VISITS)


class ModeOption(click.Option):
    """An option that only some modes look at."""

    def __init__(self, *args: Any, modes: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.modes = modes


def _own(
    modes: tuple[str, ...],
    name: str,
    kind: Any,
    default: Any,
    text: str,
    env: str | None = None,
) -> Callable[[Decorated], Decorated]:
    """An option of some modes that shows its default, and the variable that it can come from."""
    return click.option(
        name,
        cls=ModeOption,
        modes=modes,
        type=kind,
        default=default,
        show_default=default is not None,
        help=text,
        envvar=env,
        show_envvar=env is not None,
    )


selfplay_option, eval_aux_option = partial(_own, (SELFPLAY,)), partial(_own, (EVAL_AUX,))
#: Of all that play games of the network against itself.
games_option = partial(_own, (SELFPLAY, EXACT, ROLLOUT, RECIPE))
_teaching_option = partial(_own, (EXACT, ROLLOUT))
_solved_option = partial(_own, (SELFPLAY, ROLLOUT))
_played_option = partial(_own, (SELFPLAY, EXACT, ROLLOUT))

_SEARCH = [
    selfplay_option(
        "--n-simulations", POSITIVE, 200, "Visits of the root that end the search of a play."
    ),
    selfplay_option(
        "--max-mcts-nodes",
        click.IntRange(MIN_NODES, MAX_NODES),
        512,
        "Positions a tree can hold, 64 bytes each.",
    ),
    _played_option(
        "--temperature",
        AT_LEAST_0,
        1.0,
        "Of plays drawn from visits, or with a teacher from the policy; 0 = best.",
    ),
    selfplay_option("--c-puct", ABOVE_0, 1.4, "Weight of priors in the search."),
    selfplay_option("--noise-fraction", _SHARE, 0.0, "Share of Dirichlet noise at the root."),
    selfplay_option("--noise-alpha", ABOVE_0, 0.5, "Parameter of that noise."),
    selfplay_option(
        "--worlds",
        click.Choice(WORLDS),
        "sampled",
        "What a tree searches: worlds drawn from "
        "what the seat to play knows, or the true deal, as published.",
    ),
    selfplay_option(
        "--n-worlds", click.IntRange(1, MAX_WORLDS), 16, "Worlds drawn for each searched play."
    ),
    _solved_option(
        "--exact-tricks",
        click.IntRange(0, N_TRICKS),
        None,
        "Positions with at most this many tricks left are valued by the solver, not by the "
        f"network; 0 = none.  [default: {SearchOptions().exact_tricks}; "
        f"rollout: {TeachingConfig().exact_tricks}]",
    ),
    selfplay_option(
        "--root",
        click.Choice(ROOTS),
        "puct",
        "How a root's simulations are shared out: by visits "
        "and priors, or by sequential halving, meant for 16 to 64 of them.",
    ),
    selfplay_option(
        "--gumbel-scale",
        AT_LEAST_0,
        1.0,
        "Of the noise that the gumbel root explores by; 0 = none.",
    ),
    selfplay_option(
        "--early-stop/--no-early-stop",
        bool,
        False,
        "End a search whose most visited play can no longer be overtaken (puct root).",
    ),
    selfplay_option(
        "--full-share",
        click.FloatRange(0, 1, min_open=True),
        1.0,
        "Share of plays searched in full and "
        "recorded; the others get --fast-simulations and no policy target.",
    ),
    selfplay_option(
        "--fast-simulations", _VISITS, 16, "Simulations of plays that are not recorded."
    ),
    selfplay_option(
        "--skip-decided/--no-skip-decided",
        bool,
        False,
        "Play out hands that one side has won at random, without search and policy targets.",
    ),
    selfplay_option(
        "--transpositions/--no-transpositions",
        bool,
        False,
        "Orders of play that lead to the same start of a trick share one node in a world.",
    ),
    selfplay_option(
        "--cache-mb",
        click.IntRange(0, MAX_CACHE_MB),
        0,
        "MiB of evaluations that each group remembers by what a seat knows; 0 = none.",
    ),
]


_TEACHING = [
    _teaching_option(
        "--label-share",
        click.FloatRange(0, 1, min_open=True),
        TeachingConfig().label_share,
        "Share of the decisions that the teacher labels.",
    ),
    _teaching_option(
        "--label-worlds",
        click.IntRange(0, MAX_WORLDS),
        TeachingConfig().n_worlds,
        "Worlds that a label is the mean over; 0 = the deal itself, which is one of them.",
    ),
    _teaching_option(
        "--explore", _SHARE, TeachingConfig().explore, "Share of random plays in a game."
    ),
]


def teaching_options(command: Decorated) -> Decorated:
    """The options of --mode exact and rollout, in the order of the help."""
    for each in reversed(_TEACHING):
        command = each(command)
    return command


def search_options(command: Decorated) -> Decorated:
    """The options of self-play's search, in the order of the help."""
    for each in reversed(_SEARCH):
        command = each(command)
    return command


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
@events_option
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

    from zebfast.cli.console import batch_progress
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
    with messages_to(click.echo), batch_progress(sys.stderr) as on_progress:
        return work(config, on_progress=on_progress, settle=_settling(context))


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
