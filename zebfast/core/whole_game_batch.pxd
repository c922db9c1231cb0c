# Many whole games side by side.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from zebfast.core.whole_rules cimport zf_rule_set, zf_whole_game


cdef struct action_log:
    uint8_t *actions
    uint32_t room


cdef class WholeGameBatch:
    cdef zf_whole_game *states
    cdef action_log *logs
    cdef uint64_t *games
    cdef Py_ssize_t size
    cdef zf_rule_set rules
    cdef object _rule_set
    cdef uint64_t _seed
    cdef _allocate(self, Py_ssize_t n)
    cdef void _start(self, Py_ssize_t row, uint64_t game) noexcept nogil
    cdef int _do(self, Py_ssize_t row, uint32_t action) except -1 nogil
    cdef _redo(self, Py_ssize_t row, const uint8_t[::1] actions)
    cdef _column(self, const void *first, object dtype=*, tuple shape=*)
    cdef const int64_t[::1] _rows(self, object rows)
    cdef const int64_t[::1] _different_rows(self, object rows)
    cdef _expect_straight(self, const int64_t[::1] r)
    cdef _refuse(self, Py_ssize_t row, int64_t action)
