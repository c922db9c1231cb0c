# One whole game as Python has it.
from libc.stdint cimport uint8_t, uint32_t

from zebfast.core.whole_rules cimport zf_rule_set, zf_whole_game


cdef class WholeGame:
    cdef zf_whole_game state
    cdef zf_rule_set rules
    cdef object _rule_set
    cdef object _seed
    cdef object _game
    cdef list _hands
    cdef list _results
    cdef _start(self, rule_set, shaker, seed, game)
    cdef _deal(self, tuple masks)
    cdef _expect(self, uint8_t phase)
    cdef _act(self, uint32_t action)
    cdef _after(self)
