"""Whole games in the records: everyone against everyone, and whether bids are made as is said."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from provenance import without_folders

from strength.bids import measure
from strength.record import read_record
from zebfast.arena.bidders.specs import BEST, WholeSpec, build_bidder, parse_bidder, parse_whole
from zebfast.arena.bidders.value import ValueBidder
from zebfast.arena.players.base import NetworkPlayer
from zebfast.arena.players.build import load_network, weights_digest
from zebfast.arena.players.specs import parse_spec
from zebfast.arena.records import Record, RecordError, pack_points, unpack_points
from zebfast.arena.stats import plus_minus
from zebfast.arena.table.ladder import Ladder, Pair, WholePairing, play_whole_pairing
from zebfast.arena.table.players import table_player
from zebfast.net import shipped
from zebfast.net.devices import open_evaluator
from zebfast.rules import RuleSet

_NAMED = re.compile(r"([^:=,+]+)=(.+)")
_SHIFT = 20  # margins are kept as points are, which have no sign


@dataclass(frozen=True)
class WholeEntrant:
    """A player of whole games under the name that records use."""

    name: str
    spec: WholeSpec

    @classmethod
    def parse(cls, text: str) -> WholeEntrant:
        """Read NAME=BIDDER+PLAY, or a spec that is its own name."""
        named = _NAMED.fullmatch(text)
        name, written = named.groups() if named else (without_folders(text), text)
        return cls(name.strip(), parse_whole(written))

    def as_dict(self) -> dict[str, Any]:
        """What a record says of it; the digest is of its play's weights."""
        return {
            "name": self.name,
            "spec": without_folders(self.spec.text),
            "bidder": self.spec.bidder.text,
            "play": self.spec.play.text,
            "sha256": weights_digest(self.spec.play),
        }


def marks(record: Record, args: argparse.Namespace) -> None:
    """Everyone against everyone, whole games, then ratings; a pairing is kept when it is over."""
    entrants = [WholeEntrant.parse(text) for text in args.players]
    names = tuple(entrant.name for entrant in entrants)
    if len(names) < 2 or len(set(names)) != len(names):
        raise RecordError("whole games need two players or more, no two of one name")
    content = record.content
    ladder = Ladder(names, n_pairs=args.n_deals, seed=args.seed, rule_set=RuleSet())
    _take_over(content, ladder)
    for other in args.others:
        theirs = read_record(other, "marks")
        if theirs["settings"] != content["settings"]:
            raise RecordError(f"{other} was measured with other settings: {theirs['settings']}")
        _take_over(theirs, ladder)
        content["runs"] += [run for run in theirs["runs"] if run not in content["runs"]]
    content["players"] = [entrant.as_dict() for entrant in entrants]
    content["n_deals"], content["rules"] = args.n_deals, str(ladder.rule_set)
    only_with = dict(args.only_with)
    wanted = _wanted(ladder, only_with)
    for a, b in wanted:
        if (a, b) in ladder.played:
            continue
        one, other = (table_player(entrants[i].spec.text, seed=args.seed) for i in (a, b))
        began = time.process_time()
        margins, won, hands = play_whole_pairing(
            one, other, n_pairs=args.n_deals, seed=args.seed, rule_set=ladder.rule_set
        )
        ladder.played[a, b] = WholePairing(margins, won, time.process_time() - began, hands)
        found = ladder.played[a, b].as_dict()
        print(f"{names[a]} against {names[b]}: {found['marks_a_game']:+.3f}"
              f"{plus_minus(found['marks_a_game_half_width'])} marks a game, "
              f"{hands / found['seconds']:,.0f} hands/s", file=sys.stderr, flush=True)  # fmt: skip
        _keep(record, ladder)
    content["complete"] = True
    content["elo"] = _without(ladder, list(only_with)).as_dict()["elo"]
    _keep(record, ladder)


def _wanted(ladder: Ladder, only_with: Mapping[str, str]) -> list[Pair]:
    """Every pairing but those of a player that is to meet one other alone."""
    names = ladder.players
    if foreign := [name for pair in only_with.items() for name in pair if name not in names]:
        raise RecordError(f"--only-with {foreign[0]!r}: expected one of the players")
    return [
        (a, b)
        for a, b in ladder.pairs
        if only_with.get(names[a], names[b]) == names[b]
        and only_with.get(names[b], names[a]) == names[a]
    ]


def _without(ladder: Ladder, names: list[str]) -> Ladder:
    """The ladder of the players that have met one another."""
    kept = [i for i, name in enumerate(ladder.players) if name not in names]
    found = replace(ladder, players=tuple(ladder.players[i] for i in kept), played={})
    for a, b in found.pairs:
        found.played[a, b] = ladder.played[kept[a], kept[b]]
    return found


def _keep(record: Record, ladder: Ladder) -> None:
    names = ladder.players
    record.content["pairs"] = [
        {
            "player_a": names[a],
            "player_b": names[b],
            **ladder.played[a, b].as_dict(),
            "margins": pack_points((ladder.played[a, b].margins + _SHIFT).astype(np.uint8)),
        }
        for a, b in ladder.pairs
        if (a, b) in ladder.played
    ]
    record.save()


def _take_over(content: dict[str, Any], ladder: Ladder) -> None:
    """The pairings that the record has already. RecordError where its players are others."""
    if content.get("n_deals", ladder.n_pairs) != ladder.n_pairs:
        raise RecordError(f"a record has {content['n_deals']:,} deals a pairing")
    for entry in content.get("pairs", []):
        both = [entry["player_a"], entry["player_b"]]
        if set(both) <= set(ladder.players):
            margins = margins_of(entry, ladder.n_pairs)
            pairing = WholePairing(margins, margins > 0, entry["seconds"], entry["hands"])
            a, b = (ladder.players.index(name) for name in both)
            ladder.played[min(a, b), max(a, b)] = pairing if a < b else pairing.flipped()


def margins_of(entry: dict[str, Any], n_pairs: int) -> NDArray[np.int64]:
    """Marks of A less those of B, int64[n_pairs, 2], of a pairing in a record."""
    return unpack_points(entry["margins"], n_deals=n_pairs).astype(np.int64) - _SHIFT


def bids(record: Record, args: argparse.Namespace) -> None:
    """Contracts of the best bidder's auctions with itself: said, and made."""
    source = f":source={args.source}" if args.source else ""
    play = parse_spec(f"zeb{source}")
    bidder = build_bidder(parse_bidder(BEST + source), seed=args.seed)
    assert isinstance(bidder, ValueBidder)
    found = load_network(play)
    evaluator = open_evaluator(found.config, found.weights, dtype="auto")
    player = NetworkPlayer(name="zeb", evaluator=evaluator)
    began = time.monotonic()

    def say(done: int, total: int) -> None:
        rate = done / (time.monotonic() - began)
        print(f"{done:,} of {total:,} hands, {rate:,.0f} a second", file=sys.stderr, flush=True)

    content = record.content
    content["networks"] = {
        "zeb": {"file": Path(args.source or shipped.PATH).name, "sha256": weights_digest(play)}
    }
    content["bids_sha256"] = _digest(shipped.BIDS)
    content["results"] = measure(
        bidder, player, seed=args.seed, n_hands=args.n_deals, n_alone=args.n_alone, say=say
    )
    content["complete"] = True
    record.save()


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()
