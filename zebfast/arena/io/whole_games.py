"""Recorded whole games, replayed call for call and play for play by both referees.

One JSON object a line, as tables write them: rules, and for each hand who shook, what was dealt,
called, declared and played, and what it brought.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zebfast.arena.io.json_lines import Difference, FieldReader, RecordingError
from zebfast.core.whole_game import WholeGame
from zebfast.rules import (
    ALL_DECLARATIONS,
    HAND_SIZE,
    N_ALL_DECLARATIONS,
    N_PLIES,
    N_SEATS,
    TOTAL_POINTS,
    HandResult,
    IllegalCall,
    IllegalDeclaration,
    IllegalPlay,
    ImpossibleDeal,
    RuleSet,
    WholePosition,
    WrongPhase,
    call_of,
    domino_id,
)
from zebfast.system.settings import SettingError

MAX_HANDS = 2000  # of a game: more than the rules let one come to
_MOST_MARKS = 1 << 16
_MOST_CALL = 1 << 10
_BROKEN = (IllegalCall, IllegalDeclaration, IllegalPlay, ImpossibleDeal, WrongPhase)


@dataclass(frozen=True)
class RecordedHand:
    """One hand as recorded; ``decl`` and ``result`` are None where it was thrown in."""

    number: int
    shaker: int
    hands: tuple[tuple[int, ...], ...]
    calls: tuple[tuple[int, int], ...]  # (seat, call)
    bidder: int | None
    decl: int | None
    plays: tuple[tuple[int, int], ...]  # (seat, domino)
    ended_early: bool
    result: HandResult | None
    marks: tuple[int, int]


@dataclass(frozen=True)
class RecordedWholeGame:
    """One line of a file: a game by its rule set, and how it ended."""

    line: int
    rule_set: RuleSet
    hands: tuple[RecordedHand, ...]
    winner: int
    marks: tuple[int, int]

    @property
    def n_plays(self) -> int:
        """Dominoes played in all hands."""
        return sum(len(hand.plays) for hand in self.hands)


def is_whole_game(record: dict[str, Any]) -> bool:
    """Whether a record is one of a whole game: its hands are objects, not lists of dominoes."""
    hands = record.get("hands")
    return isinstance(hands, list) and any(isinstance(hand, dict) for hand in hands)


def parse_whole_game(record: dict[str, Any], line: int) -> RecordedWholeGame:
    """A game of the object in a line. RecordingError names line, hand and what is wrong."""
    reader = FieldReader(f"Line {line}")
    hands = reader.items(record, "hands", None)
    if not 0 < len(hands) <= MAX_HANDS:
        raise reader.error(f"has {len(hands)} hands; expected 1 to {MAX_HANDS}")
    rule_set = _rule_set(record, reader)
    marks = reader.integers(reader.items(record, "marks", 2), "marks", 0, _MOST_MARKS)
    return RecordedWholeGame(
        line=line,
        rule_set=rule_set,
        hands=tuple(
            _parse_hand(hand, FieldReader(f"Line {line}, hand {number}"), rule_set)
            for number, hand in enumerate(hands, 1)
        ),
        winner=reader.integer(record, "winner_team", 0, 1),
        marks=(marks[0], marks[1]),
    )


def _rule_set(record: dict[str, Any], reader: FieldReader) -> RuleSet:
    """``rules`` as text, or what tables have said without it. Hands end when the record says."""
    try:
        if isinstance(record.get("rules"), str):
            found = RuleSet.from_text(record["rules"])
        else:
            found = RuleSet(
                auction=record.get("auction", "full"),
                all_pass=record.get("allpass", "reshake"),
                target=record.get("target", 7),
                most_reshakes=100,
            )
    except SettingError as error:
        raise reader.error(f"has no rules to play by: {error}") from error
    return replace(found, early_end=False)


def _parse_hand(hand: object, reader: FieldReader, rule_set: RuleSet) -> RecordedHand:
    if not isinstance(hand, dict):
        raise reader.error("is not a JSON object; expected dealer, hands, bids, plays and so on")
    calls = [_pair(call, "bids", reader) for call in reader.items(hand, "bids", None)]
    plays = [] if "decl" not in hand else reader.items(hand, "plays", None)
    if len(calls) > N_SEATS or len(plays) > N_PLIES:
        raise reader.error(f"has {len(calls)} bids and {len(plays)} plays; a hand has 4 and 28")
    marks = reader.integers(reader.items(hand, "marks", 2), "marks", 0, _MOST_MARKS)
    dealt = reader.items(hand, "hands", N_SEATS)
    contracted = hand.get("decl") is not None
    return RecordedHand(
        number=reader.integer(hand, "no", 1, MAX_HANDS),
        shaker=reader.integer(hand, "dealer", 0, N_SEATS - 1),
        hands=tuple(_dominoes(own, reader) for own in dealt),
        calls=tuple((_seat(seat, "bids", reader), _call(call, reader)) for seat, call in calls),
        bidder=reader.integer(hand, "bidder", 0, N_SEATS - 1) if contracted else None,
        decl=_declaration(hand["decl"], reader) if contracted else None,
        plays=tuple(_play(play, reader) for play in plays) if contracted else (),
        ended_early=hand.get("early_end") is True,
        result=_result(hand, reader, rule_set) if contracted else None,
        marks=(marks[0], marks[1]),
    )


def _pair(value: object, key: str, reader: FieldReader) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise reader.error(f"has an entry in '{key}' that is no pair of seat and bid")
    return value


def _seat(value: object, key: str, reader: FieldReader) -> int:
    return reader.integers([value], key, 0, N_SEATS - 1)[0]


def _call(value: object, reader: FieldReader) -> int:
    """A number, or the name of a plunge or splash."""
    if isinstance(value, str):
        try:
            return call_of(value)
        except ValueError as error:
            raise reader.error(f"has a bid that is none: {error}") from error
    return reader.integers([value], "bids", 0, _MOST_CALL)[0]


def _declaration(value: object, reader: FieldReader) -> int:
    """An id, or the name of a declaration or contract of the house."""
    if isinstance(value, str) and value in ALL_DECLARATIONS:
        return ALL_DECLARATIONS.index(value)
    return reader.integers([value], "decl", 0, N_ALL_DECLARATIONS - 1)[0]


def _dominoes(own: object, reader: FieldReader) -> tuple[int, ...]:
    if not isinstance(own, list) or len(own) != HAND_SIZE:
        raise reader.error("has a hand that is not a list of seven dominoes")
    return tuple(_domino(domino, "hands", reader) for domino in own)


def _domino(value: object, key: str, reader: FieldReader) -> int:
    if not isinstance(value, list) or len(value) != 2:
        raise reader.error(f"has a domino in '{key}' that is no pair of two ends")
    high, low = reader.integers(value, key, 0, 6)
    return domino_id(high, low)


def _play(value: object, reader: FieldReader) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 3:
        raise reader.error("has a play that is not seat, high end, low end")
    return _seat(value[0], "plays", reader), _domino(value[1:], "plays", reader)


def _result(hand: dict[str, Any], reader: FieldReader, rule_set: RuleSet) -> HandResult:
    """What the record says that the hand brought; an award is [team, marks], or for points both."""
    points = reader.integers(reader.items(hand, "points", 2), "points", 0, TOTAL_POINTS)
    given = reader.integers(reader.items(hand, "award", 2), "award", 0, _MOST_MARKS)
    if rule_set.scoring == "marks":
        if given[0] > 1:
            raise reader.error(f"has an award for team {given[0]}; teams are 0 and 1")
        given = (0, given[1]) if given[0] else (given[1], 0)
    if not isinstance(hand.get("made"), bool):
        raise reader.error("does not say in 'made' whether the bid was made")
    return HandResult(
        bid=_call(hand.get("bid"), reader),
        bidder=reader.integer(hand, "bidder", 0, N_SEATS - 1),
        decl=_declaration(hand["decl"], reader),
        made=hand["made"],
        points=(points[0], points[1]),
        award=(given[0], given[1]),
    )


#: A whole game in progress, by either twin.
Referee = WholePosition | WholeGame
REFEREES: tuple[tuple[str, Callable[[RuleSet, int], Referee]], ...] = (
    ("Python rules", lambda rule_set, shaker: WholePosition(rule_set, shaker)),
    ("compiled engine", lambda rule_set, shaker: WholeGame(rule_set, shaker=shaker)),
)


def replay_whole_game(game: RecordedWholeGame) -> Difference | None:
    """The first difference between a record and either referee, or None when all is equal.

    Raises RecordingError, naming the line, the hand and the rule, for a deal, call, declaration or
    play that the rules do not allow.
    """
    for name, start in REFEREES:
        referee = start(game.rule_set, game.hands[0].shaker)
        for hand in game.hands:
            try:
                different = _replay_hand(hand, referee)
            except _BROKEN as error:
                raise RecordingError(
                    f"Line {game.line} is illegal by the {name}: {error}."
                ) from error
            if different is not None:
                ply, what, expected, found = different
                return Difference(game.line, ply, name, what, expected, found, hand.number)
        ended: dict[str, tuple[Any, Any]] = {
            "winner": (referee.winner, game.winner),
            "marks": (list(referee.marks), list(game.marks)),
        }
        for what, (expected, found) in ended.items():
            if expected != found:
                return Difference(game.line, None, name, what, expected, found)
    return None


_Different = tuple[int | None, str, Any, Any]


def _replay_hand(hand: RecordedHand, referee: Referee) -> _Different | None:
    """The first difference of one hand: play, what, by the referee, as recorded."""
    for what, expected, found in (
        ("number", referee.hand_number, hand.number),
        ("dealer", referee.shaker, hand.shaker),
    ):
        if expected != found:
            return None, what, expected, found
    referee.deal(hand.hands)
    if referee.rule_set.auction == "full":
        for seat, call in hand.calls:
            if referee.seat not in (seat, None):
                return None, "seat to call", referee.seat, seat
            referee.call(call)
    if hand.result is not None and hand.decl is not None:
        if referee.bidder != hand.bidder:
            return None, "bidder", referee.bidder, hand.bidder
        referee.declare(hand.decl)
        for ply, (seat, domino) in enumerate(hand.plays):
            if referee.seat not in (seat, None):
                return ply, "seat", referee.seat, seat
            referee.play(domino)
        if hand.ended_early:
            referee.end_hand()
    return _compare_result(hand, referee)


def _compare_result(hand: RecordedHand, referee: Referee) -> _Different | None:
    if len(referee.results) != hand.number:
        return None, "the hand is over", False, True
    by_rules = referee.results[-1]
    if (by_rules.bid == 0) != (hand.result is None):
        return None, "thrown in", by_rules.bid == 0, hand.result is None
    for what in ("bid", "points", "made", "award") if hand.result is not None else ():
        expected, found = getattr(by_rules, what), getattr(hand.result, what)
        if expected != found:
            return None, what, _plain(expected), _plain(found)
    if list(referee.marks) != list(hand.marks):
        return None, "marks", list(referee.marks), list(hand.marks)
    return None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
