"""The player by a user's policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from zebfast.arena.pairs import Bids, Dominoes, Finish, PlayRng, Rows
from zebfast.arena.players.base import RandomPlayer
from zebfast.arena.policies.asking import Asked, finish_games
from zebfast.core.engine import GameBatch


@dataclass(frozen=True, eq=False)
class PolicyPlayer:
    """Plays what a policy answers; one random number a play, and none where a play is forced."""

    name: str
    asked: Asked

    @property
    def illegal(self) -> int:
        """Answers that were not legal, and were replaced."""
        return self.asked.replaced

    def choose(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        """See Player.choose. Raises PolicyError where an answer is not legal."""
        return self.asked.plays(batch, rows, rng, bids)


def finishing(player_a: object, player_b: object) -> Finish | None:
    """What plays games of these two to their ends in one call, if both are in C: compiled
    policies, or the random player."""
    one, other = _in_c(player_a), _in_c(player_b)
    return None if one is None or other is None else partial(finish_games, one, other)


def _in_c(player: object) -> Asked | None:
    if isinstance(player, PolicyPlayer):
        return None if player.asked.function is None else player.asked
    return Asked.random() if type(player) is RandomPlayer else None
