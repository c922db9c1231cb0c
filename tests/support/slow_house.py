"""Nello and sevens with open hands by trying everything: the twin of csrc/house_solve.c."""

from __future__ import annotations

from zebfast.rules import Position, is_nello


def slow_plays_that_make(position: Position, bidder: int) -> list[int]:
    """Legal dominoes after which the bidder makes the contract, both sides at their best."""
    found = []
    for domino in position.legal():
        position.play(domino)
        if _made(position, bidder):
            found.append(domino)
        position.undo()
    return found


def _made(position: Position, bidder: int) -> bool:
    team = bidder % 2
    if position.points[team if is_nello(position.decl) else 1 - team]:
        return False
    if position.over:
        return True
    wants = position.to_play % 2 == team
    for domino in position.legal():
        position.play(domino)
        found = _made(position, bidder)
        position.undo()
        if found == wants:
            return found
    return not wants
