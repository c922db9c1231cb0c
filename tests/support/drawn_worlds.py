"""Worlds of a plain-Python position, as a search draws them.

Layouts come from the compiled sampler, which has a twin of its own; which ones, and in which order,
is worked out here.
"""

from __future__ import annotations

import copy

import numpy as np

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.records import contract_record
from zebfast.core.worlds import WorldSet
from zebfast.rules import Position, Stream


def batch_of(position: Position) -> GameBatch:
    """The same game, compiled."""
    leader = position.plays[0][0] if position.plays else position.leader
    contract = contract_record(position.contract)
    batch = GameBatch([position.dealt], [position.decl], [leader], contracts=contract)
    for _, domino in position.plays:
        batch.play([domino])
    return batch


def laid_out(position: Position, hands: np.ndarray) -> Position:
    """The same game with other hands, uint32 [4] masks of the dominoes still held."""
    world = copy.deepcopy(position)
    for seat in range(4):
        world.hands[seat] = [d for d in range(28) if int(hands[seat]) >> d & 1]
        played = [d for player, d in position.plays if player == seat]
        world.dealt[seat] = sorted(world.hands[seat] + played)
    return world


def draw_worlds(
    position: Position, n: int, *, seed: int, game: int, stream: int = Stream.WORLDS
) -> list[Position]:
    """n worlds of the seat to play, or all of them in random order where there are no more."""
    worlds = WorldSet(batch_of(position), 0)
    key, first = rules.stream_key(seed, stream, game), len(position.plays) << 32
    if worlds.count <= n:
        ranks = list(range(worlds.count))
        for i in range(len(ranks)):
            j = i + rules.bounded(key, first + i, len(ranks) - i)
            ranks[i], ranks[j] = ranks[j], ranks[i]
    else:
        ranks = [rules.bounded(key, first + i, worlds.count) for i in range(n)]
    hands = worlds.unrank(np.array(ranks, np.uint64))
    return [laid_out(position, row) for row in hands]
