"""A hand or a whole game as an environment has it: numbered actions, planes, rewards to seats.

Rewards are zero-sum over the four seats, and partners have the same.
"""

from __future__ import annotations

import secrets
from operator import index
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.payoffs import PAYOFFS, check_payoff, payoff
from zebfast.core.engine import Game
from zebfast.core.seat_planes import (
    N_HAND_PLANES,
    N_WHOLE_ACTIONS,
    N_WHOLE_PLANES,
    WHOLE_FIRST_CALL,
    WHOLE_FIRST_DECLARATION,
    action_mask,
    planes,
)
from zebfast.core.whole_game import WholeGame
from zebfast.rules import (
    ALL_DECLARATIONS,
    CALLS,
    N_DOMINOES,
    N_SEATS,
    PLUNGE_BIT,
    RuleSet,
    domino_name,
)

SEATS = tuple(f"seat_{seat}" for seat in range(N_SEATS))


def seat_number(name: str) -> int:
    """The seat 0..3 of an agent's name. KeyError for any other name."""
    try:
        return SEATS.index(name)
    except ValueError:
        raise KeyError(f"{name!r} is no seat: they are {', '.join(SEATS)}") from None


class Table:
    """One game after another. A seed and a number deal each, as everywhere in zebfast.

    Attributes:
        REWARDS: what rewards may count.
        n_actions, n_planes: how many actions are numbered, how many numbers a seat sees.
        rewards: what they count here.
        game: what is played; None before the first deal.
    """

    REWARDS: ClassVar[tuple[str, ...]]
    n_actions: ClassVar[int]
    n_planes: ClassVar[int]
    rewards: str
    game: Any

    def __init__(self, rewards: str) -> None:
        """Raises ValueError for rewards that there are not."""
        if rewards not in self.REWARDS:
            raise ValueError(f"rewards={rewards!r}: expected one of {', '.join(self.REWARDS)}")
        self.rewards = rewards
        self.game = None
        self._seed: int | None = None
        self._number = -1

    def deal(self, seed: int | None, text: str | None = None) -> None:
        """Game 0 of a seed, or without one the next game of the same.

        Where there is no seed yet, one is drawn from the system's randomness. With the text form of
        a game that is not over, that one is gone on with. Raises what `from_text` does, ValueError
        for a game that is over, and then nothing has changed.
        """
        number = 0 if seed is not None else self._number + 1
        seed = index(seed) if seed is not None else self._seed
        if seed is None:
            seed = secrets.randbits(63)
        game = self._dealt(seed, number) if text is None else self._read(text, seed, number)
        if game.over:
            raise ValueError("the game of the text is over: nobody is to act in it")
        self._seed, self._number, self.game = seed, number, game

    def _dealt(self, seed: int, number: int) -> Any:
        raise NotImplementedError

    def _read(self, text: str, seed: int, number: int) -> Any:
        raise NotImplementedError

    @property
    def seat(self) -> int:
        """The seat to act; of a game that is over any."""
        raise NotImplementedError

    def act(self, action: int) -> int:
        """Do one thing. What it earns the side of seats 0 and 2; the other side loses as much.

        Raises IllegalPlay, IllegalCall, IllegalDeclaration, WrongPhase or ValueError, and nothing
        is done.
        """
        raise NotImplementedError

    def planes(self, seat: int) -> NDArray[np.uint8]:
        """What a seat knows, uint8 [n_planes]."""
        return planes(self.game, seat)

    def mask(self) -> NDArray[np.int8]:
        """What the seat to act may do, int8 [n_actions]."""
        return action_mask(self.game)

    def action_name(self, action: int) -> str:
        """What a number stands for, in words."""
        raise NotImplementedError


class HandTable(Table):
    """Hands of straight 42, without an auction: declaration and leader are dealt with the dominoes.

    Rewards are "points" (each trick's, as it is taken), "win" (1 for more than 21 points, -1 for
    fewer) or "contract" (1 for the side that led first if it has at least ``bid`` points, else -1).
    """

    REWARDS = PAYOFFS
    n_actions = N_DOMINOES
    n_planes = N_HAND_PLANES
    game: Game

    def __init__(self, rewards: str = "points", bid: int = 30) -> None:
        """Raises ValueError for other rewards or a bid outside of 30..42."""
        check_payoff(rewards, bid)
        super().__init__(rewards)
        self._bid = bid

    def _dealt(self, seed: int, number: int) -> Game:
        return Game.deal(seed, number)

    def _read(self, text: str, seed: int, number: int) -> Game:
        return Game.from_text(text)

    @property
    def seat(self) -> int:
        """See Table.seat."""
        return self.game.to_play

    def act(self, action: int) -> int:
        """See Table.act: a domino is played."""
        game = self.game
        if self.rewards == "points":
            before, others_before = game.points
            game.play(action)
            points, others = game.points
            return (points - before) - (others - others_before)
        game.play(action)
        if not game.over:
            return 0
        points, others = game.points
        earned = payoff(
            self.rewards, self._bid, points=points, others=others, leader=game.leader
        )  # fmt: skip
        return int(earned)

    def action_name(self, action: int) -> str:
        """See Table.action_name."""
        return domino_name(action)


class WholeTable(Table):
    """Whole games: auction, declaration and play, hand after hand.

    Rewards are "marks" (what each hand is awarded, as it ends; points in a game for points) or
    "game" (1 for the side that wins the game, -1 for the other). Actions are dominoes 0..27, then
    calls in the order of `CALLS`, plunge and splash, then declarations.
    """

    REWARDS = ("marks", "game")
    n_actions = N_WHOLE_ACTIONS
    n_planes = N_WHOLE_PLANES
    game: WholeGame

    def __init__(self, rewards: str = "marks", rule_set: RuleSet | None = None) -> None:
        """Straight tournament rules if rule_set is None. Raises ValueError for other rewards."""
        super().__init__(rewards)
        self._rule_set = rule_set or RuleSet()

    def _dealt(self, seed: int, number: int) -> WholeGame:
        return WholeGame(self._rule_set, seed=seed, game=number)

    def _read(self, text: str, seed: int, number: int) -> WholeGame:
        game = WholeGame.from_text(text, seed=seed, game=number)
        if game.rule_set != self._rule_set:
            raise ValueError("the game of the text is played by other rules than the environment")
        return game

    @property
    def seat(self) -> int:
        """See Table.seat."""
        seat = self.game.seat
        return 0 if seat is None else seat

    def act(self, action: int) -> int:
        """See Table.act."""
        game = self.game
        before, others_before = game.marks
        # What belongs to another phase is refused by the method of its own.
        if not 0 <= action < N_WHOLE_ACTIONS:
            raise ValueError(f"action {action}: they run from 0 to {N_WHOLE_ACTIONS - 1}")
        if action < WHOLE_FIRST_CALL:
            game.play(action)
        elif action >= WHOLE_FIRST_DECLARATION:
            game.declare(action - WHOLE_FIRST_DECLARATION)
        elif game.phase == "call":
            game.act(action - WHOLE_FIRST_CALL)
        else:
            game.call(CALLS[0])
        if self.rewards == "game":
            return 0 if game.winner is None else 1 - 2 * game.winner
        marks, others = game.marks
        return (marks - before) - (others - others_before)

    def action_name(self, action: int) -> str:
        """See Table.action_name."""
        if action < WHOLE_FIRST_CALL:
            return domino_name(action)
        if action >= WHOLE_FIRST_DECLARATION:
            return f"declare {ALL_DECLARATIONS[action - WHOLE_FIRST_DECLARATION]}"
        bit = action - WHOLE_FIRST_CALL
        if bit >= PLUNGE_BIT:
            return ("plunge", "splash")[bit - PLUNGE_BIT]
        return "pass" if bit == 0 else f"bid {CALLS[bit]}"
