"""Measures searches: how good their policy targets and plays are, and what they cost.

    python tools/search_quality.py --network v1=zeb-557k-1m.pt --output bench/records/quality/X.json
    python tools/search_quality.py ... --methods gumbel-32 --resume    (adds to the same record)

Every method of quality/methods.py, with every network given, is measured on the same decisions and
deals: `targets` against exact values, `deeper` against itself with ten times as much, `equal` with
as much as takes the time of the base method, `arena` against a common opponent, `selfplay` for
speed. The record is written after every piece; tools/readme.py puts it into docs/strength.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from quality.methods import METHODS, Method
from quality.record import PIECES, open_pieces
from quality.run import Run, Settings, load_network

from zebfast.arena.players.build import PlayerLoadError
from zebfast.arena.players.specs import PlayerSpecError
from zebfast.arena.records import RecordError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    found.add_argument(
        "--network",
        action="append",
        required=True,
        metavar="NAME=FILE",
        help="weights; the first one plays the games that positions are taken from",
    )
    found.add_argument("--output", type=Path, required=True, help="the record, JSON")
    found.add_argument("--resume", action="store_true", help="add what the record does not have")
    found.add_argument("--methods", default=",".join(METHODS), help="names (default: all)")
    found.add_argument("--pieces", default=",".join(PIECES), help="what to measure (default: all)")
    found.add_argument("--positions", type=int, default=1000, help="decisions judged")
    found.add_argument("--worlds", type=int, default=400, help="worlds a decision is solved in")
    found.add_argument("--deep-positions", type=int, default=200, help="of them for `deeper`")
    found.add_argument("--games", type=int, default=1000, help="of every match")
    found.add_argument("--selfplay-games", type=int, default=256, help="timed for `selfplay`")
    found.add_argument("--base", default="puct-200", help="what others are compared with")
    found.add_argument(
        "--opponent",
        help="spec of the common opponent (default: the first network's favourite play)",
    )
    found.add_argument("--seed", type=int, default=6, help="of deals, worlds and searches")
    found.add_argument("--threads", type=int, default=1, help="of the solver for exact values")
    return found


def names(text: str) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 1 with a sentence for what cannot be used."""
    args = parser().parse_args(argv)
    torch.set_num_threads(1)
    try:
        methods = [Method.named(name) for name in names(args.methods)]
        pieces = names(args.pieces)
        if unknown := set(pieces) - set(PIECES):
            raise ValueError(f"there is no piece {unknown.pop()!r}; there are {', '.join(PIECES)}")
        networks = [load_network(given) for given in args.network]
        settings = Settings(
            positions=args.positions,
            worlds=args.worlds,
            seed=args.seed,
            base=Method.named(args.base).name,
            played_by=networks[0].name,
            opponent=args.opponent or "favourite play",
        )
        record = open_pieces(
            args.output,
            settings=settings.as_dict(),
            networks={network.name: network.as_dict() for network in networks},
            command=sys.argv if argv is None else ["search_quality.py", *argv],
            resume=args.resume,
        )
        run = Run(
            settings,
            networks,
            record,
            games=args.games,
            deep_positions=args.deep_positions,
            selfplay_games=args.selfplay_games,
            threads=args.threads,
        )
        with run:
            run.measure(methods, pieces)
    except (ValueError, RecordError, PlayerLoadError, PlayerSpecError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
