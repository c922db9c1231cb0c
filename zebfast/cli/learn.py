"""`zebfast-learn` and `zebfast learn`: train on what workers play and publish the weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from zebfast.cli.places import WEIGHTS, chosen_place, chosen_stores, place_options, store_options
from zebfast.cli.run import HELP, Decorated, run, stop_at_eof_option
from zebfast.system.machine import usable_cores

EXAMPLES = ("--input-dir", "--examples-repo-id")

_POSITIVE = click.IntRange(min=1)
_COUNT = click.IntRange(min=0)
_AGE = click.FloatRange(min=0)
_FRACTION = click.FloatRange(0, 1)
_HUB_PUSH_SECONDS = 180.0
_HUB_POLL_SECONDS = 20.0
_SNAPSHOT_EVERY = 25

_SNAPSHOTS: tuple[tuple[str, Any, Any, str], ...] = (
    ("--resume", click.Choice(["auto", "never"]), "auto", "Go on from the newest snapshot where "
     "it is newer than this machine's own state."),
    ("--sync-to", str, None, "URL below which snapshots are kept, too, and found by another "
     "machine: s3://bucket/folder, hf://owner/name, hf://buckets/owner/name, file:///directory."),
    ("--sync-endpoint", str, None, "Address of an S3-compatible service (default: "
     "AWS_ENDPOINT_URL, or Amazon's)."),
    ("--sync-grace", _AGE, 120.0, "Seconds that the end waits for the last snapshot to arrive."),
    ("--snapshot-every", _COUNT, None, "Cycles between snapshots of the whole training state; 0 = "
     "never (default: 25 with --sync-to, else 0)."),
    ("--snapshot-dir", click.Path(path_type=Path, file_okay=False), None, "Where snapshots lie "
     "(default: snapshots/NAMESPACE in the state directory)."),
    ("--keep-snapshots", _POSITIVE, 3, "Snapshots kept, here and at --sync-to."),
    ("--disk-limit", click.FloatRange(0, 100), 90.0, "Percent of the disk above which superseded "
     "snapshots are deleted; 0 = off."),
)  # fmt: skip

_EVAL_AUX_PREFIX = "eval_aux_"
_EVAL_AUX = (
    ("--eval-aux-enabled/--no-eval-aux-enabled", bool, True, "Train on evaluation games, too."),
    ("--eval-aux-replay-buffer-size", _POSITIVE, 100_000, "Examples of them kept."),
    ("--eval-aux-batch-fraction", _FRACTION, 0.05, "Part of every batch that they make up."),
    ("--eval-aux-policy-weight", _AGE, 0.0, "Weight of their policy loss (self-play: 1)."),
    ("--eval-aux-value-weight", _AGE, 1.0, "Weight of their value loss (self-play: 1)."),
    ("--eval-aux-belief-weight", _AGE, 0.5, "Weight of their belief loss (self-play: 0.5)."),
    ("--eval-aux-max-model-lag", click.IntRange(min=-1), 400, "Cycles after which their files "
     "are too old; -1 = never."),
    ("--eval-aux-lag-half-life", click.FloatRange(min=0, min_open=True), 200.0, "Cycles in which "
     "a file's chance to be kept halves."),
    ("--eval-aux-min-keep-weight", _FRACTION, 0.10, "What that chance never falls below."),
)  # fmt: skip


#: Settings that every stage of a recipe has its own of.
_OF_STAGES = {"lr": 1e-4, "batch_size": 64}


def _with_recipe(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """The path of a recipe, whose settings become what flags are when they are not given."""
    if path is not None:
        from zebfast.learner.recipe import RecipeError, read_recipe

        try:
            training = read_recipe(path).training.flags()
        except RecipeError as error:
            raise click.UsageError(str(error)) from error
        context.default_map = {**training, "eval_every": 0, **(context.default_map or {})}
    return path


def eval_aux_options(command: Decorated) -> Decorated:
    """Add the flags of the evaluation stream to a command."""
    for name, kind, default, text in reversed(_EVAL_AUX):
        command = click.option(name, type=kind, default=default, show_default=True, help=text)(
            command
        )
    return command


def snapshot_options(command: Decorated) -> Decorated:
    """Add the flags about snapshots of the training state to a command."""
    for name, kind, default, text in reversed(_SNAPSHOTS):
        command = click.option(
            name, type=kind, default=default, show_default=default is not None, help=text
        )(command)
    return command


def option(name: str, kind: Any, default: Any, text: str) -> Callable[[Decorated], Decorated]:
    """A click option that shows its default."""
    return click.option(
        name, type=kind, default=default, show_default=default is not None, help=text
    )


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
@snapshot_options
@option("--lr", click.FloatRange(min=0, min_open=True), _OF_STAGES["lr"], "Learning rate.")
@option("--batch-size", _POSITIVE, _OF_STAGES["batch_size"], "Examples a step.")
@option(
    "--ema",
    click.FloatRange(0, 1, max_open=True),
    0.0,
    "Decay a step of the average of the weights that is published; 0 = no average.",
)
@option("--replay-buffer-size", _POSITIVE, 500_000, "Examples kept (64 bytes each).")
@option("--min-buffer-size", _COUNT, 5_000, "Examples needed before training starts.")
@option("--training-steps-per-cycle", _POSITIVE, 1_000, "Optimizer steps a cycle.")
@option("--push-every", _POSITIVE, 25, "Cycles between publishing weights.")
@option(
    "--push-seconds",
    _AGE,
    None,
    "Least seconds between two pushes (default: 180 on the Hub, which allows 128 commits an hour "
    "to workers and learner together; else 0).",
)
@option("--eval-every", _COUNT, 50, "Cycles between evaluations; 0 = never.")
@option("--eval-games", _POSITIVE, 2_000, "Games of an evaluation, every deal both ways.")
@option("--checkpoint-every", _POSITIVE, 1, "Cycles between saves of the training checkpoint.")
@option("--keep-example-files", _COUNT, 128, "Example files kept when pruning; 0 = all.")
@option("--max-example-age", _AGE, 300.0, "Seconds without new examples until training pauses.")
@option(
    "--poll-seconds",
    click.FloatRange(min=0, min_open=True),
    None,
    "Seconds between looks for new examples (default: 20 on the Hub, else 1).",
)
@option("--max-reuse", _AGE, 50.0, "Warn when the average example was drawn so often; 0 = never.")
@option("--squash-after", _COUNT, 2_000, "Forget the Hub's history beyond so many; 0 = never.")
@click.option("--take-over", is_flag=True, help="Dispossess another learner of this namespace.")
@option("--amp/--no-amp", bool, False, "Mixed precision: CUDA, and CPUs that compute bf16.")
@option("--amp-dtype", click.Choice(["fp16", "bf16"]), "fp16", "Precision of --amp.")
@option(
    "--local-replay-cache-enabled/--no-local-replay-cache-enabled",
    bool,
    True,
    "Keep the replay buffer on this machine's disk across restarts.",
)
@option(
    "--local-replay-cache-dir",
    click.Path(path_type=Path, file_okay=False),
    Path("~/.cache/zebfast/replay"),
    "Where it is kept.",
)
@option("--local-replay-cache-save-every", _POSITIVE, 25, "Cycles between saves of it.")
@eval_aux_options
@option("--wandb/--no-wandb", bool, False, "Also log to Weights & Biases.")
@option("--wandb-project", str, "zeb-mcts", "W&B project.")
@option("--run-name", str, None, "W&B display name.")
@option("--device", str, None, "cpu, cuda or cuda:N (default: cuda if present, else cpu).")
@option(
    "--threads",
    _POSITIVE,
    None,
    "Threads torch uses (default: half the cores; a worker may share them).",
)
@option("--train-diagnostics-every", _POSITIVE, 10, "Steps between the costlier metrics.")
@option("--seed", click.IntRange(0, 2**63 - 1), 0, "Seed of batches and evaluation deals.")
@option("--max-cycles", _POSITIVE, None, "Stop after this many cycles.")
@option("--max-minutes", click.FloatRange(min=0, min_open=True), None, "Stop after this long.")
@click.option("--dry-run", is_flag=True, help="Print the settings this would run with, and stop.")
@stop_at_eof_option
def command(**flags: Any) -> int:
    """Train a network on self-play examples and publish its weights, until stopped.

    Ctrl-C or SIGTERM finish the step and save; the same command continues.
    """
    if flags["dry_run"]:
        click.echo(json.dumps(config_from_flags(flags).to_json(), indent=2))
        return 0
    return run_learner(flags, say=lambda line: click.echo(line))


def run_learner(flags: dict[str, Any], *, say: Callable[[str], None]) -> int:
    """Learn as parsed flags say, until stopped; ``say`` takes every line. Returns the exit code."""
    import torch

    from zebfast.learner.loop import learn

    # Threads beyond the cores that are free wait for each other by spinning: many times slower.
    torch.set_num_threads(flags["threads"] or max(1, usable_cores() // 2))
    return learn(config_from_flags(flags), say=say)


def config_from_flags(flags: dict[str, Any]) -> Any:
    """The LearnerConfig of parsed flags. UsageError (one sentence) where they cannot be used."""
    from zebfast.exchange import Namespace
    from zebfast.exchange.mirror.mirror import counts_commits
    from zebfast.learner.config import EvalAuxConfig, LearnerConfig

    renamed = {
        "local_replay_cache_enabled": "replay_cache",
        "local_replay_cache_dir": "replay_cache_dir",
        "local_replay_cache_save_every": "replay_cache_save_every",
    }
    elsewhere = ("repo_id", "weights_dir", "examples_repo_id", "input_dir", "examples_bucket",
                 "weights_name", "state_dir", "retry_seconds", "device", "threads",
                 "dry_run")  # fmt: skip
    fields = {renamed.get(k, k): v for k, v in flags.items() if k not in elsewhere}
    fields |= _recipe_fields(flags)
    eval_aux = {k: fields.pop(k) for k in list(fields) if k.startswith(_EVAL_AUX_PREFIX)}
    try:
        weights, examples = chosen_place(flags, *WEIGHTS), chosen_place(flags, *EXAMPLES)
        if fields["push_seconds"] is None:
            on_hub = weights.path is None or examples.path is None
            on_hub = on_hub or counts_commits(fields["sync_to"])
            fields["push_seconds"] = _HUB_PUSH_SECONDS if on_hub else 0.0
        if fields["snapshot_every"] is None:
            fields["snapshot_every"] = _SNAPSHOT_EVERY if fields["sync_to"] else 0
        if fields["poll_seconds"] is None:
            fields["poll_seconds"] = 1.0 if examples.path else _HUB_POLL_SECONDS
        return LearnerConfig(
            weights=weights,
            examples=examples,
            eval_aux=EvalAuxConfig(
                **{k.removeprefix(_EVAL_AUX_PREFIX): v for k, v in eval_aux.items()}
            ),
            stores=chosen_stores(flags, weights),
            namespace=Namespace.parse(flags["weights_name"]),
            device=choose_device(flags["device"]),
            **fields,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _recipe_fields(flags: dict[str, Any]) -> dict[str, Any]:
    """What a recipe sets of a LearnerConfig besides flags. UsageError where it cannot be used."""
    from zebfast.learner.recipe import RecipeError, read_recipe

    if flags.get("recipe") is None:
        return {"recipe": None}
    for name, usual in _OF_STAGES.items():
        if flags[name] != usual:
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag} is set by every stage of the recipe: leave it out")
    try:
        recipe = read_recipe(flags["recipe"])
        recipe.network.config()
    except RecipeError as error:
        raise click.UsageError(str(error)) from error
    return {"recipe": recipe, "weight_decay": recipe.training.weight_decay}


def choose_device(name: str | None) -> str:
    """A torch device name. ValueError when it is none, or not on this machine."""
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"--device {name} is not known: expected cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"--device {name} is not there: use --device cpu, or leave it out")
    return name


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of `zebfast-learn`. Exits with 0, 1 (failed), 2 (usage), 130 or 143."""
    run(command, prog_name="zebfast-learn", argv=argv)
