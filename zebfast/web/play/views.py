"""What a browser is told of a table: what the seat knows, and nothing else while a hand lasts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zebfast.rules import (
    ALL_DECLARATIONS,
    CALLED_SUIT,
    COUNT,
    DOMINOES,
    N_DECLARATIONS,
    N_SEATS,
    Declaration,
    HandResult,
    HouseDeclaration,
    RuleSet,
    call_name,
    in_called_suit,
    is_nello,
    led_suit,
    trick_points,
    trick_winner,
)
from zebfast.system.settings import encode
from zebfast.web.play.table import Table


def domino(found: int) -> str:
    """``"64"``."""
    return "{}{}".format(*DOMINOES[found])


def dominoes(found: Any) -> list[str]:
    """Several."""
    return [domino(each) for each in found]


def tricks(decl: int | None, plays: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """The tricks of a hand; the winner of the last one is None while it lasts."""
    if decl is None:
        return
    size = N_SEATS - 1 if is_nello(decl) else N_SEATS
    for first in range(0, len(plays), size):
        part = plays[first : first + size]
        found: dict[str, Any] = {"plays": [[seat, domino(each)] for seat, each in part]}
        full = len(part) == size
        played = [each for _, each in part]
        found["winner"] = part[trick_winner(played, decl)][0] if full else None
        found["points"] = trick_points(played) if full else sum(COUNT[each] for each in played)
        yield found


def value(phase: str, chosen: int) -> str:
    """A call, declaration or domino by name."""
    if phase == "call":
        return call_name(chosen)
    return ALL_DECLARATIONS[chosen] if phase == "declare" else domino(chosen)


def result(found: HandResult) -> dict[str, Any]:
    """What a hand brought."""
    return {
        "bid": call_name(found.bid), "bidder": found.bidder, "made": found.made,
        "decl": None if found.decl is None else ALL_DECLARATIONS[found.decl],
        "points": list(found.points), "award": list(found.award),
    }  # fmt: skip


def rules(rule_set: RuleSet) -> dict[str, Any]:
    """The rules, and which of them are not those of tournaments."""
    default, own = encode(RuleSet()), encode(rule_set)
    other = {key: own[key] for key in own if own[key] != default[key] and key != "target"}
    return {"text": str(rule_set), "other": other, "scoring": rule_set.scoring}


def view(
    table: Table, seat: int | None, own: frozenset[int], *, is_owner: bool = False
) -> dict[str, Any]:
    """The table as the seat sees it; None sees what lies open alone. Not for others' eyes.

    ``own`` are the seats of who asks. Hands of others, and which dominoes are legal for them, are
    not in it before the hand is over.
    """
    game = table.game
    known = None if seat is None else game.seen_by(seat)
    found: dict[str, Any] = {
        "id": table.id, "version": table.version, "seat": seat, "own": sorted(own),
        "is_owner": is_owner, "phase": game.phase, "to_act": game.seat, "pace": table.pace,
        "hints": table.hints, "takebacks": table.takebacks, "review_only": table.review_only,
        "rules": rules(game.rule_set), "target": game.rule_set.target, "marks": game.marks,
        "shaker": game.shaker, "hand_number": game.hand_number, "winner": game.winner,
        "seats": [
            {"name": each.name, "kind": each.kind, "player": each.player, "held": len(hand)}
            for each, hand in zip(table.seats, game.hands, strict=True)
        ],
        "calls": [[who, call_name(call)] for who, call in game.calls],
        "bid": call_name(game.bid) if game.bid else None, "bidder": game.bidder,
        "declarer": game.declarer, "leader": game.leader, "points": game.points,
        "decl": None if game.decl is None else ALL_DECLARATIONS[game.decl],
        "tricks": list(tricks(None if game.decl is None else int(game.decl), game.plays)),
        "decided": game.made, "results": [result(each) for each in game.results],
        "hand": [] if known is None else dominoes(known.hand),
        "trumps": _trumps(None if known is None else known.hand, game.decl), "led": _led(table),
        "legal": [] if known is None else [value(game.phase, each) for each in known.legal],
        "undo": table.undoable(own) > 0,
        "may_end": bool(own) and game.made is not None and not game.trick
        and not game.rule_set.early_end and game.rule_set.scoring == "marks",
    }  # fmt: skip
    if table.hands_open and game.results:
        found["open"] = [dominoes(hand) for hand in game.dealt]
    return found


def _trumps(hand: tuple[int, ...] | None, decl: int | None) -> list[str]:
    """Dominoes of a hand that are in the called suit."""
    if hand is None or decl is None or decl >= N_DECLARATIONS:
        return []
    return [domino(each) for each in hand if in_called_suit(each, decl)]


def _led(table: Table) -> str | None:
    """The suit that the trick on the table asks for; None between tricks and in sevens."""
    game = table.game
    if not game.trick or game.decl is None or game.decl == HouseDeclaration.SEVENS:
        return None
    suit = led_suit(game.trick[0], int(game.decl))
    if suit != CALLED_SUIT:
        return Declaration(suit).label
    return game.decl.label if game.decl <= Declaration.SIXES else Declaration.DOUBLES.label


def summary(table: Table) -> dict[str, Any]:
    """A table in the list of all."""
    game = table.game
    return {
        "id": table.id, "made": table.made, "changed": table.changed, "marks": game.marks,
        "target": game.rule_set.target, "hand_number": game.hand_number, "over": game.over,
        "winner": game.winner, "seats": [[seat.name, seat.kind] for seat in table.seats],
        "rules": str(game.rule_set), "review_only": table.review_only,
    }  # fmt: skip
