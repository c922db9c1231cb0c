"""`zebfast init -o FILE`: an untrained network, or a new lineage from trained weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from zebfast.cli.messages import note
from zebfast.cli.options import Whole, file_option, together
from zebfast.cli.places import WEIGHTS, chosen_place, chosen_stores
from zebfast.net import checkpoint as checkpoints
from zebfast.net import shipped
from zebfast.net.checkpoint import BadCheckpoint, Checkpoint, provenance, widen
from zebfast.net.networks import SIZE_NAMES, TOKENIZERS, size_name, sized
from zebfast.net.v2 import TOKENIZER as V2_TOKENIZER
from zebfast.system.settings import MOST_WHOLE


class NetworkFile(click.Path):
    """A checkpoint by its path, or by the word for a network that comes with zebfast."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The file's path; a usage error if there is no such file."""
        return super().convert(shipped.FILES.get(value, value), param, context)


#: The options that say which network to begin with; see first_checkpoint.
network_options = together(
    click.option("--size", type=click.Choice(SIZE_NAMES),
                 help="An untrained network, if the weights come from nowhere else."),
    click.option("--tokenizer", type=click.Choice(TOKENIZERS),
                 help="How a position is written down for the network, and so its kind: v1 "
                      "(default) is the published transformer, v2 a much faster network."),
    click.option("--belief-head", is_flag=True,
                 help="Also predict who was dealt which domino; added to weights without."),
    click.option("--contract", is_flag=True,
                 help="Also see the contract that a hand is played for (v2); added to weights "
                      "without as rows of zeros, which change no answer."),
    click.option("--seed", type=Whole(0, MOST_WHOLE), default=0, show_default=True,
                 help="Seed of the untrained weights."),
    click.option("--from", "source", type=NetworkFile(), metavar="FILE",
                 help="Checkpoint whose weights to start from; shipped: the network that comes "
                      "with zebfast; whole-game: the one that sees contracts."),
    click.option("--beside", multiple=True, type=NetworkFile(), metavar="FILE",
                 help="Another v2 network of the same shape (repeatable): begin with one of "
                      "their widths together, which plays by the mean of what they think."),
    click.option("--from-hub", metavar="PLACE",
                 help="Published weights to start from: owner/name, or a directory."),
    click.option("--weights-name", "--from-weights-name", "weights_name", metavar="NAME",
                 help="Namespace of --from-hub (default: the nameless one, model)."),
    click.option("--revision", metavar="REVISION",
                 help="Version of --from-hub: a commit, the start of one, or a step's number."),
)  # fmt: skip


@click.command(
    name="init",
    short_help="Write a fresh checkpoint.",
    help="""Write a fresh checkpoint to start a training run from.

    With --from or --from-hub, trained weights are taken over and their counters start again at
    zero; --belief-head then adds an untrained belief head to them, and --contract what they need to
    see of contracts. --beside puts further networks
    beside that of --from, a wider one to train on.

    \b
    Examples:
      zebfast init --size small -o small.pt
      zebfast init --tokenizer v2 --size medium -o fast.pt
      zebfast init --from shipped -o strong.pt
      zebfast init --from small.pt --belief-head -o small-belief.pt
      zebfast init --from one.pt --beside two.pt -o wide.pt
      zebfast init --from-hub owner/name --weights-name large --revision 3740 -o warm.pt""",
)
@network_options
@file_option("-o", "--output", required=True, help="File to write.")
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists.")
def init(output: Path, force: bool, **network: Any) -> None:
    """Build, save, say what was written. Exit codes: 0 written, 1 unusable source, 2 usage."""
    refuse_network_options(network)
    refuse_overwrite(output, force)
    write_checkpoint(first_checkpoint(network)[0], output)


command = init


def refuse_network_options(flags: dict[str, Any]) -> None:
    """Usage error unless the flags of network_options() name one network."""
    source, hub = flags["source"], flags["from_hub"]
    if source is not None and hub is not None:
        raise click.UsageError("Give --from or --from-hub, not both: each names the first weights.")
    if flags["size"] is None and source is None and hub is None:
        raise click.UsageError(
            f"Say which --size ({', '.join(SIZE_NAMES)}), or give --from a checkpoint, or "
            "--from-hub."
        )
    if flags["beside"] and source is None:
        raise click.UsageError("--beside belongs to --from, the first of the networks; add it.")
    for name in ("weights_name", "revision"):
        if flags[name] is not None and hub is None:
            raise click.UsageError(f"--{name.replace('_', '-')} belongs to --from-hub; add it.")


def first_checkpoint(flags: dict[str, Any]) -> tuple[Checkpoint, dict[str, Any]]:
    """The network that the flags of network_options() name, and in plain values where it is from.

    One sentence and exit code 1 where the source cannot be used, 2 where it is another size or
    has another tokenizer.
    """
    source, hub, seed = flags["source"], flags["from_hub"], flags["seed"]
    size, tokenizer = flags["size"], flags["tokenizer"]
    belief_head, contract = flags["belief_head"], flags["contract"]
    if source is None and hub is None:
        try:
            config = sized(
                tokenizer or TOKENIZERS[0], size, belief_head=belief_head, contract=contract
            )
        except ValueError as error:
            raise click.UsageError(f"{error}.") from error
        origin = {"kind": "fresh", "size": size, "tokenizer": config.tokenizer, "seed": seed}
        return checkpoints.fresh(config, seed=seed), origin
    if source is not None:
        trained, origin = _from_files([source, *flags["beside"]])
    else:
        trained, origin = _published(hub, flags["weights_name"], flags["revision"])
    for flag, asked, found in (
        ("size", size, size_name(trained.config) or "custom"),
        ("tokenizer", tokenizer, trained.config.tokenizer),
    ):
        if asked is not None and asked != found:
            raise click.UsageError(
                f"{source or hub} is a {found} network, not {asked}: leave --{flag} out."
            )
    if contract and trained.config.tokenizer != V2_TOKENIZER:
        raise click.UsageError(f"{source or hub} is a v1 network: those see no contracts.")
    facts = {
        "step": trained.epoch,
        "total_games": trained.total_games,
        "tokenizer": trained.config.tokenizer,
    }
    grown = checkpoints.warm_start(trained, belief_head=belief_head, seed=seed, contract=contract)
    return grown, origin | facts


def _from_files(paths: list[Path]) -> tuple[Checkpoint, dict[str, Any]]:
    """The network of a file, or those of several side by side."""
    words = {path: word for word, path in shipped.FILES.items()}
    files = [words.get(path, str(path.absolute())) for path in paths]
    networks = [load_checkpoint(path) for path in paths]
    origin: dict[str, Any] = {"kind": "file", "file": files[0]}
    if len(networks) == 1:
        return networks[0], origin
    try:
        return widen(networks), origin | {"beside": files[1:]}
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _published(
    hub: str, weights_name: str | None, revision: str | None
) -> tuple[Checkpoint, dict[str, Any]]:
    """The weights that a namespace has published, on the Hub or in a directory."""
    from zebfast.exchange import Namespace, open_weights
    from zebfast.experiment.revert import published_checkpoint

    try:
        place = chosen_place({"repo_id": hub}, *WEIGHTS)
        namespace = Namespace.parse(weights_name)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    options = chosen_stores({"state_dir": None, "retry_seconds": 1.0}, place)
    store = open_weights(place, namespace, options=options)
    trained = published_checkpoint(store, revision=revision)
    facts = {key: trained.provenance[key] for key in ("source", "weights_name", "revision")}
    return trained, {"kind": "published"} | {k: v for k, v in facts.items() if v is not None}


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
    size, n_parameters = size_name(config), checkpoint.n_parameters
    belief = ", belief head" if config.belief_head else ""
    belief += ", contracts" if getattr(config, "contract", False) else ""
    note(
        f"Wrote {path}: {size or 'custom'} network, {n_parameters:,} parameters, tokenizer "
        f"{config.tokenizer}{belief}, {checkpoint.total_games:,} games ({megabytes:.1f} MB)"
    )


# --- `zebfast export IN OUT`: the network of a training checkpoint, without everything else.


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
