"""One game of straight 42, move by move, and the errors that both twins raise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zebfast.rules.tiles import (
    DECLARATIONS,
    HAND_SIZE,
    N_DOMINOES,
    N_SEATS,
    N_TRICKS,
    domino_name,
    legal_plays,
    trick_points,
    trick_winner,
)

if TYPE_CHECKING:  # which is told of impossible deals here
    from zebfast.rules.contract import Contract


class ImpossibleDeal(ValueError):
    """Hands, declaration or leader that no deal of the double-six set can give."""


class IllegalPlay(ValueError):
    """A domino that the seat to play may not play now."""


def check_deal(hands: Sequence[Sequence[int]], decl: int, leader: int) -> None:
    """Raise ImpossibleDeal, naming the rule, unless this is a full deal of 28 dominoes."""
    check_hands(hands)
    if not 0 <= decl < len(DECLARATIONS):
        raise ImpossibleDeal(f"declaration {decl}: ids run from 0 to 9")
    if not 0 <= leader < N_SEATS:
        raise ImpossibleDeal(f"leader {leader}: seats run from 0 to 3")


def check_hands(hands: Sequence[Sequence[int]]) -> None:
    """The same of the four hands alone."""
    if len(hands) != N_SEATS:
        raise ImpossibleDeal(f"a deal has 4 hands, not {len(hands)}")
    holder: dict[int, int] = {}
    for seat, hand in enumerate(hands):
        if len(hand) != HAND_SIZE:
            raise ImpossibleDeal(f"seat {seat} holds {len(hand)} dominoes, not 7")
        for domino in hand:
            if not 0 <= domino < N_DOMINOES:
                raise ImpossibleDeal(f"seat {seat} holds {domino}: domino ids run from 0 to 27")
            if domino in holder:
                raise ImpossibleDeal(
                    f"domino {domino_name(domino)} is held by seat {holder[domino]} and "
                    f"by seat {seat}"
                )
            holder[domino] = seat


class Position:
    """A game in progress. The slow twin of the C state: lists, no masks, no tables.

    Args:
        hands: four sequences of seven domino ids.
        decl: declaration id 0..9.
        leader: seat that leads the first trick.
    """

    contract: Contract | None = None  # what it is played for; None: for points
    closed: int | None = None  # seat that has laid its hand down, so that tricks are of three

    def __init__(self, hands: Sequence[Sequence[int]], decl: int, leader: int) -> None:
        check_deal(hands, decl, leader)
        self._begin(hands, decl, leader)

    @classmethod
    def of_contract(
        cls, hands: Sequence[Sequence[int]], decl: int, leader: int, closed: int | None
    ) -> Position:
        """A hand of any contract: a declaration, or one of the house's; arguments are not checked.

        Args:
            closed: the seat that does not play in nello.
        """
        self = cls.__new__(cls)
        self._begin(hands, decl, leader)
        self.closed = closed
        return self

    def _begin(self, hands: Sequence[Sequence[int]], decl: int, leader: int) -> None:
        self.dealt = [sorted(h) for h in hands]
        self.hands = [sorted(h) for h in hands]
        self.decl = decl
        self.leader = leader
        self.plays: list[tuple[int, int]] = []  # (seat, domino)
        self.points = [0, 0]
        self._trick_leaders = [leader]

    @property
    def seats(self) -> list[int]:
        """Seats in the order of the trick on the table, the leader first."""
        leader = self._trick_leaders[-1]
        order = [(leader + place) % N_SEATS for place in range(N_SEATS)]
        return [seat for seat in order if seat != self.closed]

    @property
    def trick_size(self) -> int:
        """Dominoes in a trick."""
        return N_SEATS if self.closed is None else N_SEATS - 1

    @property
    def trick(self) -> list[int]:
        """Dominoes on the table, the lead first."""
        done = len(self.plays) // self.trick_size * self.trick_size
        return [d for _, d in self.plays[done:]]

    @property
    def over(self) -> bool:
        return len(self.plays) == N_TRICKS * self.trick_size

    @property
    def to_play(self) -> int:
        """Seat to play (after the last trick: its winner)."""
        return self.seats[len(self.plays) % self.trick_size]

    def legal(self) -> list[int]:
        """Legal dominoes of the seat to play, ascending; empty when the game is over."""
        if self.over:
            return []
        table = self.trick
        return legal_plays(self.hands[self.to_play], table[0] if table else None, self.decl)

    def play(self, domino: int) -> None:
        """Play one domino. IllegalPlay if it is not legal now."""
        if self.over:
            raise IllegalPlay(
                f"{_name(domino)} cannot be played: all {len(self.plays)} dominoes are down"
            )
        legal = self.legal()
        if domino not in legal:
            allowed = ", ".join(domino_name(d) for d in legal)
            raise IllegalPlay(
                f"seat {self.to_play} may not play {_name(domino)}; legal plays are {allowed}"
            )
        seat = self.to_play
        self.hands[seat].remove(domino)
        self.plays.append((seat, domino))
        if len(self.plays) % self.trick_size == 0:
            self._finish_trick()

    def _finish_trick(self) -> None:
        dominoes = [d for _, d in self.plays[-self.trick_size :]]
        winner = self.seats[trick_winner(dominoes, self.decl)]
        self.points[winner % 2] += trick_points(dominoes)
        self._trick_leaders.append(winner)

    def undo(self) -> None:
        """Take the last play back. IndexError when nothing was played."""
        if not self.plays:
            raise IndexError("nothing to undo: no domino has been played")
        if len(self.plays) % self.trick_size == 0:
            winner = self._trick_leaders.pop()
            self.points[winner % 2] -= trick_points(d for _, d in self.plays[-self.trick_size :])
        seat, domino = self.plays.pop()
        self.hands[seat] = sorted([*self.hands[seat], domino])


def _name(domino: int) -> str:
    return domino_name(domino) if 0 <= domino < N_DOMINOES else f"domino {domino}"


def perft(position: Position, depth: int) -> int:
    """Number of legal play sequences of ``depth`` plays (fewer when the game ends first)."""
    if depth == 0 or position.over:
        return 1
    total = 0
    for domino in position.legal():
        position.play(domino)
        total += perft(position, depth - 1)
        position.undo()
    return total
