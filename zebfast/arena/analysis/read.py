"""Games from elsewhere: the text form of a whole game, or a table's JSON."""

from __future__ import annotations

from zebfast.arena.analysis.steps import game_of_record
from zebfast.arena.io.json_lines import RecordingError
from zebfast.arena.io.replay import parse_game, replay_game
from zebfast.arena.io.whole_games import RecordedWholeGame
from zebfast.core.whole_game import WholeGame
from zebfast.rules import (
    BadNotation,
    IllegalCall,
    IllegalDeclaration,
    IllegalPlay,
    ImpossibleDeal,
    WrongPhase,
)
from zebfast.system.settings import SettingError

MAX_CHARACTERS = 1 << 20
_BROKEN = (
    BadNotation, SettingError, IllegalCall, IllegalDeclaration, IllegalPlay, ImpossibleDeal,
    WrongPhase,
)  # fmt: skip


class UnreadableGame(ValueError):
    """A text that is no game, or one against the rules; the message is one sentence."""


def read_games(text: str) -> list[WholeGame]:
    """The games of a text, at least one: one in text form, or a JSON object on every line.

    Raises UnreadableGame.
    """
    if len(text) > MAX_CHARACTERS:
        raise UnreadableGame(f"The text is longer than {MAX_CHARACTERS:,} characters.")
    start = text.lstrip("\ufeff \t\r\n")
    games = _from_lines(text) if start.startswith("{") else [_from_text(start)]
    if not games:
        raise UnreadableGame("There is no game in it.")
    return games


def _from_text(text: str) -> WholeGame:
    try:
        return WholeGame.from_text(text)
    except _BROKEN as error:
        raise UnreadableGame(f"It is no game of 42: {str(error).rstrip('.')}.") from error


def _from_lines(text: str) -> list[WholeGame]:
    games = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            recorded = parse_game(line.encode(errors="replace"), number)
            if not isinstance(recorded, RecordedWholeGame):
                raise UnreadableGame(
                    f"Line {number} is a single hand without an auction; expected a whole game."
                )
            different = replay_game(recorded)
        except RecordingError as error:
            raise UnreadableGame(str(error)) from error
        if different is not None:
            raise UnreadableGame(f"The record is not what the rules say: {different}")
        games.append(game_of_record(recorded))
    return games
