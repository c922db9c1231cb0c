"""`zebfast-learn` and `zebfast learn`: train on what workers play and publish the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from zebfast.cli.machine import usable_cores
from zebfast.cli.places import WEIGHTS, chosen_place, chosen_stores, place_options, store_options
from zebfast.cli.run import HELP, Decorated, run, stop_at_eof_option

EXAMPLES = ("--input-dir", "--examples-repo-id")

_POSITIVE = click.IntRange(min=1)
_COUNT = click.IntRange(min=0)
_AGE = click.FloatRange(min=0)
_FRACTION = click.FloatRange(0, 1)

# Flags of the evaluation-label stream. They are read, so that one command line serves every
# version; this version has no such stream, so they change nothing.
_EVAL_AUX = (
    ("--eval-aux-replay-buffer-size", _POSITIVE, 100_000),
    ("--eval-aux-batch-fraction", _FRACTION, 0.05),
    ("--eval-aux-policy-weight", _AGE, 0.0),
    ("--eval-aux-value-weight", _AGE, 1.0),
    ("--eval-aux-belief-weight", _AGE, 0.5),
    ("--eval-aux-max-model-lag", click.IntRange(min=-1), 400),
    ("--eval-aux-lag-half-life", click.FloatRange(min=0, min_open=True), 200.0),
    ("--eval-aux-min-keep-weight", _FRACTION, 0.10),
)


def eval_aux_options(command: Decorated) -> Decorated:
    """Add the flags of the evaluation-label stream to a command."""
    for name, kind, default in reversed(_EVAL_AUX):
        flag = click.option(
            name, type=kind, default=default, show_default=True, expose_value=False, hidden=True
        )
        command = flag(command)
    return click.option(
        "--eval-aux-enabled/--no-eval-aux-enabled",
        default=True,
        expose_value=False,
        help="Evaluation-label stream; this version has none, so neither changes anything.",
    )(command)


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
@option("--lr", click.FloatRange(min=0, min_open=True), 1e-4, "Learning rate.")
@option("--batch-size", _POSITIVE, 64, "Examples a step.")
@option("--replay-buffer-size", _POSITIVE, 500_000, "Examples kept (64 bytes each).")
@option("--min-buffer-size", _COUNT, 5_000, "Examples needed before training starts.")
@option("--training-steps-per-cycle", _POSITIVE, 1_000, "Optimizer steps a cycle.")
@option("--push-every", _POSITIVE, 25, "Cycles between publishing weights.")
@option("--eval-every", _COUNT, 50, "Cycles between evaluations; 0 = never.")
@option("--eval-games", _POSITIVE, 2_000, "Games of an evaluation, every deal both ways.")
@option("--checkpoint-every", _POSITIVE, 1, "Cycles between saves of the training checkpoint.")
@option("--keep-example-files", _COUNT, 128, "Example files kept when pruning; 0 = all.")
@option("--max-example-age", _AGE, 300.0, "Seconds without new examples until training pauses.")
@option("--amp/--no-amp", bool, False, "Mixed precision (CUDA).")
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
@stop_at_eof_option
def command(**flags: Any) -> int:
    """Train a network on self-play examples and publish its weights, until stopped.

    Ctrl-C or SIGTERM finish the step and save; the same command continues.
    """
    import torch

    from zebfast.learner.loop import learn

    # Threads beyond the cores that are free wait for each other by spinning: many times slower.
    torch.set_num_threads(flags["threads"] or max(1, usable_cores() // 2))
    return learn(config_from_flags(flags), say=lambda line: click.echo(line))


def config_from_flags(flags: dict[str, Any]) -> Any:
    """The LearnerConfig of parsed flags. UsageError (one sentence) where they cannot be used."""
    from zebfast.exchange import Namespace
    from zebfast.learner.config import LearnerConfig

    renamed = {
        "local_replay_cache_enabled": "replay_cache",
        "local_replay_cache_dir": "replay_cache_dir",
        "local_replay_cache_save_every": "replay_cache_save_every",
    }
    elsewhere = ("repo_id", "weights_dir", "examples_repo_id", "input_dir", "examples_bucket",
                 "weights_name", "state_dir", "retry_seconds", "device", "threads")  # fmt: skip
    fields = {renamed.get(k, k): v for k, v in flags.items() if k not in elsewhere}
    try:
        weights = chosen_place(flags, *WEIGHTS)
        return LearnerConfig(
            weights=weights,
            examples=chosen_place(flags, *EXAMPLES),
            stores=chosen_stores(flags, weights),
            namespace=Namespace.parse(flags["weights_name"]),
            device=choose_device(flags["device"]),
            **fields,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


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
