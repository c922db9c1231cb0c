"""`zebfast export IN OUT`: the network of a training checkpoint, without everything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from zebfast.cli.init import NetworkFile, load_checkpoint, refuse_overwrite, write_checkpoint
from zebfast.net.checkpoint import provenance


@click.command(
    name="export",
    short_help="Write a model-only snapshot of a training checkpoint.",
    help="""Write the network of a training checkpoint to a file of its own.

    OUT holds the weights, the network's config, its counters and where it came from: no optimizer,
    no replay. Ending in .safetensors it is a safetensors file, otherwise the published layout.
    IN may be the word shipped: the network that comes with zebfast.

    \b
    Examples:
      zebfast export run/model.ckpt snapshot.pt
      zebfast export shipped zeb.pt""",
)
@click.argument("source", type=NetworkFile(), metavar="IN")
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT")
@click.option("--force", is_flag=True, help="Overwrite OUT if it exists.")
def export(source: Path, output: Path, force: bool) -> None:
    """Load, strip, save. Exit codes: 0 written, 1 unusable IN or full disk, 2 usage."""
    refuse_overwrite(output, force)
    trained = load_checkpoint(source)
    origin = provenance(exported_from=source.name, origin=trained.provenance)
    write_checkpoint(replace(trained, provenance=origin), output)


command = export
