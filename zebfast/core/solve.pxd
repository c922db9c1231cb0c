# Exact values with open hands: csrc/solve.h, csrc/position.c.
from libc.stdint cimport int8_t, uint32_t, uint64_t

from zebfast.core.engine cimport zf_position


cdef extern from "tables.h" nogil:
    const uint32_t zf_follow[10][8]


cdef extern from "solve.h" nogil:
    ctypedef enum zf_position_fault:
        ZF_POSITION_OK
        ZF_POSITION_BAD_DECL
        ZF_POSITION_BAD_LEADER
        ZF_POSITION_BAD_TABLE
        ZF_POSITION_BAD_DOMINO
        ZF_POSITION_TWICE
        ZF_POSITION_BAD_SIZES
        ZF_POSITION_REVOKE

    zf_position_fault zf_position_check(const zf_position *p, int *seat, int *domino)
    int zf_position_points(const zf_position *p)

    ctypedef struct zf_solver:
        pass

    enum:
        ZF_MIN_TABLE_BITS
        ZF_MAX_TABLE_BITS

    zf_solver *zf_solver_new(uint32_t table_bits)
    void zf_solver_free(zf_solver *solver)
    size_t zf_solver_bytes(const zf_solver *solver)
    uint64_t zf_solver_nodes(const zf_solver *solver)
    void zf_solver_interrupt(zf_solver *solver, bint on)
    bint zf_solver_interrupted(const zf_solver *solver)
    int zf_solve(zf_solver *solver, const zf_position *p)
    bint zf_solve_at_least(zf_solver *solver, const zf_position *p, int points)
    void zf_solve_plays(zf_solver *solver, const zf_position *p, int8_t *points)


cdef class Solver:
    cdef zf_solver *solver
    cdef bint busy
    cdef _run(self, positions, int question, const int[::1] points, int8_t[:, ::1] out)
