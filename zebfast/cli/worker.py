"""`python -m zebfast.worker` and `zebfast worker`: play against itself, hand over the examples."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from zebfast.cli.learn import choose_device, option
from zebfast.cli.machine import usable_cores
from zebfast.cli.places import WEIGHTS, chosen_place, chosen_stores, place_options, store_options
from zebfast.cli.run import HELP, run, stop_at_eof_option
from zebfast.core.forest import MAX_NODES, MAX_WORLDS, MIN_NODES, N_TRICKS, WORLDS

EXAMPLES = ("--output-dir", "--examples-repo-id")

_POSITIVE = click.IntRange(min=1)


@click.command(
    name="worker",
    short_help="Play against itself and hand over the examples.",
    context_settings=HELP,
    epilog="Example: python -m zebfast.worker --repo-id run --output-dir run/examples",
)
@place_options(*WEIGHTS, "Directory that the learner publishes weights to.")
@place_options(*EXAMPLES, "Directory to write example files to; created if it is not there.")
@store_options
@click.option("--weights-name", help="Namespace of the run (default: the nameless one, model).")
@option("--mode", click.Choice(["selfplay"]), "selfplay", "What to produce: self-play only yet.")
@option("--worker-id", str, "worker-0", "Name in file names and log lines; one process each.")
@option("--n-parallel-games", _POSITIVE, 128, "Games in progress at once.")
@option("--n-groups", _POSITIVE, None, "Groups of games, a thread each (default: 2, or cores).")
@option("--n-simulations", _POSITIVE, 200, "Visits of the root that end the search of a play.")
@option(
    "--max-mcts-nodes",
    click.IntRange(MIN_NODES, MAX_NODES),
    512,
    "Positions a tree can hold, 64 bytes each.",
)
@option("--temperature", click.FloatRange(min=0), 1.0, "Of plays drawn from visits; 0 = best.")
@option("--c-puct", click.FloatRange(min=0, min_open=True), 1.4, "Weight of priors in the search.")
@option("--noise-fraction", click.FloatRange(0, 1), 0.0, "Share of Dirichlet noise at the root.")
@option("--noise-alpha", click.FloatRange(min=0, min_open=True), 0.5, "Parameter of that noise.")
@option("--worlds", click.Choice(WORLDS), "sampled", "What a tree searches: worlds drawn from "
        "what the seat to play knows, or the true deal, as published.")  # fmt: skip
@option("--n-worlds", click.IntRange(1, MAX_WORLDS), 16, "Worlds drawn for each searched play.")
@option("--exact-tricks", click.IntRange(0, N_TRICKS), 7, "Positions with at most this many tricks "
        "left are valued by the solver, not by the network; 0 = none.")  # fmt: skip
@option("--games-per-batch", _POSITIVE, 256, "Games of an example file.")
@option("--weight-sync-interval", _POSITIVE, 10, "Batches between looks for newer weights.")
@option("--upload-interval", click.FloatRange(min=0), 240.0, "Seconds between uploads to the Hub; "
        "in directories files appear as batches end.")  # fmt: skip
@option("--device", str, None, "cpu, cuda or cuda:N (default: cuda if present, else cpu).")
@option("--dtype", click.Choice(["fp32", "fp16", "bf16"]), "fp32", "Precision of the network.")
@option("--threads", _POSITIVE, None, "Threads torch uses per group (default: cores per group).")
@option("--seed", click.IntRange(0, 2**63 - 1), None, "Seed of all games (default: a new one); a "
        "given one continues where this worker id stopped.")  # fmt: skip
@option("--example-format", click.Choice(["native", "pt"]), "native", "Compact, or documented .pt.")
@option("--max-batches", _POSITIVE, None, "Stop after this many batches.")
@stop_at_eof_option
def worker(**flags: Any) -> int:
    """Play games against itself with the newest weights and write training examples.

    Runs until stopped. Ctrl-C or SIGTERM hand over the games that are finished.
    """
    import torch

    from zebfast.cli.progress import batch_progress
    from zebfast.worker.loop import work

    config = config_from_flags(flags)
    threads = flags["threads"] or max(1, usable_cores() // config.selfplay.n_groups)
    torch.set_num_threads(threads)
    nodes, visits = flags["max_mcts_nodes"], flags["n_simulations"]
    if nodes < visits:
        click.echo(
            f"note: a tree of {nodes} nodes ends a search before {visits} simulations; "
            f"give --max-mcts-nodes {2 * visits} for full searches",
            err=True,
        )
    with batch_progress(sys.stderr) as on_progress:
        return work(config, say=click.echo, on_progress=on_progress)


def config_from_flags(flags: dict[str, Any]) -> Any:
    """The WorkerConfig of parsed flags. UsageError (one sentence) where they cannot be used."""
    from zebfast.core.options import SearchOptions
    from zebfast.exchange import Namespace
    from zebfast.selfplay.config import SelfPlayConfig
    from zebfast.selfplay.examples import example_name
    from zebfast.worker.config import WorkerConfig

    try:
        weights = chosen_place(flags, *WEIGHTS)
        device = choose_device(flags["device"])
        search = SearchOptions(
            n_simulations=flags["n_simulations"],
            max_nodes=flags["max_mcts_nodes"],
            n_worlds=flags["n_worlds"],
            exact_tricks=flags["exact_tricks"],
            c_puct=flags["c_puct"],
            temperature=flags["temperature"],
            noise_alpha=flags["noise_alpha"],
            noise_fraction=flags["noise_fraction"],
        )
        n_parallel = flags["n_parallel_games"]
        selfplay = SelfPlayConfig(
            n_parallel_games=n_parallel,
            n_groups=flags["n_groups"] or min(default_groups(device), n_parallel),
            search=search,
            worlds=flags["worlds"],
        )
        example_name(flags["worker_id"], 0)
        same = ("worker_id", "games_per_batch", "weight_sync_interval", "seed", "dtype",
                "example_format", "max_batches")  # fmt: skip
        return WorkerConfig(
            weights=weights,
            examples=chosen_place(flags, *EXAMPLES),
            stores=chosen_stores(flags, weights),
            namespace=Namespace.parse(flags["weights_name"]),
            selfplay=selfplay,
            device=device,
            **{name: flags[name] for name in same},
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def default_groups(device: str) -> int:
    """Two groups overlap trees and network; on a CPU one per core also splits the network."""
    return 2 if device != "cpu" else max(2, min(usable_cores(), 16))


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of `python -m zebfast.worker`. Exits with 0, 1, 2 (usage), 130 or 143."""
    run(worker, prog_name="python -m zebfast.worker", argv=argv)
