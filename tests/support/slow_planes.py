"""What a seat knows as planes, and what it may do as a mask, in plain Python: the slow twin.

A whole game is read through `seen_by`, so that nothing else can get in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from zebfast import Game, WholeGame
from zebfast.core.seat_planes import (
    HAND_PLANES,
    N_WHOLE_ACTIONS,
    WHOLE_FIRST_CALL,
    WHOLE_FIRST_DECLARATION,
    WHOLE_PLANES,
)
from zebfast.rules import CALLS, PLUNGE_BIT, contract_of, is_nello, marks_of, trick_winner

Groups = dict[str, np.ndarray]


def bit_of(call: int) -> int:
    """The place of a call in a mask."""
    return PLUNGE_BIT + contract_of(call) - 1 if contract_of(call) else CALLS.index(call)


def fill(into: Groups, seat: int, *, dealt: Iterable[int], held: Iterable[int], decl: int,
         plays: Sequence[tuple[int, int]], n_seats: int, first: int,
         points: Sequence[int]) -> None:  # fmt: skip
    """The groups of a hand in play, or played. ``first``: who leads, or led, its first trick."""
    for domino in dealt:
        into["dealt"][domino] = 1
    for domino in held:
        into["held"][domino] = 1
    on_table = len(plays) % n_seats
    for number, (by, domino) in enumerate(plays):
        into["played"][(by - seat) % 4, domino] = 1
        into["when"][domino] = number + 1
        if number >= len(plays) - on_table:
            into["table"][(by - seat) % 4, domino] = 1
    if len(plays) < 7 * n_seats:
        leader = first
        if on_table:
            leader = plays[-on_table][0]
        elif plays:
            last = plays[-n_seats:]
            leader = last[trick_winner([domino for _, domino in last], decl)][0]
        into["leader"][(leader - seat) % 4] = 1
        into["trick"][len(plays) // n_seats] = 1
    into["decl"][decl] = 1
    into["points"][:] = points[seat % 2], points[1 - seat % 2]


def hand_planes(game: Game, seat: int) -> np.ndarray:
    """The twin of `planes` for a Game."""
    found = {name: np.zeros(shape, np.uint8) for name, (_, shape) in HAND_PLANES.items()}
    fill(found, seat, dealt=game.dealt[seat], held=game.hands[seat], decl=game.decl,
         plays=game.plays, n_seats=4, first=game.leader, points=game.points)  # fmt: skip
    if not game.over:
        found["to_act"][(game.to_play - seat) % 4] = 1
    return np.concatenate([group.ravel() for group in found.values()])


def whole_planes(game: WholeGame, seat: int) -> np.ndarray:
    """The twin of `planes` for a WholeGame."""
    view = game.seen_by(seat)
    found = {name: np.zeros(shape, np.uint8) for name, (_, shape) in WHOLE_PLANES.items()}
    found["shaker"][(view.shaker - seat) % 4] = 1
    found["marks"][:] = min(view.marks[seat % 2], 255), min(view.marks[1 - seat % 2], 255)
    if view.phase != "deal":
        _fill_auction(found, view, seat)
    if view.phase in ("play", "over"):
        assert view.decl is not None
        assert game.leader is not None
        n_seats = 3 if is_nello(view.decl) else 4
        fill(found, seat, dealt=view.dealt, held=view.hand, decl=view.decl, plays=view.plays,
             n_seats=n_seats, first=game.leader, points=view.points)  # fmt: skip
    elif view.phase != "deal":
        for name, dominoes in (("dealt", view.dealt), ("held", view.hand)):
            found[name][list(dominoes)] = 1
    return np.concatenate([group.ravel() for group in found.values()])


def _fill_auction(found: Groups, view: Any, seat: int) -> None:
    if view.to_act is not None:
        found["to_act"][(view.to_act - seat) % 4] = 1
        found["phase"][("call", "declare", "play").index(view.phase)] = 1
    for by, call in view.calls:
        found["calls"][(by - seat) % 4, bit_of(call)] = 1
    if view.bidder is not None:
        found["bidder"][(view.bidder - seat) % 4] = 1
    found["stake"][:] = marks_of(view.bid)


def mask(game: Game | WholeGame) -> np.ndarray:
    """The twin of `action_mask`."""
    if isinstance(game, Game):
        found = np.zeros(28, np.int8)
        found[game.legal()] = 1
        return found
    found = np.zeros(N_WHOLE_ACTIONS, np.int8)
    found[game.legal_plays()] = 1
    found[[WHOLE_FIRST_CALL + bit_of(call) for call in game.legal_calls()]] = 1
    found[[WHOLE_FIRST_DECLARATION + decl for decl in game.legal_declarations()]] = 1
    return found
