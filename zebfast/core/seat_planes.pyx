"""What one seat knows, and what it may do, as small numbers in fixed places: for networks and
environments of others."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

import numpy as np

from zebfast.core.arrays import integers
from zebfast.rules import (
    N_ALL_DECLARATIONS,
    N_DOMINOES,
    N_SEATS,
    N_TRICKS,
    SPLASH_BIT,
)

from zebfast.core.engine cimport ZF_N_DOMINOES, Game, GameBatch
from zebfast.core.whole_game cimport WholeGame
from zebfast.core.whole_game_batch cimport WholeGameBatch

#: Numbers of a whole game's actions: dominoes 0..27, then calls by their places in a mask (`CALLS`,
#: plunge, splash) from here on,
WHOLE_FIRST_CALL = ZF_A_CALL
#: then declarations, those of house contracts included:
WHOLE_FIRST_DECLARATION = ZF_A_DECL
#: 65 in all.
N_WHOLE_ACTIONS = ZF_A_SIZE

#: First place and shape of each group of the planes of a hand: 340 numbers. Where there are four
#: rows they are of the observer, the seat on its left, its partner and the seat on its right.
HAND_PLANES = {
    "held": (ZF_P_HELD, (N_DOMINOES,)),
    "dealt": (ZF_P_DEALT, (N_DOMINOES,)),
    "played": (ZF_P_PLAYED, (N_SEATS, N_DOMINOES)),
    "table": (ZF_P_TABLE, (N_SEATS, N_DOMINOES)),
    "when": (ZF_P_WHEN, (N_DOMINOES,)),  # number of the play, from 1; 0 where not played
    "decl": (ZF_P_DECL, (N_ALL_DECLARATIONS,)),
    "leader": (ZF_P_LEADER, (N_SEATS,)),  # of the trick; of none after the last
    "to_act": (ZF_P_TO_ACT, (N_SEATS,)),
    "trick": (ZF_P_TRICK, (N_TRICKS,)),
    "points": (ZF_P_POINTS, (2,)),  # of the observer's side and of the other, 0..42
}

#: The same of a whole game: 442 numbers, those of the hand first.
WHOLE_PLANES = HAND_PLANES | {
    "phase": (ZF_P_PHASE, (3,)),  # call, declare, play
    "calls": (ZF_P_CALLS, (N_SEATS, SPLASH_BIT + 1)),
    "bidder": (ZF_P_BIDDER, (N_SEATS,)),  # of the standing bid
    "shaker": (ZF_P_SHAKER, (N_SEATS,)),
    "stake": (ZF_P_STAKE, (1,)),  # marks of the standing bid; 0 where it is for points
    "marks": (ZF_P_MARKS, (2,)),  # of the observer's side and of the other; at most 255
}
N_HAND_PLANES = ZF_P_HAND_SIZE
N_WHOLE_PLANES = ZF_P_WHOLE_SIZE


def planes(game, Py_ssize_t seat):
    """What a seat knows of a Game or WholeGame, uint8 [340] or [442], by `HAND_PLANES` or
    `WHOLE_PLANES`; whoever is to act. Games that differ only in what it cannot see give the same.

    Raises:
        TypeError: it is neither.
        ValueError: there is no such seat.
    """
    cdef uint8_t[::1] o
    if not 0 <= seat < 4:
        raise ValueError(f"seat {seat}: seats run from 0 to 3")
    if isinstance(game, Game):
        out = np.empty(ZF_P_HAND_SIZE, np.uint8)
        o = out
        zf_hand_planes(&o[0], &(<Game>game).state, <uint32_t>seat)
    elif isinstance(game, WholeGame):
        out = np.empty(ZF_P_WHOLE_SIZE, np.uint8)
        o = out
        zf_whole_planes(&o[0], &(<WholeGame>game).state, <uint32_t>seat)
    else:
        raise _no_game(game)
    return out


def batch_planes(games, seats, rows=None):
    """The same of a GameBatch or WholeGameBatch, uint8 [k, 340] or [k, 442], for a seat of each.

    Args:
        games: the batch.
        seats: integer [k], or one for all.
        rows: int [k] or bool [n], as everywhere; all games by default.

    Raises:
        IndexError: a row is outside of the batch.
        TypeError: it is no batch, or seats are no whole numbers.
        ValueError: there is no such seat.
    """
    cdef const int64_t[::1] r = _rows_of(games, rows), s
    cdef GameBatch hands
    cdef WholeGameBatch wholes
    cdef uint8_t[:, ::1] o
    cdef Py_ssize_t i
    s = np.ascontiguousarray(integers("seats", seats, (r.shape[0],)), np.int64)
    for i in range(s.shape[0]):
        if not 0 <= s[i] < 4:
            raise ValueError(f"seat {s[i]}: seats run from 0 to 3")
    if isinstance(games, GameBatch):
        hands, out = games, np.empty((r.shape[0], ZF_P_HAND_SIZE), np.uint8)
        o = out
        with nogil:
            for i in range(r.shape[0]):
                zf_hand_planes(&o[i, 0], &hands.states[r[i]], <uint32_t>s[i])
    else:
        wholes, out = games, np.empty((r.shape[0], ZF_P_WHOLE_SIZE), np.uint8)
        o = out
        with nogil:
            for i in range(r.shape[0]):
                zf_whole_planes(&o[i, 0], &wholes.states[r[i]], <uint32_t>s[i])
    return out


def action_mask(game):
    """What the seat to act may do, int8 [28] of a Game by dominoes, int8 [65] of a WholeGame by
    `N_WHOLE_ACTIONS`: 1 for each legal action, all zeros when it is over.

    Raises TypeError if it is neither.
    """
    cdef uint8_t[::1] o
    if isinstance(game, Game):
        out = np.empty(ZF_N_DOMINOES, np.uint8)
        o = out
        zf_hand_mask(&o[0], &(<Game>game).state)
    elif isinstance(game, WholeGame):
        out = np.empty(ZF_A_SIZE, np.uint8)
        o = out
        zf_whole_mask(&o[0], &(<WholeGame>game).state, &(<WholeGame>game).rules)
    else:
        raise _no_game(game)
    return out.view(np.int8)


def action_masks(games, rows=None):
    """The same of a GameBatch, int8 [k, 28], or a WholeGameBatch, int8 [k, 65].

    Raises IndexError for a row outside of the batch, TypeError if it is none.
    """
    cdef const int64_t[::1] r = _rows_of(games, rows)
    cdef GameBatch hands
    cdef WholeGameBatch wholes
    cdef uint8_t[:, ::1] o
    cdef Py_ssize_t i
    if isinstance(games, GameBatch):
        hands, out = games, np.empty((r.shape[0], ZF_N_DOMINOES), np.uint8)
        o = out
        with nogil:
            for i in range(r.shape[0]):
                zf_hand_mask(&o[i, 0], &hands.states[r[i]])
    else:
        wholes, out = games, np.empty((r.shape[0], ZF_A_SIZE), np.uint8)
        o = out
        with nogil:
            for i in range(r.shape[0]):
                zf_whole_mask(&o[i, 0], &wholes.states[r[i]], &wholes.rules)
    return out.view(np.int8)


cdef const int64_t[::1] _rows_of(object games, object rows):
    """Rows of a batch of either kind, int64 [k]."""
    if isinstance(games, GameBatch):
        return (<GameBatch>games)._rows(rows)
    if isinstance(games, WholeGameBatch):
        return (<WholeGameBatch>games)._rows(rows)
    raise TypeError(f"a GameBatch or WholeGameBatch is needed, not {type(games).__name__}")


cdef _no_game(game):
    return TypeError(f"a Game or a WholeGame is needed, not {type(game).__name__}")
