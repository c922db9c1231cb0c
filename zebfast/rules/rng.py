"""Counter-based random numbers: (seed, stream, game, index) -> 64 bits, the same here and in C.

SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): a 64-bit mixing function over a counter. Nothing is
stored and nothing is consumed, so results do not depend on threads, batches or order of play.
"""

from __future__ import annotations

from enum import IntEnum

from zebfast.rules.tiles import HAND_SIZE, N_DECLARATIONS, N_DOMINOES, N_SEATS

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_GAME = 0xD1342543DE82EF95  # another odd constant: seed and game must not be interchangeable


class Stream(IntEnum):
    """Independent streams of one seed; an evaluation never sees a training deal's numbers."""

    DEAL = 0
    PLAY = 1
    NOISE = 2
    EVAL_DEAL = 3
    EVAL_PLAY = 4
    WORLDS = 5
    EVAL_WORLDS = 6
    LABEL_DEAL = 7
    GUMBEL = 8
    CAP = 9
    LOOK = 10
    WHOLE_DEAL = 11
    WHOLE_PLAY = 12
    AUCTION = 13


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def stream_key(seed: int, stream: int, game: int) -> int:
    """Key of one game's stream; ``seed`` and ``game`` are taken modulo 2**64."""
    own = _mix((seed + _GOLDEN * (stream + 1)) & _MASK)
    return _mix((own + _GAME * game) & _MASK)


def bits(key: int, index: int) -> int:
    """The ``index``-th 64-bit number of a stream."""
    return _mix((key + _GOLDEN * (index + 1)) & _MASK)


def bounded(key: int, index: int, n: int) -> int:
    """A number in 0..n-1 from the ``index``-th draw (multiply-high; bias below n / 2**64)."""
    return (bits(key, index) * n) >> 64


def deal(seed: int, game: int, stream: int = Stream.DEAL) -> tuple[list[list[int]], int, int]:
    """Hands (four ascending lists), declaration 0..9 and leader 0..3 of one random game.

    Fisher-Yates from the top with draws 0..26, seven consecutive dominoes a seat; draw 27 is the
    declaration, draw 28 the leader.
    """
    key = stream_key(seed, stream, game)
    order = list(range(N_DOMINOES))
    last = N_DOMINOES - 1
    for i in range(last, 0, -1):
        j = bounded(key, last - i, i + 1)
        order[i], order[j] = order[j], order[i]
    hands = [sorted(order[HAND_SIZE * s : HAND_SIZE * (s + 1)]) for s in range(N_SEATS)]
    return hands, bounded(key, last, N_DECLARATIONS), bounded(key, last + 1, N_SEATS)


def whole_game_seed(seed: int, game: int, hand: int) -> int:
    """Seed whose deal 0 is hand ``hand``, from 1, of a whole game: paired games deal the same."""
    return bits(stream_key(seed, Stream.WHOLE_DEAL, game), hand)


def first_shaker(seed: int, game: int) -> int:
    """Seat that shakes the first hand of a whole game: draw 0 of its stream of deals."""
    return bounded(stream_key(seed, Stream.WHOLE_DEAL, game), 0, N_SEATS)
