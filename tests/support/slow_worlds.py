"""Worlds in plain Python, the twin of csrc/worlds.c: try every layout, keep those that can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from zebfast import rules

Layout = tuple[tuple[int, ...], ...]  # four hands, ascending
SEATS = 4


def hidden_dominoes(position: rules.Position, viewer: int) -> list[int]:
    """Dominoes in the three other hands, ascending."""
    return sorted(d for seat in range(SEATS) if seat != viewer for d in position.hands[seat])


def barred_dominoes(position: rules.Position) -> list[set[int]]:
    """For each seat the dominoes of every led suit that it did not follow."""
    barred: list[set[int]] = [set() for _ in range(SEATS)]
    for i, (seat, domino) in enumerate(position.plays):
        suit = rules.led_suit(position.plays[i - i % 4][1], position.decl)
        if not rules.follows(domino, suit, position.decl):
            barred[seat] |= {d for d in range(28) if rules.follows(d, suit, position.decl)}
    return barred


def layouts(
    hidden: Sequence[int], sizes: Sequence[int], barred: Sequence[set[int]], viewer: int
) -> Iterator[dict[int, int]]:
    """Every way to give each hidden domino to a seat that may hold it, as {domino: seat}.

    In rank order: dominoes ascending, each first to the seat on the viewer's left.
    """
    others = [(viewer + j) % SEATS for j in (1, 2, 3)]
    room = {seat: sizes[seat] for seat in others}
    holder: dict[int, int] = {}

    def place(i: int) -> Iterator[dict[int, int]]:
        if i == len(hidden):
            yield dict(holder)
            return
        for seat in others:
            if room[seat] and hidden[i] not in barred[seat]:
                room[seat] -= 1
                holder[hidden[i]] = seat
                yield from place(i + 1)
                room[seat] += 1

    return place(0)


def as_masks(holder: dict[int, int], viewer: int, hand: Sequence[int]) -> tuple[int, ...]:
    """The four hands of a layout as 28-bit masks."""
    masks = [0] * SEATS
    masks[viewer] = sum(1 << d for d in hand)
    for domino, seat in holder.items():
        masks[seat] |= 1 << domino
    return tuple(masks)


def worlds(position: rules.Position, viewer: int) -> list[tuple[int, ...]]:
    """All worlds as masks, in rank order."""
    hand, sizes = position.hands[viewer], [len(h) for h in position.hands]
    found = layouts(hidden_dominoes(position, viewer), sizes, barred_dominoes(position), viewer)
    return [as_masks(holder, viewer, hand) for holder in found]


def worlds_by_law(position: rules.Position, viewer: int) -> set[tuple[int, ...]]:
    """All worlds as masks, by nothing but the law: deal, replay the game, see whether it is legal.

    No notion of a void enters, so this also checks what the others make of plays.
    """
    found = set()
    hidden = hidden_dominoes(position, viewer)
    left, partner, right = ((viewer + j) % SEATS for j in (1, 2, 3))
    for a in combinations(hidden, len(position.hands[left])):
        rest = [d for d in hidden if d not in a]
        for b in combinations(rest, len(position.hands[partner])):
            hands = {left: list(a), partner: list(b), viewer: position.hands[viewer]}
            hands[right] = [d for d in rest if d not in b]
            if is_legal([hands[seat] for seat in range(SEATS)], position):
                found.add(tuple(sum(1 << d for d in hands[seat]) for seat in range(SEATS)))
    return found


def is_legal(hands: Sequence[Sequence[int]], position: rules.Position) -> bool:
    """Whether the game's plays could have been made by seats that now hold these hands."""
    played = [[d for who, d in position.plays if who == seat] for seat in range(SEATS)]
    dealt = [[*hands[seat], *played[seat]] for seat in range(SEATS)]
    again = rules.Position(dealt, position.decl, position.leader)
    again.contract = position.contract
    try:
        for _, domino in position.plays:
            again.play(domino)
    except rules.IllegalPlay:
        return False
    return True
