"""Makes a trained network the one that comes with the package: zebfast/net/shipped/.

    make weights                 # trains it from nothing by the recipe, then does this:
    python tools/ship_weights.py experiments/fast-1/run/fast-1-best.safetensors

The file's header keeps where the network came from: recipe, seed, commit of the source, machine,
records of its strength, and what it won here against plain players, on deals that no training
sees. A network that is clearly weaker than the one it would replace is refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from generated import ROOT
from provenance import here, stamp

from zebfast.arena.match import play_match
from zebfast.arena.players.base import NetworkPlayer, plain_player
from zebfast.arena.stats import MatchResult
from zebfast.net import checkpoint as checkpoints
from zebfast.net import shipped
from zebfast.net.checkpoint import Checkpoint
from zebfast.net.devices import open_evaluator

OPPONENTS = ("random", "heuristic", "heuristic2")
GAMES = 4000
SEED = 0  # of the deals of evaluation, which come from streams of their own
KEPT = ("games", "seed", "wins", "ties", "losses", "win_rate", "win_rate_low", "win_rate_high")
HEADER_ROOM = 65_536  # bytes that the header may take beside the weights


class NotShipped(ValueError):
    """A network that cannot be shipped; the message is one sentence."""


def lineage(args: argparse.Namespace, trained: Checkpoint) -> dict[str, Any]:
    """Recipe and seed as told, else as the learner wrote them into the file of its best network.

    Raises NotShipped where neither says it.
    """
    found = {"recipe": args.recipe, "seed": args.seed}
    for name, told in found.items():
        found[name] = trained.provenance.get(name) if told is None else told
        if found[name] is None:
            raise NotShipped(f"{args.source} does not say which {name} it is of: add --{name}")
    return found


def packed(trained: Checkpoint) -> tuple[Checkpoint, str]:
    """The network in the widest type that fits, and that type's name: fp32, else fp16.

    Raises NotShipped if half precision does not fit, either.
    """
    n = trained.n_parameters
    if 4 * n + HEADER_ROOM <= shipped.MAX_BYTES:
        return trained, "fp32"
    if 2 * n + HEADER_ROOM > shipped.MAX_BYTES:
        most = (shipped.MAX_BYTES - HEADER_ROOM) // 2
        raise NotShipped(f"the network has {n:,} parameters; at most {most:,} fit into the package")
    halves = {name: weight.astype(np.float16) for name, weight in trained.weights.items()}
    return replace(trained, weights=halves), "fp16"


def player(network: Checkpoint, name: str) -> NetworkPlayer:
    """The bare network, as `zeb` plays it."""
    return NetworkPlayer(name=name, evaluator=open_evaluator(network.config, network.weights))


def strength(network: Checkpoint, n_games: int) -> dict[str, dict[str, Any]]:
    """What the network wins against each plain player."""
    found = {}
    for name in OPPONENTS:
        opponent = plain_player(name)
        result = play_match(player(network, "zeb"), opponent, n_games=n_games, seed=SEED).as_dict()
        found[name] = {key: result[key] for key in KEPT}
    return found


def refuse_weaker(network: Checkpoint, path: Path, n_games: int) -> MatchResult | None:
    """Match against the network that is in the file; None if there is no file.

    Raises NotShipped if the new network loses more games than it wins, beyond what chance
    explains.
    """
    if not path.exists():
        return None
    old = player(checkpoints.load(path), "shipped")
    result = play_match(player(network, "new"), old, n_games=n_games, seed=SEED)
    decided = result.wins + result.losses
    if (result.losses - result.wins) ** 2 > 9 * decided and result.losses > result.wins:
        raise NotShipped(
            f"it won {result.wins:,} and lost {result.losses:,} of {result.games:,} games against "
            "the network that is shipped; --force replaces that anyway"
        )
    return result


def ship(args: argparse.Namespace) -> None:
    """Read, measure, write, say so. Raises NotShipped, BadCheckpoint or OSError."""
    trained = checkpoints.load(args.source)
    told = lineage(args, trained)
    stored, dtype = packed(trained)
    against = None if args.force else refuse_weaker(stored, args.output, args.games)
    now = stamp()
    origin = checkpoints.provenance(
        **told,
        commit=args.commit or now["commit"],
        records=args.record,
        machine=here(),
        dtype=dtype,
        strength=strength(stored, args.games),
        origin=trained.provenance,
    )
    checkpoints.save(replace(stored, provenance=origin), args.output)
    for name, won in origin["strength"].items():
        low, high = won["win_rate_low"], won["win_rate_high"]
        print(f"{name:<12}{won['win_rate']:.1%} ({low:.1%} - {high:.1%}) of {won['games']:,} games")
    if against is not None:
        print(f"{'before':<12}{against.wins:,} won, {against.losses:,} lost, {against.ties:,} even")
    megabytes = args.output.stat().st_size / 1e6
    place = args.output.resolve()
    shown = place.relative_to(ROOT) if place.is_relative_to(ROOT) else place
    print(f"{shown}: {dtype}, {megabytes:.2f} MB")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Ship a trained network with the package.")
    parser.add_argument("source", type=Path, help="checkpoint of the trained network")
    parser.add_argument("--recipe", help="recipe that trained it (default: as the file says)")
    parser.add_argument("--seed", type=int, help="seed of that run (default: as the file says)")
    parser.add_argument("--commit", help="commit that trained it (default: the one checked out)")
    parser.add_argument("--record", action="append", default=[], metavar="FILE",
                        help="record of the run or of its strength, below the repository; may be "
                        "repeated")  # fmt: skip
    parser.add_argument("--games", type=int, default=GAMES, help="games of each match")
    parser.add_argument("--force", action="store_true", help="replace a stronger network, too")
    parser.add_argument("--output", type=Path, default=shipped.PATH, help="file to write")
    args = parser.parse_args(argv)
    missing = [name for name in args.record if not (ROOT / name).is_file()]
    if missing:
        parser.error(f"--record {missing[0]}: there is no such file below {ROOT}")
    try:
        ship(args)
    except (NotShipped, checkpoints.BadCheckpoint, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
