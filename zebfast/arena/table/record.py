"""Records of games at a table, as `zebfast replay` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zebfast.arena.table.lockstep import PlayedGame
from zebfast.arena.table.protocol import call_value, declaration_value
from zebfast.core.whole_game import WholeGame
from zebfast.rules import (
    DOMINOES,
    N_SEATS,
    N_TRICKS,
    HandResult,
    HandText,
    RuleSet,
    game_from_text,
    is_nello,
)


def record_of(played: PlayedGame, players: tuple[str, str]) -> dict[str, Any]:
    """A game as one JSON object; ``players`` are A and B."""
    game = played.game
    seats = players if played.half == 0 else players[::-1]
    return {
        "seed": f"{game.seed}-{played.number}", "half": played.half, "players": [*seats, *seats],
        **_game(game, played.plays), **({"infos": list(played.infos)} if played.infos else {}),
    }  # fmt: skip


def record_of_game(
    game: WholeGame, plays: Sequence[Sequence[tuple[int, int]]], players: Sequence[str]
) -> dict[str, Any]:
    """The same of a game that is no part of a match; ``players`` are those of the four seats, and
    ``plays`` (seat, domino) of every hand."""
    return {"players": [*players], **_game(game, plays)}


def _game(game: WholeGame, plays: Sequence[Sequence[tuple[int, int]]]) -> dict[str, Any]:
    """What a record says of any game that is over."""
    _, lines = game_from_text(str(game))
    marks, hands = [0, 0], []
    for number, (line, result) in enumerate(zip(lines, game.results, strict=True)):
        marks = [have + more for have, more in zip(marks, result.award, strict=True)]
        hand = _dealt(number + 1, line)
        if line.decl is None:
            hand["allpass"] = True
        else:
            hand |= _contract(game.rule_set, line.decl, plays[number], result)
        hands.append(hand | {"marks": marks})
    return {
        "rules": str(game.rule_set), "winner_team": game.winner, "marks": game.marks,
        "hands": hands,
    }  # fmt: skip


def _dealt(number: int, line: HandText) -> dict[str, Any]:
    """What a record says of every hand."""
    caller = (line.shaker + 1) % N_SEATS
    return {
        "no": number,
        "dealer": line.shaker,
        "hands": [[list(DOMINOES[domino]) for domino in own] for own in line.hands or ()],
        "bids": [[(caller + i) % N_SEATS, call_value(call)] for i, call in enumerate(line.calls)],
    }


def _contract(
    rule_set: RuleSet, decl: int, plays: Sequence[tuple[int, int]], result: HandResult
) -> dict[str, Any]:
    """What it says of one that was played."""
    whole = N_TRICKS * (N_SEATS - 1 if is_nello(decl) else N_SEATS)
    team = 0 if result.award[0] else 1
    for_points = rule_set.scoring == "points"
    return {
        "bidder": result.bidder,
        "bid": call_value(result.bid),
        "decl": declaration_value(decl),
        "plays": [[seat, *DOMINOES[domino]] for seat, domino in plays],
        "points": list(result.points),
        "early_end": len(plays) < whole,
        "made": result.made,
        "award": list(result.award) if for_points else [team, max(result.award)],
    }
