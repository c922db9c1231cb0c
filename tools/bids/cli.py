"""Fits what bids are worth to hands that were played without sight, and writes it for the package.

    bids.py deals --work DIR --parts 20     # plays 20,000 deals a part, every seat as declarer
    bids.py fit --work DIR                  # writes zebfast/net/shipped/bids.safetensors

(python tools/bids.py.) A part that is there is not played again; parts may be played by several
processes (--first). Whether the bids hold is measured by `strength.py bids` and `strength.py
marks`, on other deals.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from provenance import here, stamp, without_folders

from bids.deals import PART, Deals, play_part
from bids.fit import Options, fit
from zebfast.arena.bidders.specs import network_prices, parse_bidder
from zebfast.arena.players.base import NetworkPlayer
from zebfast.arena.players.build import load_network, weights_digest
from zebfast.arena.players.specs import PlayerSpec, parse_spec
from zebfast.net import checkpoint, shipped
from zebfast.net.devices import open_evaluator

SEED = 17


def note(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def _play_spec(source: str) -> PlayerSpec:
    return parse_spec(f"zeb:source={source}" if source else "zeb")


def deals(args: argparse.Namespace) -> None:
    """Play the parts that are missing."""
    args.work.mkdir(parents=True, exist_ok=True)
    found = load_network(_play_spec(args.source))
    evaluator = open_evaluator(found.config, found.weights, dtype="auto")
    player = NetworkPlayer(name="zeb", evaluator=evaluator)
    source = f",source={args.source}" if args.source else ""
    prices = network_prices(parse_bidder(f"lowest:0{source}"))
    for part in range(args.first, args.first + args.parts):
        path = args.work / f"{part:04}.npz"
        if path.exists():
            continue
        began = time.monotonic()
        play_part(player, prices, seed=SEED, part=part).save(path)
        note(f"{path.name}: {PART:,} deals in {time.monotonic() - began:.0f} s")


def write(args: argparse.Namespace) -> None:
    """Fit, and write the file."""
    torch.set_num_threads(1)
    paths = sorted(args.work.glob("[0-9]*[0-9].npz"))
    if not paths:
        raise SystemExit(f"error: {args.work} holds no deals; play some: bids.py deals --work ...")
    options = Options(rounds=args.rounds)
    kept, before = checkpoint.read_tensors(args.worth) if args.worth else (None, {})
    arrays, facts = fit(Deals.load(paths), options, note, kept)
    provenance = checkpoint.provenance(
        command="python tools/bids.py " + " ".join(map(without_folders, sys.argv[1:])),
        commit=stamp()["commit"],
        machine=here(),
        network=weights_digest(_play_spec(args.source or str(shipped.PATH))),
        fit=facts,
        **({"worth": before["provenance"]} if before else {}),
    )
    halves = {name: array.astype("<f4") for name, array in arrays.items()}
    checkpoint.write_tensors(halves, {"provenance": provenance}, args.output)
    note(f"{args.output}: {args.output.stat().st_size:,} bytes")


def main(argv: list[str] | None = None) -> int:
    """The command line; exit code 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(required=True)
    of = {
        name: kinds.add_parser(name, help=about)
        for name, about in (
            ("deals", "play deals, every seat as declarer"),
            ("fit", "fit what calls are worth and what bids are made with, and the race"),
        )
    }
    for one in of.values():
        one.add_argument("--work", type=Path, required=True, help="folder of the deals")
        one.add_argument("--source", default="", help="network that prices and plays")
    of["deals"].add_argument("--parts", type=int, default=20)
    of["deals"].add_argument("--first", type=int, default=0, help="number of the first part")
    of["deals"].set_defaults(do=deals)
    of["fit"].add_argument("--rounds", type=int, default=Options.rounds)
    of["fit"].add_argument("--output", type=Path, default=shipped.BIDS)
    of["fit"].add_argument("--worth", type=Path, metavar="FILE",
                           help="keep what calls are worth in this file; fit the rest")  # fmt: skip
    of["fit"].set_defaults(do=write)
    args = parser.parse_args(argv)
    args.do(args)
    return 0
