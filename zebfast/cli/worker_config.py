"""From the worker's flags to its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zebfast.cli.learn import choose_device
from zebfast.cli.machine import usable_cores
from zebfast.cli.places import WEIGHTS, chosen_place, chosen_stores

if TYPE_CHECKING:
    from zebfast.exchange import ExampleStore, Place, Say
    from zebfast.selfplay.config import SelfPlayConfig
    from zebfast.worker.config import EvalAuxConfig, WorkerConfig

EXAMPLES = ("--output-dir", "--examples-repo-id")
SELFPLAY, EVAL_AUX = "selfplay", "eval-aux"

#: Options of the search that are called what their flags are.
_SEARCH = ("n_simulations", "n_worlds", "exact_tricks", "c_puct", "root", "temperature",
           "noise_alpha", "noise_fraction", "gumbel_scale", "early_stop", "transpositions",
           "full_share", "fast_simulations", "skip_decided")  # fmt: skip

_DEFAULTS: dict[str, dict[str, Any]] = {
    SELFPLAY: {"worker_id": "worker-0", "games_per_batch": 256, "weight_sync_interval": 10},
    EVAL_AUX: {"worker_id": "evalaux-0", "games_per_batch": 128, "weight_sync_interval": 5},
}


def config_from_flags(flags: dict[str, Any]) -> tuple[WorkerConfig, int]:
    """The configuration of parsed flags, and how many threads torch may use.

    Raises:
        click.UsageError: one sentence where they cannot be used.
    """
    from zebfast.exchange import Namespace
    from zebfast.selfplay.config import SelfPlayConfig
    from zebfast.selfplay.examples import example_name
    from zebfast.worker.config import WorkerConfig

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
        producer: SelfPlayConfig | EvalAuxConfig
        producer = selfplay_config(flags, device) if mode == SELFPLAY else _eval_aux(flags)
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
    groups = producer.n_groups if isinstance(producer, SelfPlayConfig) else 1
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
    from zebfast.core.options import SearchOptions
    from zebfast.selfplay.config import SelfPlayConfig

    n_parallel = flags["n_parallel_games"]
    return SelfPlayConfig(
        n_parallel_games=n_parallel,
        n_groups=flags["n_groups"] or min(default_groups(device), n_parallel),
        worlds=flags["worlds"],
        cache_mb=flags["cache_mb"],
        search=SearchOptions(
            max_nodes=flags["max_mcts_nodes"], **{name: flags[name] for name in _SEARCH}
        ),
    )


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
    from zebfast.exchange.uploader import upload_interval_for

    least = upload_interval_for(flags["n_workers"])
    return flags | {"upload_interval": max(flags["upload_interval"], least)}


def default_groups(device: str) -> int:
    """Two groups overlap trees and network; on a CPU one per core also splits the network."""
    return 2 if device != "cpu" else max(2, min(usable_cores(), 16))


def default_threads(n_groups: int) -> int:
    """Threads of torch in each group, so that all together are as many as cores."""
    return max(1, usable_cores() // n_groups)
