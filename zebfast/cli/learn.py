"""`zebfast-learn` and `zebfast learn`: train on what workers play and publish the weights."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from zebfast import __version__
from zebfast.cli.options import (
    choose_device,
    setting_option,
    setting_options,
    setting_values,
    threads_option,
)
from zebfast.cli.places import WEIGHTS, chosen_place, chosen_stores, place_options, store_options
from zebfast.cli.run import EXIT_FAILED, HELP, forked, run, stop_at_eof_option
from zebfast.learner.config import EvalAuxConfig, LearnerConfig
from zebfast.learner.recipe import (
    LED_STAGE,
    Recipe,
    RecipeError,
    Stage,
    Training,
    led_recipe,
    read_recipe,
)
from zebfast.system.machine import interface_towards, usable_cores, usable_threads

if TYPE_CHECKING:
    from zebfast.learner.ranks.place import RankPlace

EXAMPLES = ("--input-dir", "--examples-repo-id")

_HUB_PUSH_SECONDS = 180.0
_HUB_POLL_SECONDS = 20.0
_SNAPSHOT_EVERY = 25

_SNAPSHOTS = (
    "resume", "sync_to", "sync_endpoint", "sync_grace", "snapshot_every", "snapshot_dir",
    "keep_snapshots", "disk_limit",
)  # fmt: skip
#: Settings that every stage of a recipe has its own of, and those that hold for all its stages.
_OF_STAGES = ("lr", "batch_size")
_OF_TRAINING = (
    "ema", "replay_buffer_size", "min_buffer_size", "training_steps_per_cycle", "push_every", "amp",
)  # fmt: skip
_EVAL_AUX = "eval_aux_"  # begins the flags of an EvalAuxConfig


def _with_recipe(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """The path of a recipe, whose settings become what flags are when they are not given."""
    if path is not None:
        try:
            training = read_recipe(path).training
        except RecipeError as error:
            raise click.UsageError(str(error)) from error
        own = {name: getattr(training, name) for name in _OF_TRAINING}
        own |= {"amp_dtype": "bf16", "eval_every": 0}
        context.default_map = {**own, **(context.default_map or {})}
    return path


@click.command(
    name="learn",
    short_help="Learn from the examples and publish new weights.",
    context_settings=HELP,
    epilog="Example: zebfast-learn --repo-id run --input-dir run/examples --checkpoint start.pt",
)
@place_options(*WEIGHTS, "Directory of weights, config, state and metrics.")
@place_options(*EXAMPLES, "Directory that workers write examples to.")
@store_options
@click.option("--weights-name", help="Namespace of this run (default: the nameless one, model).")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Network to start a new namespace from; checked, otherwise unused, in one that exists.",
)
@click.option(
    "--recipe",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    callback=_with_recipe,
    help="Train in the stages of this TOML file, to its end: it has --lr and --batch-size of each "
    "stage, says what workers of --mode recipe do, and replaces --eval-every by matches of its own "
    "that keep the best network.",
)
@setting_options(LearnerConfig, *_SNAPSHOTS)
@setting_option(Stage, "lr", default=LED_STAGE.lr, help="Learning rate.")
@setting_option(Stage, "batch_size", default=LED_STAGE.batch_size)
@setting_options(Training, *_OF_TRAINING[:-1])
@setting_options(
    LearnerConfig, "push_seconds", "eval_every", "eval_games", "checkpoint_every",
    "keep_example_files", "max_example_age", "poll_seconds", "max_reuse", "squash_after",
)  # fmt: skip
@click.option("--take-over", is_flag=True, help="Dispossess another learner of this namespace.")
@setting_option(Training, "amp")
@setting_options(
    LearnerConfig, "amp_dtype", "replay_cache", "replay_cache_dir", "replay_cache_save_every"
)
@setting_options(EvalAuxConfig, prefix=_EVAL_AUX)
@setting_options(LearnerConfig, "wandb", "wandb_project", "run_name", "device")
@threads_option("Threads torch uses.", "half the cores; a worker may share them")
@setting_options(LearnerConfig, "processes", "rank_timeout")
@setting_options(LearnerConfig, "train_diagnostics_every", "seed", "max_cycles", "max_minutes")
@click.option("--dry-run", is_flag=True, help="Print the settings this would run with, and stop.")
@stop_at_eof_option
def command(**flags: Any) -> int:
    """Train a network on self-play examples and publish its weights, until stopped.

    Ctrl-C, SIGTERM or SIGHUP finish the step and save; the same command continues.
    """
    if flags["dry_run"]:
        click.echo(json.dumps(config_from_flags(flags).to_json(), indent=2))
        return 0
    return run_learner(flags)


def run_learner(flags: dict[str, Any]) -> int:
    """Learn as parsed flags say, until stopped; what happens is kept in the run's events file.

    Returns the exit code.
    """
    config, place = config_from_flags(flags), _launched(flags)
    if place is None and config.processes > 1:
        return _supervise(config, flags)
    return _learn(config, flags, place)


def _launched(flags: Mapping[str, Any]) -> RankPlace | None:
    """The place of this process among those that torchrun began; None where it did not.

    UsageError where that does not go with the flags.
    """
    from zebfast.learner.ranks.place import launched

    try:
        place = launched(os.environ)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if place is not None and flags["processes"] > 1:
        raise click.UsageError("--processes is torchrun's to say (--nproc-per-node): leave it out")
    return place


def _supervise(config: LearnerConfig, flags: dict[str, Any]) -> int:
    """The learner as forks of this process, which share what is imported here."""
    import zebfast.learner.loop  # noqa: F401
    from zebfast.learner.ranks.supervisor import Patience, supervise

    return supervise(
        config.processes,
        lambda place: forked(lambda: _learn(config, flags, place)),
        Patience(halted=config.rank_timeout),
    )


def _learn(config: LearnerConfig, flags: dict[str, Any], place: RankPlace | None) -> int:
    """Learn in this process, which may be one of several; only the first says anything."""
    from zebfast.cli.messages import account, messages_to
    from zebfast.learner.loop import learn
    from zebfast.system.events import Ended, EventFile, Started, emit, subscribed

    n_here = 1 if place is None else place.local_world
    # Threads beyond the cores that are free wait for each other by spinning: many times slower.
    most = max(1, usable_cores() // n_here)
    threads = min(usable_threads(flags["threads"]) or max(1, most // 2), most)
    if place is not None:
        config = _ranked(config, place)
        if place.rank:
            return learn(config, threads=threads, place=place)
    code = EXIT_FAILED
    events = EventFile(config.stores.state_dir / config.namespace.events_file)
    with messages_to(account), subscribed(events.take):
        host = socket.gethostname()
        emit(Started(program="learner", version=__version__, host=host, pid=os.getpid()))
        try:
            code = learn(config, threads=threads, place=place)
        finally:
            emit(Ended(program="learner", code=code))
    return code


def _ranked(config: LearnerConfig, place: RankPlace) -> LearnerConfig:
    """The config of one of several processes. UsageError where they cannot be."""
    try:
        config.check_world(place.world)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    # Else gloo asks what the machine's name means, which may be nothing, or itself.
    name = "lo" if place.is_one_machine else interface_towards(place.address, place.port)
    if name is not None and (name != "lo" or place.is_one_machine):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
    return replace(config, device=place.device(config.device))


def config_from_flags(flags: dict[str, Any]) -> LearnerConfig:
    """The LearnerConfig of parsed flags. UsageError (one sentence) where they cannot be used."""
    from zebfast.exchange import Namespace
    from zebfast.exchange.mirror.mirror import counts_commits

    if flags["processes"] > 1:  # asked otherwise, CUDA could not be used by forks of this process
        os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    try:
        weights, examples = chosen_place(flags, *WEIGHTS), chosen_place(flags, *EXAMPLES)
        own = setting_values(LearnerConfig, flags) | {"device": choose_device(flags["device"])}
        on_hub = weights.path is None or examples.path is None or counts_commits(flags["sync_to"])
        if on_hub:
            own.setdefault("push_seconds", _HUB_PUSH_SECONDS)
        if flags["sync_to"]:
            own.setdefault("snapshot_every", _SNAPSHOT_EVERY)
        if examples.path is None:
            own.setdefault("poll_seconds", _HUB_POLL_SECONDS)
        config = LearnerConfig(
            weights=weights,
            examples=examples,
            eval_aux=EvalAuxConfig(**setting_values(EvalAuxConfig, flags, prefix=_EVAL_AUX)),
            stores=chosen_stores(flags, weights),
            namespace=Namespace.parse(flags["weights_name"]),
            recipe=_recipe(flags),
            **own,
        )
        config.check_world(config.processes)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return config


def _recipe(flags: dict[str, Any]) -> Recipe:
    """The recipe that is named, with what else is given; or that of a run led by flags."""
    training = setting_values(Training, flags)
    if flags.get("recipe") is None:
        return led_recipe(**training, **{name: flags[name] for name in _OF_STAGES})
    for name in _OF_STAGES:
        if flags[name] != getattr(LED_STAGE, name):
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag} is set by every stage of the recipe: leave it out")
    recipe = read_recipe(flags["recipe"])
    assert recipe.network is not None
    recipe.network.config()
    return replace(recipe, training=replace(recipe.training, **training))


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of `zebfast-learn`. Exits with 0, 1 (failed), 2 (usage), 130, 143 or 129."""
    run(command, prog_name="zebfast-learn", argv=argv)
