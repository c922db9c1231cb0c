"""A whole game, decision by decision, and as a record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zebfast.arena.io.whole_games import RecordedWholeGame
from zebfast.arena.table.record import record_of_game
from zebfast.core.whole_game import WholeGame
from zebfast.rules import game_from_text


@dataclass(frozen=True)
class Step:
    """One decision.

    Attributes:
        hand: number of the hand, from 1.
        phase: ``call``, ``declare`` or ``play``.
        seat: who decided.
        value: what: a call, declaration or domino.
        before: the game as it stood; the next step changes it.
    """

    hand: int
    phase: str
    seat: int
    value: int
    before: WholeGame


def steps(game: WholeGame) -> Iterator[Step]:
    """The decisions of a game in their order."""
    rule_set, hands = game_from_text(str(game))
    now = WholeGame(rule_set, shaker=hands[0].shaker)
    for number, hand in enumerate(hands, 1):
        if hand.hands is None:
            return
        now.deal(hand.hands)
        calls = [] if rule_set.auction == "drop30" else hand.calls
        declared = [] if hand.decl is None else [hand.decl]
        for phase, values in (("call", calls), ("declare", declared), ("play", hand.dominoes)):
            for value in values:
                assert now.seat is not None
                yield Step(number, phase, now.seat, value, now)
                getattr(now, phase)(value)
        if hand.ended:
            now.end_hand()


def finished_hands(game: WholeGame) -> WholeGame:
    """The game up to its last hand that is over: what may be shown to everybody."""
    if game.phase in ("deal", "over"):
        return game
    rule_set, hands = game_from_text(str(game))
    return _replayed(WholeGame(rule_set, shaker=hands[0].shaker), hands[: len(game.results)])


def _replayed(game: WholeGame, hands: Any) -> WholeGame:
    for hand in hands:
        game.deal(hand.hands)
        for call in [] if game.rule_set.auction == "drop30" else hand.calls:
            game.call(call)
        if hand.decl is not None:
            game.declare(hand.decl)
        for domino in hand.dominoes:
            game.play(domino)
        if hand.ended:
            game.end_hand()
    return game


def game_record(game: WholeGame, players: Sequence[str]) -> dict[str, Any]:
    """A game that is over, of these four players, as a record that `zebfast replay` reads."""
    plays: list[list[tuple[int, int]]] = [[] for _ in game.results]
    for step in steps(game):
        if step.phase == "play":
            plays[step.hand - 1].append((step.seat, step.value))
    return record_of_game(game, plays, players)


def game_of_record(recorded: RecordedWholeGame) -> WholeGame:
    """The game of a record, which a referee has found right (`replay_whole_game`)."""
    game = WholeGame(recorded.rule_set, shaker=recorded.hands[0].shaker)
    for hand in recorded.hands:
        game.deal(hand.hands)
        for _, call in hand.calls if recorded.rule_set.auction == "full" else ():
            game.call(call)
        if hand.decl is not None:
            game.declare(hand.decl)
        for _, domino in hand.plays:
            game.play(domino)
        if hand.ended_early and game.phase == "play":
            game.end_hand()
    return game
