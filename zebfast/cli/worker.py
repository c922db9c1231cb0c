"""`python -m zebfast.worker` and `zebfast worker`: play games, hand over the examples.

One command for all producers. Flags of another producer are refused on the command line; in the
environment they are left alone, so that one environment serves machines of all.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from zebfast.cli.messages import account, messages_to, note
from zebfast.cli.options import (
    ModeOption,
    Whole,
    choose_device,
    events_option,
    setting_option,
    setting_options,
    setting_values,
    threads_option,
    together,
)
from zebfast.cli.places import WEIGHTS, chosen_place, chosen_stores, place_options, store_options
from zebfast.cli.run import HELP, run, stop_at_eof_option
from zebfast.core.options import SearchOptions
from zebfast.exchange import StoreOptions
from zebfast.selfplay.auctions import AuctionOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.producer_kinds import (
    BY_MODE,
    EVAL_AUX,
    EXACT,
    GAME,
    KINDS,
    MOST_BATCH,
    RECIPE,
    ROLLOUT,
    SELFPLAY,
    ProducerKind,
)
from zebfast.selfplay.teaching import GAMES_PER_GROUP, TeachingConfig
from zebfast.system.machine import usable_cores, usable_threads
from zebfast.worker.config import EvalAuxConfig, RecipeConfig, WorkerConfig
from zebfast.worker.opponent import OpponentOptions

if TYPE_CHECKING:
    from zebfast.exchange import ExampleStore
    from zebfast.worker.loop import Settle

# --- From the worker's flags to its configuration.

EXAMPLES = ("--output-dir", "--examples-repo-id")


def config_from_flags(flags: dict[str, Any]) -> tuple[WorkerConfig, int]:
    """The configuration of parsed flags, and how many threads torch may use.

    Raises:
        click.UsageError: one sentence where they cannot be used.
    """
    from zebfast.exchange import example_name

    kind = BY_MODE[flags["mode"]]
    own = {
        name: getattr(kind, name)
        for name in ("worker_id", "games_per_batch", "weight_sync_interval")
    }
    if kind == EVAL_AUX and flags["eq_games_per_batch"] is not None:
        own["games_per_batch"] = flags["eq_games_per_batch"]
    own |= setting_values(WorkerConfig, flags)
    try:
        where, device = _where(flags), choose_device(flags["device"])
        example_name(own["worker_id"], 0)
        producer = _producer(kind, flags, device)
        own["opponent"] = OpponentOptions(**setting_values(OpponentOptions, flags))
        config = WorkerConfig(producer=producer, **where | own | {"device": device})
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    groups = 1 if kind == EVAL_AUX else _groups(flags, device)
    return config, flags["threads"] or default_threads(groups)


def open_examples_of(flags: dict[str, Any]) -> tuple[str, ExampleStore]:
    """The id of the worker with these parsed flags, and the store that it hands its examples to.

    Raises:
        ValueError: one sentence where they cannot be used.
    """
    from zebfast.exchange import open_examples

    where = _where(flags)
    store = open_examples(where["examples"], where["namespace"], options=where["stores"])
    return flags["worker_id"] or BY_MODE[flags["mode"]].worker_id, store


def _where(flags: dict[str, Any]) -> dict[str, Any]:
    """Both places, the namespace and the stores' options, as WorkerConfig calls them.

    The upload interval keeps all workers within the Hub's quota.
    """
    from zebfast.exchange import Namespace

    weights, examples = chosen_place(flags, *WEIGHTS), chosen_place(flags, *EXAMPLES)
    if examples.kind == "dataset" and flags["n_workers"] is not None:
        from zebfast.exchange.hub.uploader import upload_interval_for

        least = upload_interval_for(flags["n_workers"])
        flags = flags | {"upload_interval": max(flags["upload_interval"], least)}
    stores = chosen_stores(flags, weights)
    namespace = Namespace.parse(flags["weights_name"])
    return {"weights": weights, "examples": examples, "stores": stores, "namespace": namespace}


def selfplay_config(flags: dict[str, Any], device: str) -> SelfPlayConfig:
    """What these parsed flags say of self-play.

    Raises:
        ValueError: one sentence where they cannot be used.
    """
    from zebfast.worker import options

    return options.selfplay_config(flags | {"n_groups": _groups(flags, device)})


def _producer(
    kind: ProducerKind, flags: dict[str, Any], device: str
) -> SelfPlayConfig | EvalAuxConfig | TeachingConfig | RecipeConfig:
    """The producer of this kind, of parsed flags."""
    from zebfast.worker.options import teaching_config

    if kind == SELFPLAY:
        return selfplay_config(flags, device)
    if kind == EVAL_AUX:
        threads = flags["threads"] or usable_cores()
        return EvalAuxConfig(**setting_values(EvalAuxConfig, flags), n_threads=threads)
    groups = _groups(flags, device)
    if kind == RECIPE:
        own = ("n_parallel_games", "n_groups", "threads", "games_per_batch")
        return RecipeConfig(machine={name: flags[name] for name in own}, default_groups=groups)
    return teaching_config(kind.mode, flags | {"n_groups": groups})


def _groups(flags: dict[str, Any], device: str) -> int:
    """Groups of games as the flags say, or as many as suit the device; a game for each."""
    default = default_groups(device)
    return flags["n_groups"] or min(default, flags["n_parallel_games"] or default)


def default_groups(device: str) -> int:
    """Two groups overlap trees and network; on a CPU one per core also splits the network."""
    return 2 if device != "cpu" else max(2, min(usable_cores(), 16))


def default_threads(n_groups: int) -> int:
    """Threads of torch in each group, so that all together are as many as cores."""
    return max(1, usable_cores() // n_groups)


# --- Flags of `zebfast worker`; most belong to some of its modes only.

_SELFPLAY, _EVAL_AUX = (SELFPLAY.mode,), (EVAL_AUX.mode,)
_TAUGHT = (EXACT.mode, ROLLOUT.mode, GAME.mode)
_GAMES = (*_SELFPLAY, *_TAUGHT, RECIPE.mode)
#: What `zebfast bench --tune` finds, as flags are called; the names are those of Setting.
TUNED_FLAGS = ("n_parallel_games", "n_groups", "threads")


_search = partial(setting_options, SearchOptions, modes=_SELFPLAY)
#: The options of self-play's search.
search_options = together(
    _search("n_simulations", "max_nodes"),
    setting_option(SearchOptions, "temperature", modes=(*_SELFPLAY, *_TAUGHT)),
    _search("c_puct", "noise_fraction", "noise_alpha"),
    setting_option(SelfPlayConfig, "worlds", modes=_SELFPLAY),
    _search("n_worlds"),
    setting_option(
        SearchOptions, "exact_tricks", modes=(*_SELFPLAY, ROLLOUT.mode, GAME.mode), default=None,
        show_default=f"{SearchOptions.exact_tricks}; rollout, game: {TeachingConfig.exact_tricks}",
    ),
    _search("root", "gumbel_scale", "early_stop", "full_share", "fast_simulations",
            "skip_decided", "transpositions"),
    setting_option(SelfPlayConfig, "cache_mb", modes=_SELFPLAY),
)  # fmt: skip


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
    type=click.Choice([kind.mode for kind in KINDS]),
    default=SELFPLAY.mode,
    show_default=True,
    envvar="ZEB_WORKER_MODE",
    show_envvar=True,
    help="What to play: the network against itself, by search; E[Q] against the network; the bare "
    "network, every play labelled by the solver (exact) or by playing on (rollout), or for a "
    "contract that was bid (game); whatever the run's recipe has come to.",
)
@setting_option(WorkerConfig, "worker_id")
@setting_option(
    SelfPlayConfig,
    "n_parallel_games",
    modes=_GAMES,
    default=None,
    show_default=f"{SelfPlayConfig.n_parallel_games}; with a teacher: {GAMES_PER_GROUP} a group",
)
@setting_option(SelfPlayConfig, "n_groups", modes=_GAMES, default=None, show_default="2, or cores")
@search_options
@setting_options(OpponentOptions, modes=_SELFPLAY)
@setting_options(TeachingConfig, "label_share", "n_worlds", "explore", modes=_TAUGHT)
@setting_options(AuctionOptions, modes=(GAME.mode,))
@setting_options(EvalAuxConfig, modes=_EVAL_AUX)
@click.option(
    "--eq-games-per-batch",
    type=Whole(1, MOST_BATCH),
    envvar="ZEB_EQ_GAMES_PER_BATCH",
    hidden=True,
    help="eval-aux: --games-per-batch, from the environment.",
)
@setting_options(WorkerConfig, "games_per_batch", "weight_sync_interval")
@setting_option(StoreOptions, "upload_interval")
@click.option(
    "--n-workers",
    type=Whole(1, 100_000),
    help="Workers that upload to the same repository: makes the interval as long as the Hub's "
    "limit of commits an hour asks for.",
)
@setting_options(WorkerConfig, "upload_grace", "device")
@setting_option(WorkerConfig, "dtype", default="auto")
@threads_option(
    "Threads torch uses per group; eval-aux: solvers.", "cores per group; eval-aux: cores"
)
@setting_option(WorkerConfig, "seed", also=("--base-seed", "seed"))
@setting_options(WorkerConfig, "example_format", "max_batches")
@setting_option(WorkerConfig, "restarts", hidden=True)
@setting_option(WorkerConfig, "earlier_batches", hidden=True)
@stop_at_eof_option
@events_option
@click.pass_context
def worker(context: click.Context, /, **flags: Any) -> int:
    """Play games with the newest weights and write training examples.

    Self-play by default; --mode eval-aux plays the E[Q] player against the network, every deal
    both ways. --mode exact and rollout play the bare network and label its decisions with what
    each legal play is worth: final points with open hands and best play, or with everybody's
    favourite plays. --mode game does the latter for hands of whole games, which begin with an
    auction and are played for its contract. --mode recipe does what the learner's recipe asks for,
    and changes with it. Runs until stopped. Ctrl-C, SIGTERM or SIGHUP hand over the games that are
    finished.

    Where --n-parallel-games, --n-groups or --threads are not given, what zebfast bench --tune found
    for this machine, network and search is used.
    """
    from zebfast.cli.console import batch_progress
    from zebfast.worker.loop import work

    refuse_flags_of_the_other(context, flags["mode"])
    nodes, visits = flags["max_mcts_nodes"], flags["n_simulations"]
    if flags["mode"] == SELFPLAY.mode and nodes < visits:
        note(
            f"note: a tree of {nodes} nodes ends a search before {visits} simulations; "
            f"give --max-mcts-nodes {2 * visits} for full searches"
        )
    with messages_to(account), batch_progress() as on_progress:
        config, threads = config_from_flags(flags | {"threads": usable_threads(flags["threads"])})
        return work(config, on_progress=on_progress, settle=_settling(context), threads=threads)


def _settling(context: click.Context) -> Settle | None:
    """How to play as was found best on this machine; None where the flags leave nothing open."""
    default = ParameterSource.DEFAULT
    given = {name for name in TUNED_FLAGS if context.get_parameter_source(name) is not default}
    if context.params["mode"] != SELFPLAY.mode or len(given) == len(TUNED_FLAGS):
        return None
    from zebfast.benchmark.tuned_settings import settling

    return settling(tuned_file(), given)


def tuned_file() -> Path:
    """Where `zebfast bench --tune` keeps its results: below $XDG_CACHE_HOME, or ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return Path(cache if cache else "~/.cache").expanduser() / "zebfast" / "tuned.json"


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
    arguments = ["--mode", EVAL_AUX.mode, *(sys.argv[1:] if argv is None else argv)]
    run(worker, prog_name="python -m zebfast.worker.eval_aux", argv=arguments)
