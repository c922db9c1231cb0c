"""Tables of the records of whole games, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from strength.tables import NOTHING, table
from zebfast.arena.stats import plus_minus


def whole_square(record: Mapping[str, Any]) -> list[str]:
    """Every player against every other: marks a game / games won, strongest first, with Elo."""
    elo = {rating["player"]: rating for rating in record["elo"]["ratings"]}
    names = sorted(elo, key=lambda name: -elo[name]["elo"])
    names += [p["name"] for p in record["players"] if p["name"] not in elo]
    cells = {}
    for pair in record["pairs"]:
        a, b, marks, won = (pair[k] for k in ("player_a", "player_b", "marks_a_game", "win_rate"))
        cells[a, b] = f"{marks:+.2f} / {100 * won:.1f}"
        cells[b, a] = f"{-marks:+.2f} / {100 * (1 - won):.1f}"
    rows = []
    for number, name in enumerate(names, 1):
        rating = NOTHING
        if name in elo:
            low, high = elo[name]["elo_low"], elo[name]["elo_high"]
            rating = f"{elo[name]['elo']:+.0f} ({low:+.0f} to {high:+.0f})"
        rows.append(
            [f"{number} {name}", rating, *(cells.get((name, other), NOTHING) for other in names)]
        )
    return table(["", "Elo, 95 % interval", *map(str, range(1, len(names) + 1))], rows)


def whole_pairs(record: Mapping[str, Any]) -> list[str]:
    """One line a pairing, seen from the winner of more marks."""
    rows = []
    for pair in record["pairs"]:
        sign = 1 if pair["marks_a_game"] >= 0 else -1
        names = (pair["player_a"], pair["player_b"])[::sign]
        won = pair["win_rate"] if sign > 0 else 1 - pair["win_rate"]
        rows.append(
            [
                f"{names[0]} against {names[1]}",
                _marks(pair, sign),
                f"{100 * won:.1f} ± {100 * pair['win_rate_half_width']:.1f}",
                f"{pair['games']:,}",
                f"{1000 * pair['seconds'] / pair['hands']:.2f}",
            ]
        )
    return table(("", "marks a game", "games won, %", "games", "CPU ms a hand, all seats"), rows)


def _marks(pair: Mapping[str, Any], sign: int = 1) -> str:
    return f"{sign * pair['marks_a_game']:+.2f}{plus_minus(pair['marks_a_game_half_width'])}"


def shares(record: Mapping[str, Any]) -> list[str]:
    """Pairings in which one of bidder and play is the same: what the other is worth."""
    players = {player["name"]: player for player in record["players"]}
    rows = [
        row
        for held, changed in (("play", "bidder"), ("bidder", "play"))
        for row in _held(record, players, held, changed)
    ]
    return table(("the same", "changed", "marks a game", "games won, %", "CPU ms a hand"), rows)


def _held(
    record: Mapping[str, Any], players: Mapping[str, Any], held: str, changed: str
) -> Iterator[list[str]]:
    for pair in record["pairs"]:
        a, b = players[pair["player_a"]], players[pair["player_b"]]
        if a[held] == b[held]:
            sign = 1 if pair["marks_a_game"] >= 0 else -1
            better, worse = (a, b)[::sign]
            won = pair["win_rate"] if sign > 0 else 1 - pair["win_rate"]
            yield [
                f"{held} `{a[held]}`",
                f"`{better[changed]}` over `{worse[changed]}`",
                _marks(pair, sign),
                f"{100 * won:.1f} ± {100 * pair['win_rate_half_width']:.1f}",
                f"{1000 * pair['seconds'] / pair['hands']:.2f}",
            ]


def bid_scores(record: Mapping[str, Any]) -> list[str]:
    """Together and by cell: said, made, and expected calibration errors."""
    found = record["results"]
    parts = {"all contracts": found["all"], **found["cells"]}
    rows = [[name, *_scores(one)] for name, one in parts.items()]
    return table(
        ("contracts of auctions", "number", "said, %", "made, %", "gap, points of %",
         "expected error", "by chance: mean, 95 %", "unbiased"),
        rows,
    )  # fmt: skip


def bids_by_bid(record: Mapping[str, Any]) -> list[str]:
    """By the bid: in auctions, and of every hand without one."""
    found = record["results"]
    rows = []
    for bid, alone in found["without_auction"].items():
        real = found["bids"].get(bid)
        rows.append(
            [
                bid,
                *(_scores(real)[:4] if real else [NOTHING] * 4),
                *_scores(alone)[1:4],
            ]
        )
    head = ("bid", "contracts", "said, %", "made, %", "gap", "any hand: said, %", "made, %", "gap")
    return table(head, rows)


def _scores(one: Mapping[str, Any]) -> list[str]:
    gap = 100 * (one["made"] - one["said"])
    return [
        f"{one['contracts']:,}",
        f"{100 * one['said']:.2f}",
        f"{100 * one['made']:.2f}",
        f"{gap:+.2f} ± {100 * one['gap_half_width']:.2f}",
        f"{one['ece']:.4f}",
        f"{one['ece_by_chance']:.4f}, {one['ece_by_chance_95']:.4f}",
        f"{one['ece_unbiased']:.4f}",
    ]
