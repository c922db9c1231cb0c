"""Exact values of positions with all hands open, by the compiled solver.

Double dummy, as players of bridge say: what each side takes when all four seats see everything and
play their best.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int8_t, uint8_t, uint64_t

import numpy as np

from zebfast.core.arrays import integers
from zebfast.core.records import POSITION_DTYPE
from zebfast.rules import BadNotation, domino_name, from_line, led_suit, to_line

from zebfast.core.engine cimport ZF_N_DOMINOES, ZF_N_SEATS, ZF_TOTAL_POINTS, dominoes_of

#: What play_values holds for a domino that may not be played.
NO_PLAY = -128

# Work between two looks for a signal, in nodes: some tens of milliseconds.
cdef enum:
    NODES_BETWEEN_LOOKS = 1 << 20
    NODES_OF_A_CALL = 16  # what the call itself costs

cdef enum:
    VALUE, AT_LEAST, PLAY_VALUES


class ImpossiblePosition(ValueError):
    """A position that no game can come to; the message is "position ROW: RULE".

    row is its place in the array; rule is a clause that names the rule it breaks.
    """

    row = -1
    rule = ""


class SolverInterrupted(Exception):
    """A solver's call ended early because another thread asked for it."""


def as_positions(positions):
    """The array as contiguous POSITION_DTYPE [n]. TypeError for anything else."""
    array = np.asarray(positions)
    if array.dtype != POSITION_DTYPE or array.ndim != 1:
        raise TypeError(
            f"positions must be a one-dimensional array of POSITION_DTYPE, not {array.ndim} "
            f"dimensions of {array.dtype}")
    return np.ascontiguousarray(array)


cdef str _table_sentence(const zf_position *p):
    if p.n_table > 3:
        return f"{p.n_table} dominoes are on the table; a trick is finished with the fourth"
    bad = next(p.table[i] for i in range(p.n_table) if p.table[i] > 27)
    return f"domino {bad} is on the table; ids run from 0 to 27"


cdef str _sizes_sentence(const zf_position *p, int seat):
    """Which size the seat's hand should have, by what the other hands say."""
    held = [bin(p.hand[i]).count("1") for i in range(ZF_N_SEATS)]
    played = [((i - p.leader) & 3) < p.n_table for i in range(ZF_N_SEATS)]
    votes = [h + t for h, t in zip(held, played)]
    least = 1 if p.n_table else 0
    tricks = max(range(least, 8), key=lambda n: (votes.count(n), n))
    done = "has played" if played[seat] else "has not played"
    where = f" and it {done} to the one on the table" if p.n_table else ""
    unfinished = "1 trick is" if tricks == 1 else f"{tricks} tricks are"
    things = "domino" if held[seat] == 1 else "dominoes"
    return (f"seat {seat} holds {held[seat]} {things} but should hold "
            f"{tricks - played[seat]}: {unfinished} unfinished{where}")


cdef str _sentence(const zf_position *p, zf_position_fault fault, int seat, int domino):
    """What is wrong with a position, in words."""
    if fault == ZF_POSITION_BAD_DECL:
        return f"declaration {p.decl}: ids run from 0 to 9"
    if fault == ZF_POSITION_BAD_LEADER:
        return f"leader {p.leader}: seats run from 0 to 3"
    if fault == ZF_POSITION_BAD_TABLE:
        return _table_sentence(p)
    if fault == ZF_POSITION_BAD_DOMINO:
        return f"seat {seat} holds a domino above 27: ids run from 0 to 27"
    if fault == ZF_POSITION_TWICE:
        return f"{domino_name(domino)} is in two places"
    if fault == ZF_POSITION_BAD_SIZES:
        return _sizes_sentence(p, seat)
    mask = p.hand[seat] & zf_follow[p.decl][led_suit(p.table[0], p.decl)]
    held = " and ".join(domino_name(d) for d in dominoes_of(mask))
    return (f"seat {seat} played {domino_name(domino)} although it holds {held} of the led suit: "
            "it must follow")


cdef _refuse(const zf_position *p, Py_ssize_t row):
    cdef int seat, domino
    cdef zf_position_fault fault = zf_position_check(p, &seat, &domino)
    rule = _sentence(p, fault, seat, domino)
    error = ImpossiblePosition(f"position {row}: {rule}")
    error.row, error.rule = row, rule
    raise error


def check_positions(positions):
    """Check POSITION_DTYPE [n]: owners, hand sizes, and that nobody on the table revoked.

    An ended deal (no dominoes left) is fine: it is worth 0.

    Raises:
        ImpossiblePosition: names the first bad row and the rule that it breaks.
    """
    array = as_positions(positions)
    cdef const uint8_t[::1] raw = array.view(np.uint8)
    cdef Py_ssize_t i, n = len(array), bad = -1
    cdef const zf_position *p
    cdef int seat, domino
    if n == 0:
        return
    p = <const zf_position *>&raw[0]
    with nogil:
        for i in range(n):
            if zf_position_check(&p[i], &seat, &domino) != ZF_POSITION_OK:
                bad = i
                break
    if bad >= 0:
        _refuse(&p[bad], bad)


def points_to_come(positions):
    """Points of both sides still to come in POSITION_DTYPE [n]: int8 [n], 0..42.

    One for each unfinished trick and the count in the hands and on the table. Raises
    ImpossiblePosition.
    """
    array = as_positions(positions)
    check_positions(array)
    out = np.zeros(len(array), np.int8)
    cdef const uint8_t[::1] raw = array.view(np.uint8)
    cdef int8_t[::1] o = out
    cdef Py_ssize_t i
    for i in range(o.shape[0]):
        o[i] = zf_position_points(&(<const zf_position *>&raw[0])[i])
    return out


def positions_to_text(positions):
    """A line of text for each of POSITION_DTYPE [n], or for a single record: a list of n.

    Four fields: hands still held, declaration, leader of the trick on the table, dominoes on it,
    as zebfast.rules.notation says it in full. Raises ImpossiblePosition.

    >>> from zebfast.core.engine import GameBatch
    >>> games = GameBatch.deal(1, seed=1)
    >>> positions_from_text(positions_to_text(games.positions())) == games.positions()
    array([ True])
    """
    rows = np.atleast_1d(np.asarray(positions))
    check_positions(rows)
    return [to_line([dominoes_of(mask) for mask in p["hands"]], p["decl"], p["leader"],
                    p["table"][:p["n_table"]]) for p in rows]


def positions_from_text(texts):
    """The positions of lines as positions_to_text writes them, or of one line: POSITION_DTYPE [n].

    Raises:
        BadNotation: a line cannot be read; the sentence begins with "position ROW".
        ImpossiblePosition: names the first bad row and the rule that it breaks.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    out = np.zeros(len(texts), POSITION_DTYPE)
    for row, text in enumerate(texts):
        try:
            hands, decl, leader, table = from_line(text)
        except BadNotation as error:
            raise BadNotation(f"position {row}: {error}") from None
        if len(table) > 3:
            raise BadNotation(f"position {row}: {len(table)} dominoes are on the table; a trick is "
                              "finished with the fourth")
        for seat, hand in enumerate(hands):
            if len(set(hand)) < len(hand):
                raise BadNotation(f"position {row}: seat {seat} holds a domino twice")
            out[row]["hands"][seat] = sum(1 << domino for domino in hand)
        out[row]["decl"], out[row]["leader"], out[row]["n_table"] = decl, leader, len(table)
        out[row]["table"][:len(table)] = table
    check_positions(out)
    return out


cdef inline void _answer(zf_solver *solver, const zf_position *p, int question, int points,
                         int8_t *out) noexcept nogil:
    """One position's answer as Python gives it: team 0 minus team 1, or 0/1 for AT_LEAST."""
    cdef int total, domino
    if question == AT_LEAST:
        out[0] = zf_solve_at_least(solver, p, points)
        return
    total = zf_position_points(p)
    if question == VALUE:
        out[0] = <int8_t>(2 * zf_solve(solver, p) - total)
        return
    zf_solve_plays(solver, p, out)
    for domino in range(ZF_N_DOMINOES):
        out[domino] = <int8_t>(2 * out[domino] - total) if out[domino] >= 0 else <int8_t>-128


cdef class Solver:
    """Solver(table_bits=15)

    One solving context: 2 ** table_bits (4..20) entries of 8 bytes, for one thread at a time.

    It answers double dummy: all hands are open. No answer depends on the size of the table or on
    what was solved before. The GIL is released; Ctrl-C is noticed in the main thread within some
    tens of milliseconds of work.

    Every question takes positions POSITION_DTYPE [n] and may raise ImpossiblePosition (before
    anything is solved), SolverInterrupted (see interrupt) or RuntimeError (at work in another
    thread).
    """

    def __cinit__(self, int table_bits=15):
        if not ZF_MIN_TABLE_BITS <= table_bits <= ZF_MAX_TABLE_BITS:
            raise ValueError(f"table_bits is {table_bits}, but must be {ZF_MIN_TABLE_BITS} to "
                             f"{ZF_MAX_TABLE_BITS}")
        self.solver = zf_solver_new(table_bits)
        if self.solver == NULL:
            raise MemoryError(f"no memory for a solver with 2 ** {table_bits} entries")

    def __dealloc__(self):
        if self.solver != NULL:
            zf_solver_free(self.solver)

    cdef _run(self, positions, int question, const int[::1] points, int8_t[:, ::1] out):
        """Answer one question for every position, row by row, into out [n, 1 or 28]."""
        cdef const uint8_t[::1] raw = positions.view(np.uint8)
        cdef Py_ssize_t i = 0, n = out.shape[0]
        cdef const zf_position *p
        cdef uint64_t spent
        check_positions(positions)
        if self.busy:
            raise RuntimeError("this solver is at work in another thread: use one for each thread")
        if n == 0:
            return
        p = <const zf_position *>&raw[0]
        self.busy = True
        try:
            while i < n:
                with nogil:
                    spent = zf_solver_nodes(self.solver) + NODES_BETWEEN_LOOKS
                    while i < n and not zf_solver_interrupted(self.solver) and zf_solver_nodes(self.solver) < spent:
                        _answer(self.solver, &p[i], question,
                                points[i] if question == AT_LEAST else 0, &out[i, 0])
                        i += 1
                        spent -= NODES_OF_A_CALL
                if zf_solver_interrupted(self.solver):
                    raise SolverInterrupted(f"interrupted after {i} of {n} positions")
                PyErr_CheckSignals()
        finally:
            self.busy = False
            zf_solver_interrupt(self.solver, False)

    def values(self, positions):
        """Points to come, team 0 minus team 1, under best play by all four seats: int8 [n]."""
        positions = as_positions(positions)
        out = np.zeros(len(positions), np.int8)
        self._run(positions, VALUE, None, out[:, None])
        return out

    def play_values(self, positions):
        """The same after each domino that may be played now: int8 [n, 28], NO_PLAY elsewhere."""
        positions = as_positions(positions)
        out = np.zeros((len(positions), ZF_N_DOMINOES), np.int8)
        self._run(positions, PLAY_VALUES, None, out)
        return out

    def at_least(self, positions, points):
        """Whether team 0 takes at least so many of the points to come: bool [n].

        Cheaper than values where only that matters.

        Args:
            positions: POSITION_DTYPE [n].
            points: whole numbers, [n] or what broadcasts to it, as a single one does.

        Raises ValueError for points of another shape, TypeError for other numbers.
        """
        positions = as_positions(positions)
        wanted = integers("points", points, (len(positions),))
        out = np.zeros(len(positions), np.int8)
        # 0 always holds and 43 never does: whatever lies beyond gives the same answers.
        limits = np.clip(wanted, 0, ZF_TOTAL_POINTS + 1).astype(np.intc)
        self._run(positions, AT_LEAST, limits, out[:, None])
        return out.view(np.bool_)

    def interrupt(self):
        """Make the call that another thread has under way, or else the next one, raise.

        It raises SolverInterrupted after the position it is at, which takes milliseconds. May be
        called from any thread.
        """
        zf_solver_interrupt(self.solver, True)

    @property
    def nodes(self):
        """Positions searched so far."""
        return zf_solver_nodes(self.solver)

    @property
    def nbytes(self):
        """Memory of the context in bytes."""
        return zf_solver_bytes(self.solver)
