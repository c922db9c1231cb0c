"""Finished games to training examples, and the constant evaluator."""

from libc.stdint cimport uint8_t

import numpy as np

from zebfast.core.arrays import raw_bytes
from zebfast.core.records import EXAMPLE_DTYPE, GAME_DTYPE, OBS_DTYPE

from zebfast.core.engine cimport ZF_N_PLIES


cdef str _fault(zf_game_fault fault):
    if fault == ZF_GAME_BAD_DEAL:
        return ("is no deal: 28 different dominoes, seven a seat in ascending order, declaration "
                "0..9 and leader 0..3 are needed")
    if fault == ZF_GAME_BAD_CONTRACT:
        return ("has no contract that can be: a bid of 30..48, its bidder of the side that leads, no "
                "call above it")
    if fault == ZF_GAME_BAD_PLAY:
        return "has an illegal play"
    return "gives policy weight to a domino that could not be played"


def games_to_examples(games):
    """28 examples of each finished game, game by game, ply 0 first.

    Args:
        games: GAME_DTYPE [G].

    Returns:
        EXAMPLE_DTYPE [28 G]; value is +1, -1 or 0 for the side of the seat to play, by the
        contract or, where there is none, by points, and
        that side's final points are in the flags.

    Raises:
        ValueError: a game is no legal game; the sentence names it and the rule.
    """
    cdef const uint8_t[::1] raw = raw_bytes(games, GAME_DTYPE, "games")
    out = np.zeros(ZF_N_PLIES * len(games), EXAMPLE_DTYPE)
    cdef uint8_t[::1] o = out.view(np.uint8)
    cdef Py_ssize_t i, n = len(games)
    cdef int ply = 0
    cdef zf_game_fault fault = ZF_GAME_OK
    with nogil:
        for i in range(n):
            fault = zf_game_examples((<zf_example *>&o[0]) + ZF_N_PLIES * i,
                                     (<const zf_game *>&raw[0]) + i, &ply)
            if fault != ZF_GAME_OK:
                break
    if fault != ZF_GAME_OK:
        at = "" if fault in (ZF_GAME_BAD_DEAL, ZF_GAME_BAD_CONTRACT) else f" at play {ply}"
        raise ValueError(f"game {i} {_fault(fault)}{at}")
    return out


def uniform_evaluate(obs, out):
    """The constant evaluator: uniform priors over legal slots, value 0.

    Args:
        obs: OBS_DTYPE [B].
        out: float32 [B, 8], written: seven priors by slot and the value.
    """
    cdef const uint8_t[::1] raw = raw_bytes(obs, OBS_DTYPE, "observations")
    cdef float[:, ::1] o = out
    cdef Py_ssize_t n = len(obs)
    if o.shape[0] != n or o.shape[1] != 8:
        raise ValueError(f"out has shape {out.shape}, not [{n}, 8]")
    if n:
        with nogil:
            zf_uniform_evaluate(&o[0, 0], <const zf_obs *>&raw[0], n)
