"""Players that others have written, as C functions: of any language that makes them.

    function = PROTOTYPE(("my_player", ctypes.CDLL("./my_player.so")))
    policy = PolicyFunction(function, abi=POLICY_ABI)
    dominoes = policy.plays(games, None, bids=30, numbers=range(len(games)), seed=1, run=PolicyRun())

The function is given a record of `VIEW_DTYPE` (csrc/policy.h says what is in it) and a number from 0
to 2**63 - 1, from which it may draw; it answers with a domino, or below 0 with an error code of its
own. The GIL is released while it is called, so it must be safe in several threads at once.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t, uintptr_t

import ctypes

import numpy as np

from zebfast.core.arrays import integers, raw_bytes
from zebfast.core.records import VIEW_DTYPE

from zebfast.core.engine cimport GameBatch, zf_over

#: The number of the record's layout and meaning.
POLICY_ABI = ZF_POLICY_ABI
#: What such a function is to ctypes: of an address, of a library's symbol, or of Python.
PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64)


class IllegalAnswer(ValueError):
    """A policy's answer that is not legal, where something goes on by its answers."""


cdef const uint8_t[::1] _bids(values, Py_ssize_t n):
    bids = integers("bids", values, (n,))
    if n and not 30 <= bids.min() <= bids.max() <= 42:
        raise ValueError("bids run from 30 to 42")
    return np.ascontiguousarray(bids, np.uint8)


cdef const uint64_t[::1] _numbers(values, Py_ssize_t n):
    return np.ascontiguousarray(integers("numbers", values, (n,)).astype(np.uint64))


cdef _expect_unfinished(GameBatch games, const int64_t[::1] rows):
    cdef Py_ssize_t i
    for i in range(rows.shape[0]):
        if zf_over(&games.states[rows[i]]):
            raise ValueError(f"game {rows[i]} is over: no seat is to play")


def views(GameBatch games not None, rows, *, bids):
    """What the seats to play see, VIEW_DTYPE [k].

    Args:
        rows: which games, k in all; None for all.
        bids: 30..42, int [k] or one for all: of the team that led first, where a game has no
            contract.

    ValueError if a listed game is over, or a bid is none.
    """
    cdef const int64_t[::1] r = games._rows(rows)
    cdef const uint8_t[::1] b = _bids(bids, r.shape[0])
    _expect_unfinished(games, r)
    out = np.zeros(r.shape[0], VIEW_DTYPE)
    cdef uint8_t[::1] raw = out.view(np.uint8)
    cdef Py_ssize_t i
    for i in range(r.shape[0]):
        zf_view_of(&(<zf_view *>&raw[0])[i], &games.states[r[i]], b[i])
    return out


cdef class PolicyRun:
    """PolicyRun()

    How far a run of calls is; another thread may look while it goes on.
    """

    def __cinit__(self, *args, **kwargs):  # without parameters it would take any
        if args or kwargs:
            raise TypeError("PolicyRun() takes no arguments")

    @property
    def calls(self):
        """Calls that were answered."""
        return self.run.calls

    @property
    def at(self):
        """The place, among what the run is about, that was asked about last."""
        return self.run.at

    @property
    def answer(self):
        """The last answer that could not be used."""
        return self.run.answer


cdef class PolicyFunction:
    """PolicyFunction(function, *, abi, replaces=False)

    A player by a C function.

    Args:
        function: an instance of PROTOTYPE; whoever makes one of an address vouches for it.
        abi: the ABI that it was written for. ValueError for any but POLICY_ABI.
        replaces: an answer that is not a legal domino is replaced by the lowest one, and counted;
            otherwise it ends what it is asked in. Twin: the plain functions
            of `zebfast.arena.policies.asking.Asked`.
    """

    def __cinit__(self, function, *, abi, replaces=False):
        if not isinstance(function, PROTOTYPE) or not function:
            raise TypeError(f"a policy is a function of PROTOTYPE, not {type(function).__name__}")
        if abi != POLICY_ABI:
            raise ValueError(
                f"the policy was compiled for ABI {abi}, and this zebfast has {POLICY_ABI}: "
                "compile it again")
        address = ctypes.cast(function, ctypes.c_void_p).value
        self.player.answer = <zf_policy><uintptr_t>address
        self.player.replaces = bool(replaces)
        self.player.replaced = 0
        self.function = function  # kept, with what it is of

    @property
    def replaces(self):
        """As it was made."""
        return bool(self.player.replaces)

    @property
    def replaced(self):
        """Answers that were replaced since."""
        return self.player.replaced

    def plays(self, GameBatch games not None, rows, *, bids, numbers, seed, stream, PolicyRun run not None):
        """One legal domino for each listed game, uint8 [k]; where there is but one, it is not asked.

        Args:
            rows, bids: as in `views`.
            numbers: of the games, int [k] or one for all: the random number of a play is draw
                n_plays of (seed, stream, number), less its lowest bit.
            run: says how far it is, from another thread.

        Returns:
            None where an answer is not legal: run.at is its place in rows.

        ValueError as in `views`.
        """
        cdef const int64_t[::1] r = games._rows(rows)
        cdef const uint8_t[::1] b = _bids(bids, r.shape[0])
        cdef const uint64_t[::1] g = _numbers(numbers, r.shape[0])
        cdef zf_policy_asking asking
        cdef zf_policy_player player = self.player
        cdef bint well
        _expect_unfinished(games, r)
        out = np.empty(r.shape[0], np.uint8)
        cdef uint8_t[::1] o = out
        if not r.shape[0]:
            return out
        asking.bids, asking.games = &b[0], &g[0]
        asking.seed, asking.stream = seed & 0xFFFFFFFFFFFFFFFF, stream
        player.replaced = 0
        with nogil:
            well = zf_policy_plays(&player, games.states, &r[0], r.shape[0], &asking, &o[0],
                                   &run.run)
        self.player.replaced += player.replaced
        return out if well else None

    def answers(self, views, randoms, *, PolicyRun run not None):
        """Its answers to views VIEW_DTYPE [k] with numbers int64 [k], whatever they say: int32 [k].

        ValueError for other records, or numbers below 0.
        """
        cdef const uint8_t[::1] raw = raw_bytes(views, VIEW_DTYPE, "views")
        cdef const int64_t[::1] drawn = np.ascontiguousarray(
            integers("randoms", randoms, (len(views),)), np.int64)
        if drawn.shape[0] and np.asarray(drawn).min() < 0:
            raise ValueError("random numbers run from 0 to 2**63 - 1")
        out = np.empty(len(views), np.int32)
        cdef int32_t[::1] o = out
        if drawn.shape[0]:
            with nogil:
                zf_policy_answers(self.player.answer, <const zf_view *>&raw[0], &drawn[0],
                                  drawn.shape[0], &o[0], &run.run)
        return out


def random_policy():
    """A PolicyFunction of the core's own that plays any legal domino, all equally likely."""
    address = <uintptr_t>&zf_policy_random
    return PolicyFunction(PROTOTYPE(address), abi=POLICY_ABI)


def play_out(PolicyFunction first not None, PolicyFunction second not None,
             GameBatch games not None, *, first_team, bids, numbers, seed, stream,
             PolicyRun run not None):
    """Play n games to their ends, all in C: the first policy for a team of each, the second for the other.

    Args:
        first_team: 0 or 1, int [n] or one for all.
        bids, numbers, seed, stream, run: as in `PolicyFunction.plays`.

    Returns:
        False where an answer is not legal: run.at is its game, which stands where it was given.

    ValueError for another team, or a bid that is none.
    """
    cdef Py_ssize_t n = games.size
    cdef const uint8_t[::1] b = _bids(bids, n)
    cdef const uint64_t[::1] g = _numbers(numbers, n)
    teams = integers("first_team", first_team, (n,))
    if n and not 0 <= teams.min() <= teams.max() <= 1:
        raise ValueError("teams are 0 and 1")
    cdef const uint8_t[::1] t = np.ascontiguousarray(teams, np.uint8)
    cdef zf_policy_asking asking
    cdef zf_policy_player players[2]
    cdef bint well
    if not n:
        return True
    asking.bids, asking.games = &b[0], &g[0]
    asking.seed, asking.stream = seed & 0xFFFFFFFFFFFFFFFF, stream
    players[0], players[1] = first.player, second.player
    players[0].replaced = players[1].replaced = 0
    with nogil:
        well = zf_policy_games(players, games.states, n, &t[0], &asking, &run.run)
    first.player.replaced += players[0].replaced
    second.player.replaced += players[1].replaced
    return bool(well)
