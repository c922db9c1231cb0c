"""Measures how strong players are, and how good what a network says of its games is.

    strength.py matrix random heuristic2 zeb eq:n=10 eq:n=100 --output R/<date>-matrix.json
    strength.py time fast=search:ms=10 slow=search:ms=100 --opponent eq:n=100 --output ...
    strength.py ablation --rows rows.toml --opponent eq:n=10 --output ...
    strength.py training --rows rows.toml --opponent heuristic2 --output ...
    strength.py calibration --network new=best.pt --opponent eq:n=10 --output ...
    strength.py belief --network new=best.pt --output ...
    strength.py curve 'seed 1=run-1/metrics.jsonl' 'seed 2=run-2/metrics.jsonl' --output ...
    strength.py marks rule+zeb value+zeb eq=rule+eq:n=10 --output R/<date>-marks.json
    strength.py bids --output R/<date>-bids.json
    strength.py page

(python tools/strength.py; R is bench/records/strength.) A player is a spec or NAME=SPEC; list the
cheapest first, for a pairing is played in the turn of its dearer player. Everything is kept as it
is played: the same command with --resume goes on, also with more players, rows or deals.
`matrix --share 1of2` plays every second of the missing pairings, and `--with FILE` takes over what
another record of the same seed has, so that several machines can share the work. `page` writes the
page of evidence, R/README.md, and the pictures of the records.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from strength import page
from strength.measure import ablation, belief, calibration, curve, matrix, times
from strength.record import SEEDS, open_record
from strength.whole import bids, marks
from zebfast.arena.players.build import PlayerLoadError
from zebfast.arena.players.specs import PlayerSpecError
from zebfast.arena.records import Record, RecordError
from zebfast.net.checkpoint import BadCheckpoint

KINDS: Mapping[str, Callable[[Record, argparse.Namespace], None]] = {
    "matrix": matrix,
    "time": times,
    "ablation": ablation,
    "training": ablation,
    "calibration": calibration,
    "belief": belief,
    "curve": curve,
    "marks": marks,
    "bids": bids,
}
#: Deals of a pairing, or of the games that decisions are taken from.
DEALS = {
    "matrix": 10_000,
    "time": 10_000,
    "ablation": 5_000,
    "training": 10_000,
    "calibration": 5_000,
    "belief": 1_000,
    "marks": 2_000,
    "bids": 400_000,
}
#: Kinds whose players are the rows of a file.
_BY_ROWS = ("ablation", "training")
_ABOUT = {
    "matrix": "every player against every other, by points and by contract, with Elo",
    "time": "players against common opponents, with what a decision takes",
    "ablation": "what was changed in how a network is played, and how strong it is then",
    "training": "what was changed in a training, and how strong its network is",
    "calibration": "whether chances given to winning the game and the contract come true",
    "belief": "where the hidden dominoes are, against what can be told without a network",
    "curve": "strength against minutes and games of trainings, from their metrics",
    "marks": "whole games of every player against every other, with Elo",
    "bids": "whether bids are made as often as is said",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    text = __doc__ or ""
    found = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = found.add_subparsers(dest="kind", required=True)
    of = {name: kinds.add_parser(name, help=about) for name, about in _ABOUT.items()}
    for name, one in of.items():
        one.add_argument("--output", type=Path, required=True, help="the record, JSON")
        one.add_argument("--resume", action="store_true", help="add what the record does not have")
        one.set_defaults(seed=SEEDS.get(name))
        if name == "curve":
            continue
        one.add_argument("--n-deals", type=int, default=DEALS[name], help="each played both ways")
        one.add_argument("--seed", type=int, default=SEEDS[name], help="another one: not shown")
        one.add_argument("--threads", type=int, default=1, help="of the solver")
    shown = kinds.add_parser("page", help="the page of evidence and its pictures, from the records")
    shown.add_argument("--check", action="store_true", help="only say whether they are current")
    for name in ("matrix", "time", "marks"):
        of[name].add_argument("players", nargs="+", metavar="[NAME=]SPEC")
    of["curve"].add_argument("runs", nargs="+", metavar="NAME=METRICS.jsonl")
    for name in ("matrix", "time", *_BY_ROWS):
        of[name].add_argument("--share", default="1of1", metavar="IofN", help="of missing pairings")
        of[name].add_argument(
            "--with", dest="others", type=Path, action="append", default=[], metavar="FILE"
        )
    for name in ("time", *_BY_ROWS):
        of[name].add_argument("--opponent", action="append", required=True, metavar="[NAME=]SPEC")
    of["time"].add_argument("--alone", type=int, default=200, help="decisions timed one at a time")
    for name in _BY_ROWS:
        of[name].add_argument("--rows", type=Path, required=True, help="see strength/trainings.py")
    of["marks"].add_argument(
        "--with", dest="others", type=Path, action="append", default=[], metavar="FILE"
    )
    of["marks"].add_argument(
        "--only-with", nargs=2, action="append", default=[], metavar=("NAME", "OTHER"),
        help="NAME is too dear to meet others than OTHER",
    )  # fmt: skip
    of["bids"].add_argument("--n-alone", type=int, default=400_000, help="hands without an auction")
    of["bids"].add_argument("--source", default="", help="network that prices and plays")
    for name in ("calibration", "belief"):
        of[name].add_argument("--network", action="append", required=True, metavar="NAME=FILE")
        of[name].add_argument("--opponent", action="append", default=[], metavar="SPEC")
    return found


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, 1 with a sentence for what cannot be used, or 130 where it was interrupted."""
    args = parser().parse_args(argv)
    if args.kind == "page":
        return page.renew(check_only=args.check)
    torch.set_num_threads(1)
    try:
        record = open_record(
            args.output,
            args.kind,
            settings={"seed": args.seed},
            command=sys.argv if argv is None else ["strength.py", *argv],
            resume=args.resume,
        )
        KINDS[args.kind](record, args)
    except (RecordError, PlayerLoadError, PlayerSpecError, BadCheckpoint, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{args.output} keeps what was played; --resume goes on", file=sys.stderr)
        return 130
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
