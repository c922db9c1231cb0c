"""Recorded games, replayed play for play by the Python rules and by the compiled engine.

A file holds one JSON object a line, plain or gzipped: a deal, its plays and what they brought, or a
whole game (`whole_games`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from zebfast.arena.io.json_lines import (
    Difference,
    FieldReader,
    RecordingError,
    json_lines,
    parse_object,
)
from zebfast.arena.io.whole_games import (
    RecordedWholeGame,
    is_whole_game,
    parse_whole_game,
    replay_whole_game,
)
from zebfast.core.engine import Game
from zebfast.rules import (
    HAND_SIZE,
    N_DOMINOES,
    N_PLIES,
    N_SEATS,
    TOTAL_POINTS,
    IllegalPlay,
    ImpossibleDeal,
    Position,
    check_deal,
)

MAX_LINE_BYTES = 1 << 20  # a record takes about 3 kB; a longer line is not one
_EXPECTED = "one recorded game"


@dataclass(frozen=True)
class RecordedTrick:
    """What the record says a finished trick brought: the seat that won it and its points."""

    winner: int
    points: int


@dataclass(frozen=True)
class RecordedPlay:
    """One play as recorded; slots count in the record's own hand order."""

    seat: int
    domino: int
    slot: int
    legal_slots: tuple[int, ...]
    trick: RecordedTrick | None


@dataclass(frozen=True)
class RecordedGame:
    """One line of a file: a possible deal, 28 plays of the right shape, and the final points."""

    line: int
    hands: tuple[tuple[int, ...], ...]
    decl: int
    leader: int
    plays: tuple[RecordedPlay, ...]
    points: tuple[int, int]

    @property
    def n_plays(self) -> int:
        """Dominoes played."""
        return len(self.plays)


def read_games(source: Path | BinaryIO) -> Iterator[RecordedGame | RecordedWholeGame]:
    """Yield the games of a file in order; blank lines are skipped, line numbers start at 1.

    A binary file that is open already is left open and need not be seekable. Raises RecordingError
    for a line that is no recorded game and for damaged compression, and OSError where the file
    cannot be read.
    """
    for record in read_records(source):
        if isinstance(record, RecordingError):
            raise record
        yield record


def read_records(
    source: Path | BinaryIO,
) -> Iterator[RecordedGame | RecordedWholeGame | RecordingError]:
    """The same, with the error in place of a line that is no recorded game; the next ones follow.

    Nothing follows where compression is damaged or a line is too long. Raises OSError alone.
    """
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as stream:
        try:
            for number, line in json_lines(stream, max_bytes=MAX_LINE_BYTES, expected=_EXPECTED):
                try:
                    yield parse_game(line, number)
                except RecordingError as error:
                    yield error
        except RecordingError as error:
            yield error


def parse_game(line: bytes, number: int) -> RecordedGame | RecordedWholeGame:
    """Parse line `number` of a file. Raises RecordingError naming the line and what is wrong."""
    record = parse_object(line, number, _EXPECTED)
    return (parse_whole_game if is_whole_game(record) else _parse_hand)(record, number)


def _parse_hand(record: dict[str, Any], number: int) -> RecordedGame:
    reader = FieldReader(f"Line {number}")
    hands = []
    for seat, hand in enumerate(reader.items(record, "hands", N_SEATS)):
        name = f"hands[{seat}]"
        own = reader.items({name: hand}, name, HAND_SIZE)
        hands.append(reader.integers(own, name, 0, N_DOMINOES - 1))
    decl = reader.integer(record, "decl", 0, 9)
    leader = reader.integer(record, "bidder", 0, 3)
    plays = reader.items(record, "plays", N_PLIES)
    points = reader.integers(reader.items(record, "points", 2), "points", 0, TOTAL_POINTS)
    try:
        check_deal(hands, decl, leader)
    except ImpossibleDeal as error:
        raise reader.error(f"holds an impossible deal: {error}") from error
    return RecordedGame(
        line=number,
        hands=tuple(hands),
        decl=decl,
        leader=leader,
        plays=tuple(_parse_play(number, ply, play) for ply, play in enumerate(plays)),
        points=(points[0], points[1]),
    )


def _parse_play(number: int, ply: int, play: object) -> RecordedPlay:
    reader = FieldReader(f"Line {number}, play {ply}")
    if not isinstance(play, dict):
        raise reader.error("is not a JSON object; expected seat, domino, slot, legal_slots, trick")
    legal = reader.items(play, "legal_slots", None)
    if len(legal) > 7:
        raise reader.error(f"lists {len(legal)} legal slots; a hand has seven")
    trick = play.get("trick")
    if trick is not None and not isinstance(trick, dict):
        raise reader.error("has a trick that is neither null nor an object with winner and points")
    return RecordedPlay(
        seat=reader.integer(play, "seat", 0, 3),
        domino=reader.integer(play, "domino", 0, 27),
        slot=reader.integer(play, "slot", 0, 6),
        legal_slots=reader.integers(legal, "legal_slots", 0, 6),
        trick=None
        if trick is None
        else RecordedTrick(
            winner=reader.integer(trick, "winner", 0, 3),
            points=reader.integer(trick, "points", 0, TOTAL_POINTS),
        ),
    )


#: A game in progress, by either twin.
Referee = Position | Game
#: What every game is replayed with: a name for messages, and a game from hands, decl, leader.
REFEREES: tuple[tuple[str, type[Position] | type[Game]], ...] = (
    ("Python rules", Position),
    ("compiled engine", Game),
)


def replay_game(game: RecordedGame | RecordedWholeGame) -> Difference | None:
    """The first difference between a record and either referee, or None when all is equal.

    Raises RecordingError, naming the line and the rule, for an illegal play whose legal slots the
    record nevertheless lists as the rules do; of a whole game for whatever the rules forbid.
    """
    if isinstance(game, RecordedWholeGame):
        return replay_whole_game(game)
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
                raise RecordingError(
                    f"Line {game.line}, play {ply} is illegal by the {name}: {error}."
                ) from error
            finishes = ply % N_SEATS == N_SEATS - 1
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
