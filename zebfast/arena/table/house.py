"""Nello and sevens at the table: E[Q] for the contract, over layouts that the seat thinks possible.

The straight players know four to a trick and suits; these contracts have a solver of their own
(`core.house`), which says after which plays the contract is made with all hands open. As with every
average over open hands, what it says is no price (`pimc`): it only ranks plays.
"""

from __future__ import annotations

import numpy as np

from zebfast.core.house import SeatHand, plays_that_make
from zebfast.core.masks import domino_bits
from zebfast.core.worlds import WorldSet
from zebfast.rules import (
    CALLED_SUIT,
    HAND_SIZE,
    N_DOMINOES,
    N_SEATS,
    HouseDeclaration,
    SeatView,
    follows,
    is_nello,
    led_suit,
    rank,
)

N_WORLDS = 20


def house_play(view: SeatView, *, seed: int, number: int, n_worlds: int = N_WORLDS) -> int:
    """The legal domino that most often makes the contract, for its side, else most seldom.

    The lowest of equals. Worlds are drawn by (seed, number): ``number`` is the hand's. Raises
    ImpossibleWorlds where no layout agrees with the view.
    """
    assert view.decl is not None
    assert view.bidder is not None
    worlds = possible_worlds(view)
    layouts = (
        worlds.enumerate(n_worlds) if len(worlds) <= n_worlds
        else worlds.sample(n_worlds, seed=seed, game=number)
    )  # fmt: skip
    leader = view.plays[0][0] if view.plays else view.seat
    hand = SeatHand(view.decl, bidder=view.bidder, leader=leader, plays=view.plays)
    made = domino_bits(plays_that_make(hand, layouts)).sum(axis=0)
    sign = 1 if view.seat % 2 == view.bidder % 2 else -1
    legal = np.array(sorted(view.legal))
    return int(legal[np.argmax(sign * made[legal])])


def possible_worlds(view: SeatView) -> WorldSet:
    """The layouts of the hidden dominoes that agree with all that the seat knows."""
    played = [sum(seat == own for seat, _ in view.plays) for own in range(N_SEATS)]
    known = {domino for _, domino in view.plays} | set(view.hand)
    return WorldSet.from_knowledge(
        hidden=[domino for domino in range(N_DOMINOES) if domino not in known],
        sizes=[HAND_SIZE - n for n in played],
        barred=shown_voids(view),
        viewer=view.seat,
        hand=view.hand,
    )


def shown_voids(view: SeatView) -> list[list[int]]:
    """Dominoes that each seat has shown not to hold: by not following, or in sevens by playing one
    that is farther from seven pips."""
    assert view.decl is not None
    barred: list[set[int]] = [set() for _ in range(N_SEATS)]
    size = N_SEATS - 1 if is_nello(view.decl) else N_SEATS
    for ply, (seat, domino) in enumerate(view.plays):
        if view.decl == HouseDeclaration.SEVENS:
            own = rank(domino, CALLED_SUIT, view.decl)
            nearer = (d for d in range(N_DOMINOES) if rank(d, CALLED_SUIT, view.decl) > own)
            barred[seat] |= set(nearer)
            continue
        suit = led_suit(view.plays[ply - ply % size][1], view.decl)
        if not follows(domino, suit, view.decl):
            barred[seat] |= {d for d in range(N_DOMINOES) if follows(d, suit, view.decl)}
    return [sorted(found) for found in barred]
