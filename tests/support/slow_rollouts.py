"""The twin of csrc/rollouts.c and of the rollouts on it: one game at a time, by the plain rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from slow_contract import outcome
from slow_solver import SlowSolver

from zebfast import rules
from zebfast.core.engine import Game

#: A network: OBS_DTYPE[1] -> float32[1, 8].
Evaluate = Callable[[np.ndarray], NDArray[np.float32]]


@dataclass(frozen=True)
class Opponents:
    """Seats of a side, which play in some other way than the network."""

    side: int
    play: Callable[[rules.Position], int]


def favourite(position: rules.Position, evaluate: Evaluate) -> int:
    """The legal domino of the largest prior, the lowest among equals."""
    priors = evaluate(_seen(position))[0, :7].tolist()
    dealt = position.dealt[position.to_play]
    return max(position.legal(), key=lambda d: (priors[dealt.index(d)], -d))


def _seen(position: rules.Position) -> np.ndarray:
    """What the seat to play sees, OBS_DTYPE[1]."""
    leader = position.plays[0][0] if position.plays else position.to_play
    game = Game(position.dealt, position.decl, leader, contract=position.contract)
    for _, domino in position.plays:
        game.play(domino)
    return np.array([game.observation()])


def play_on(
    position: rules.Position, until: int, evaluate: Evaluate, opponents: Opponents | None = None
) -> int:
    """Play favourites until so many plays are made; how often the network was asked."""
    asked = 0
    while len(position.plays) < until:
        legal = position.legal()
        if len(legal) == 1:
            position.play(legal[0])
        elif opponents is not None and position.to_play % 2 == opponents.side:
            position.play(opponents.play(position))
        else:
            asked += 1
            position.play(favourite(position, evaluate))
    return asked


def copied(position: rules.Position) -> rules.Position:
    """The same game, every play made, and checked, again."""
    leader = position.plays[0][0] if position.plays else position.to_play
    other = rules.Position(position.dealt, position.decl, leader)
    other.contract = position.contract
    for _, domino in position.plays:
        other.play(domino)
    return other


def margin(
    position: rules.Position, domino: int, until: int, evaluate: Evaluate, solver: SlowSolver,
    opponents: Opponents | None = None,
) -> int:  # fmt: skip
    """Final points of the side to play less the other's: a play, favourites, best play at last."""
    game = copied(position)
    game.play(domino)
    play_on(game, until, evaluate, opponents)
    return _ahead(game, position.to_play, solver)


def valued(
    position: rules.Position,
    domino: int,
    since: int,
    until: int,
    evaluate: Evaluate,
    solver: SlowSolver,
    opponents: Opponents | None = None,
) -> float:
    """The network's value of the first choice of the seat to play after so many plays.

    If it has none before `until`, who wins from there on by best play: 1, 0, -1.
    """
    player, game = position.to_play, copied(position)
    game.play(domino)
    while len(game.plays) < until:
        if game.to_play == player and len(game.plays) >= since and len(game.legal()) > 1:
            return float(evaluate(_seen(game))[0, 7])
        play_on(game, len(game.plays) + 1, evaluate, opponents)
    return float(won(game, player, _ahead(game, player, solver)))


def won(game: rules.Position, player: int, ahead: int) -> int:
    """1 where the player's side, so far ahead in the end, gets its way, -1 where the other does."""
    team0 = (42 - ahead) // 2 if player % 2 else (42 + ahead) // 2
    return outcome(game, team0) * (-1 if player % 2 else 1)


def _ahead(game: rules.Position, player: int, solver: SlowSolver) -> int:
    """Final points of the player's side less the other's, by best play from here on."""
    side = player % 2
    hands = tuple(sum(1 << d for d in hand) for hand in game.hands)
    leader = (game.to_play - len(game.trick)) % 4
    table = tuple(game.trick)
    to_come = solver.value(hands, leader, table)  # type: ignore[arg-type]
    ahead = game.points[0] - game.points[1] + to_come
    return -ahead if side else ahead
