"""How play to a contract changes who makes it: four pairings of two players on the same hands.

    python tools/contract_play.py --new zeb --old zeb:source=old.safetensors

The hands are those on which somebody would bid: the best of four seats and nine declarations, by
the old player's network, whose chance is at least one half. They are played four times, so that
every side is played by either player; the differences are between games on the same deals. Prints
a table in Markdown, with --json the numbers.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.base import Player
from zebfast.arena.players.build import build_player, load_network
from zebfast.arena.players.specs import parse_spec
from zebfast.core.engine import GameBatch
from zebfast.core.records import CONTRACT_DTYPE
from zebfast.net.devices import open_evaluator
from zebfast.rules import N_SEATS, Stream
from zebfast.selfplay.auctions import Values, best_declarations
from zebfast.selfplay.groups import BatchEvaluator

BIDS = (30, 36, 42)
CHUNK = 1024  # deals at once
Z = 1.96


def values_of(evaluator: BatchEvaluator) -> Values:
    """The values of a network alone."""

    def values(obs: NDArray[np.void]) -> NDArray[np.float32]:
        evals = np.zeros((len(obs), 8), np.float32)
        evaluator.evaluate(obs, evals)
        return evals[:, 7]

    return values


def contracts(values: Values, bid: int, *, n: int, least: float, seed: int) -> GameBatch:
    """The first ``n`` deals of the seed on which somebody would bid so much, as they would play."""
    hands, decls, leaders, found, first = [], [], [], 0, 0
    while found < n:
        deals = GameBatch.deal(CHUNK, seed=seed, first_game=first, stream=Stream.EVAL_DEAL)
        first += CHUNK
        contract = np.zeros(CHUNK * N_SEATS, CONTRACT_DTYPE)
        seats = np.tile(np.arange(N_SEATS, dtype=np.uint8), CHUNK)
        price, decl = best_declarations(
            values, contract, seats, deals.held.ravel(), np.full(len(seats), bid)
        )
        price, decl = price.reshape(-1, N_SEATS), decl.reshape(-1, N_SEATS)
        seat, rows = price.argmax(1), np.flatnonzero(price.max(1) >= least)
        hands.append(deals.hands[rows])
        decls.append(decl[rows, seat[rows]])
        leaders.append(seat[rows].astype(np.uint8))
        found += len(rows)
    leader = np.concatenate(leaders)[:n]
    made = np.zeros(n, CONTRACT_DTYPE)
    made["bid"], made["bidder"], made["shaker"] = bid, leader, (leader + N_SEATS - 1) % N_SEATS
    return GameBatch(np.concatenate(hands)[:n], np.concatenate(decls)[:n], leader, contracts=made)


def makes(batch: GameBatch, declarers: Player, defenders: Player, *, seed: int) -> NDArray[Any]:
    """Which contracts are made, bool[n]; the hands of ``batch`` are played from here to the end."""
    contract = batch.contracts
    bidder, bids = contract["bidder"], np.minimum(contract["bid"], 42)
    n = len(batch)
    while not batch.over.all():
        is_declarer = (batch.to_play ^ bidder) & 1 == 0
        for player, own in ((declarers, is_declarer), (defenders, ~is_declarer)):
            for rows in np.array_split(np.flatnonzero(own), n // CHUNK + 1):
                rng = PlayRng(seed=seed, games=rows.astype(np.uint64), plies=batch.n_plays[rows])
                if len(rows):
                    batch.play(player.choose(batch, rows, rng, bids[rows]), rows)
    points = batch.points
    return np.asarray(np.take_along_axis(points, (bidder & 1)[:, None], 1)[:, 0] >= bids)


def measure(old: Player, new: Player, batch: GameBatch, seed: int) -> dict[str, float]:
    """Makes of the four pairings in percent, and what new play changes, with half an interval."""
    sides = {"old": old, "new": new}
    made = {
        (a, b): makes(batch.copy(), sides[a], sides[b], seed=seed).astype(np.float64)
        for a in sides
        for b in sides
    }
    found = {f"{a} against {b}": 100 * each.mean() for (a, b), each in made.items()}
    for name, before, after in (
        ("new declarers", ("old", "old"), ("new", "old")),
        ("new defenders", ("old", "old"), ("old", "new")),
    ):
        change = 100 * (made[after] - made[before])
        found[name] = change.mean()
        found[f"{name}, half"] = Z * change.std(ddof=1) / math.sqrt(len(change))
    return {name: round(float(value), 2) for name, value in found.items()}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Contracts made, by who plays which side.")
    parser.add_argument("--old", required=True, help="player to compare with; it prices the hands")
    parser.add_argument("--new", default="zeb", help="player of interest (default: zeb)")
    parser.add_argument("--contracts", type=int, default=4000, help="of each bid")
    parser.add_argument("--least", type=float, default=0.5, help="chance of the contract")
    parser.add_argument("--seed", type=int, default=420117)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    args = parser.parse_args(argv)
    specs = {name: parse_spec(text) for name, text in (("old", args.old), ("new", args.new))}
    loaded = load_network(specs["old"])
    values = values_of(open_evaluator(loaded.config, loaded.weights))
    old, new = (build_player(specs[name], device="cpu") for name in ("old", "new"))
    found = {}
    for bid in BIDS:
        batch = contracts(values, bid, n=args.contracts, least=args.least, seed=args.seed)
        found[bid] = measure(old, new, batch, args.seed)
    if args.json:
        print(json.dumps({"contracts": args.contracts, "seed": args.seed, "bids": found}, indent=1))
        return 0
    names = [name for name in found[BIDS[0]] if not name.endswith("half")]
    print("| bid | " + " | ".join(names) + " |\n|" + "---:|" * (len(names) + 1))
    for bid, row in found.items():
        cells = [f"{row[k]:.1f}" + (f" ± {row[k + ', half']:.1f}" if k.startswith("new de") else "")
                 for k in names]  # fmt: skip
        print(f"| {bid} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
