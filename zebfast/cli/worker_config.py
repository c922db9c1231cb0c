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
    from zebfast.selfplay.teaching import TeachingConfig
    from zebfast.worker.config import EvalAuxConfig, RecipeConfig, WorkerConfig

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
    from zebfast.exchange import Namespace
    from zebfast.selfplay.examples import example_name
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
    from zebfast.exchange.uploader import upload_interval_for

    least = upload_interval_for(flags["n_workers"])
    return flags | {"upload_interval": max(flags["upload_interval"], least)}


def default_groups(device: str) -> int:
    """Two groups overlap trees and network; on a CPU one per core also splits the network."""
    return 2 if device != "cpu" else max(2, min(usable_cores(), 16))


def default_threads(n_groups: int) -> int:
    """Threads of torch in each group, so that all together are as many as cores."""
    return max(1, usable_cores() // n_groups)
