"""Replays recorded games by the Python rules and by the compiled engine, play for play."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from zebfast.arena.recorded import RecordedGame, RecordedPlay, RecordedTrick, RecordError
from zebfast.core.engine import Game
from zebfast.rules import IllegalPlay, Position


class Referee(Protocol):
    """A game in progress, by either twin."""

    @property
    def to_play(self) -> int:
        """Seat to play; after the last trick its winner."""

    @property
    def points(self) -> Sequence[int]:
        """Points of team 0 and team 1 so far."""

    def legal(self) -> Sequence[int]:
        """Legal dominoes of the seat to play."""

    def play(self, domino: int) -> None:
        """Play one domino; IllegalPlay if it is not legal."""


#: What every game is replayed with: a name for messages, and a game from hands, decl, leader.
REFEREES: tuple[tuple[str, Callable[[Sequence[Sequence[int]], int, int], Referee]], ...] = (
    ("Python rules", Position),
    ("compiled engine", Game),
)


@dataclass(frozen=True)
class Difference:
    """The first point where a record and a referee disagree.

    `line` counts from 1; `ply` from 0, and is None for the final points. `expected` is what the
    referee says, `found` what the record says.
    """

    line: int
    ply: int | None
    referee: str
    what: str
    expected: Any
    found: Any

    def as_dict(self) -> dict[str, Any]:
        """The fields as a plain dict, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        where = "at the end" if self.ply is None else f"play {self.ply}"
        return (
            f"line {self.line}, {where}: {self.what}: expected {self.expected} "
            f"({self.referee}), found {self.found}"
        )


def replay_game(game: RecordedGame) -> Difference | None:
    """The first difference between a record and either referee, or None when all is equal.

    Raises RecordError, naming the line and the rule, for an illegal play whose legal slots the
    record nevertheless lists as the rules do.
    """
    for name, start in REFEREES:
        referee = start([sorted(hand) for hand in game.hands], game.decl, game.leader)
        difference = _replay(game, name, referee)
        if difference is not None:
            return difference
    return None


def _replay(game: RecordedGame, name: str, referee: Referee) -> Difference | None:
    for ply, play in enumerate(game.plays):
        before, found = _before_play(game, referee, play)
        if found == before:
            points = sum(referee.points)
            try:
                referee.play(play.domino)
            except IllegalPlay as error:
                raise RecordError(
                    f"Line {game.line}, play {ply} is illegal by the {name}: {error}."
                ) from error
            finishes = ply % 4 == 3
            taken = RecordedTrick(referee.to_play, sum(referee.points) - points)
            before, found = {"trick": taken if finishes else None}, {"trick": play.trick}
        for what, expected in before.items():
            if found[what] != expected:
                return Difference(game.line, ply, name, what, _plain(expected), _plain(found[what]))
    if tuple(referee.points) != game.points:
        return Difference(game.line, None, name, "points", [*referee.points], [*game.points])
    return None


def _before_play(
    game: RecordedGame, referee: Referee, play: RecordedPlay
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What can be compared before the domino is down: by the referee, and as recorded."""
    seat = referee.to_play
    hand = game.hands[seat]
    expected = {"seat": seat, "legal slots": sorted(map(hand.index, referee.legal()))}
    found = {"seat": play.seat, "legal slots": sorted(play.legal_slots)}
    if play.domino in hand:  # otherwise the play itself is illegal, which says more
        expected["slot"], found["slot"] = hand.index(play.domino), play.slot
    return expected, found


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, RecordedTrick) else value
