"""`zebfast init -o FILE`: an untrained network, or a new lineage from trained weights."""

from __future__ import annotations

from pathlib import Path

import click

from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import BadCheckpoint, Checkpoint
from zebfast.net.v1 import SIZES, TOKENIZERS, NetConfig


@click.command(
    name="init",
    short_help="Write a fresh checkpoint.",
    help="""Write a fresh checkpoint to start a training run from.

    With --from, the weights of another checkpoint are taken over and its counters start again at
    zero; --belief-head then adds an untrained belief head to it.

    \b
    Examples:
      zebfast init --size small -o small.pt
      zebfast init --from small.pt --belief-head -o small-belief.pt""",
)
@click.option("--size", type=click.Choice(list(SIZES)), help="Needed unless --from is given.")
@click.option(
    "--tokenizer",
    type=click.Choice(TOKENIZERS),
    default="v1",
    show_default=True,
    help="How a position is written down for the network.",
)
@click.option("--belief-head", is_flag=True, help="Also predict who was dealt which domino.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the untrained weights.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Checkpoint whose weights to start from.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists.")
def init(
    size: str | None,
    tokenizer: str,
    belief_head: bool,
    seed: int,
    source: Path | None,
    output: Path,
    force: bool,
) -> None:
    """Build, save, say what was written. Exit codes: 0 written, 1 unusable source, 2 usage."""
    if size is None and source is None:
        raise click.UsageError(
            f"Say which --size ({', '.join(SIZES)}), or give --from a checkpoint."
        )
    refuse_overwrite(output, force)
    if source is None:
        shape = {**SIZES[size or "small"].to_dict(), "tokenizer": tokenizer}
        config = NetConfig.from_dict({**shape, "belief_head": belief_head})
        made = checkpoints.fresh(config, seed=seed)
    else:
        made = _warm_start(source, size=size, belief_head=belief_head, seed=seed)
    write_checkpoint(made, output)


command = init


def _warm_start(source: Path, *, size: str | None, belief_head: bool, seed: int) -> Checkpoint:
    trained = load_checkpoint(source)
    if size is not None and _size_name(trained.config) != size:
        raise click.UsageError(
            f"{source} is a {_size_name(trained.config)} network, not {size}: leave --size out."
        )
    return checkpoints.warm_start(trained, belief_head=belief_head, seed=seed)


def _size_name(config: NetConfig) -> str:
    """Name of the published size this is, whatever its heads; ``custom`` if none."""
    shape = (config.embed_dim, config.n_heads, config.n_layers, config.ff_dim)
    for name, known in SIZES.items():
        if shape == (known.embed_dim, known.n_heads, known.n_layers, known.ff_dim):
            return name
    return "custom"


def refuse_overwrite(path: Path, force: bool) -> None:
    """Usage error unless ``path`` is free, or a file and the user said --force."""
    if path.exists() and not path.is_file():
        raise click.UsageError(f"{path} is not an ordinary file: choose another name.")
    parent = next(p for p in path.absolute().parents if p.exists())
    if not parent.is_dir():
        raise click.UsageError(f"Cannot write {path}: {parent} is not a directory.")
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists already; give --force to overwrite it.")


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint; one sentence and exit code 1 if it cannot be used."""
    try:
        return checkpoints.load(path)
    except BadCheckpoint as problem:
        raise click.ClickException(f"{problem}.") from problem


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Save and say on stderr what was written; exit code 1 if the disk does not take it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.save(checkpoint, path)
        megabytes = path.stat().st_size / 1e6
    except OSError as problem:
        raise click.ClickException(f"Cannot write {path}: {problem.strerror}.") from problem
    config = checkpoint.config
    n_parameters = sum(w.numel() for w in checkpoint.weights.values())
    belief = ", belief head" if config.belief_head else ""
    click.echo(
        f"Wrote {path}: {_size_name(config)} network, {n_parameters:,} parameters, tokenizer "
        f"{config.tokenizer}{belief}, {checkpoint.total_games:,} games ({megabytes:.1f} MB)",
        err=True,
    )
