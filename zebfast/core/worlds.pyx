"""Worlds: layouts of the hidden dominoes that one seat thinks possible, counted and drawn exactly."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from itertools import combinations

import numpy as np

from zebfast.core.records import POSITION_DTYPE
from zebfast.rules import Stream, domino_name

from zebfast.core.engine cimport GameBatch, zf_over
from zebfast.core.solve cimport zf_position, zf_position_of


class ImpossibleWorlds(ValueError):
    """No layout of the hidden dominoes agrees with what is known; the message says why."""


cdef list _dominoes(uint32_t mask):
    return [d for d in range(28) if mask >> d & 1]


cdef str _listed(object things):
    """'a', 'a and b', 'a, b and c'."""
    *before, last = [str(thing) for thing in things]
    return f"{', '.join(before)} and {last}" if before else last


cdef str _some(Py_ssize_t n):
    return "1 domino" if n == 1 else f"{n} dominoes"


cdef str _contradiction(const zf_knowledge *k):
    """Why there is no world, in words.

    Hall's theorem: there is one unless, for some set of seats, more dominoes can be nowhere else
    than those seats have room for. Sets of none, one and two of the three hidden seats are tried.
    """
    seats = [(k.viewer + j) & 3 for j in (1, 2, 3)]
    may = {seat: k.hidden & ~k.barred[seat] for seat in seats}
    for size in range(3):
        for inside in combinations(seats, size):
            outside = [seat for seat in seats if seat not in inside]
            only = k.hidden
            for seat in outside:
                only &= ~may[seat]
            names = [domino_name(d) for d in _dominoes(only)]
            if len(names) <= sum(k.size[seat] for seat in inside):
                continue
            if size == 0:
                return f"{_listed(names)} can be held by none of seats {_listed(seats)}"
            if size == 1:
                return (f"seat {inside[0]} holds {_some(k.size[inside[0]])}, but {_listed(names)} "
                        f"can be held by none of the other seats")
            held = [domino_name(d) for d in _dominoes(may[outside[0]])]
            can = f"of the hidden ones only {_listed(held)}" if held else "none of the hidden ones"
            return f"seat {outside[0]} holds {_some(k.size[outside[0]])}, but can have {can}"
    return "the hands' sizes do not add up"


cdef const double[:, :, ::1] _weights(object weights, Py_ssize_t k):
    """Checked weights float64 [k, 28, 4]."""
    array = np.ascontiguousarray(weights, np.float64)
    if array.shape != (k, 28, 4):
        raise ValueError(f"weights has shape {list(array.shape)}, not [{k}, 28, 4]")
    bad = np.argwhere(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        row, domino, seat = bad[0]
        raise ValueError(f"the weight of {domino_name(domino)} at seat {seat} is "
                         f"{array[row, domino, seat]}: weights are finite and not negative")
    return array


cdef _weights_error(zf_weights_fault fault, const zf_knowledge *k, const double[:, ::1] weights,
                    str where):
    """The error for weights that give no distribution."""
    cdef zf_knowledge positive = k[0]
    cdef uint32_t d, seat
    if fault == ZF_WEIGHTS_TOO_FAR:
        return ValueError(f"{where}the products of the weights are too small for float64: raise "
                          "the smallest weights, or set them to 0")
    for d in range(28):
        for seat in range(4):
            positive.barred[seat] |= <uint32_t>(weights[d, seat] == 0) << d
    return ImpossibleWorlds(f"{where}every world has weight 0: {_contradiction(&positive)}")


cdef uint8_t[::1] _viewers(GameBatch games, const int64_t[::1] rows, object viewers):
    """The seats that look, uint8 [k], of games that are not over."""
    cdef Py_ssize_t i, k = rows.shape[0]
    out = np.empty(k, np.uint8)
    cdef uint8_t[::1] o = out
    for i in range(k):
        if zf_over(&games.states[rows[i]]):
            raise ValueError(f"game {rows[i]} is over: no domino is hidden")
        o[i] = games.states[rows[i]].to_play
    if viewers is None:
        return out
    seats = np.asarray(viewers)
    if seats.shape != (k,) or seats.dtype.kind not in "iu":
        raise ValueError(f"viewers must be {k} integers, one for each game")
    if k and (seats.min() < 0 or seats.max() > 3):
        raise ValueError(f"viewer {seats[(seats < 0) | (seats > 3)][0]}: seats run from 0 to 3")
    return seats.astype(np.uint8)


cdef uint64_t _first_index(uint64_t ply, object n, object first) except? 0:
    """Number of the draw of world `first` at a ply, when n worlds follow."""
    if n < 0:
        raise ValueError(f"the number of worlds must not be negative, not {n}")
    if first < 0 or first + n > 1 << 32:
        raise ValueError(f"worlds {first}..{first + n - 1}: their numbers run from 0 to 2**32 - 1")
    return (ply << 32) + <uint64_t>first


def world_counts(GameBatch games, rows=None, viewers=None):
    """Numbers of worlds that agree with what a seat of each listed game knows, uint64 [k]."""
    cdef const int64_t[::1] r = games._rows(rows)
    cdef const uint8_t[::1] seats = _viewers(games, r, viewers)
    out = np.empty(r.shape[0], np.uint64)
    cdef uint64_t[::1] o = out
    cdef Py_ssize_t i
    cdef zf_world_set worlds
    with nogil:
        for i in range(r.shape[0]):
            o[i] = zf_worlds_init(&worlds, &games.states[r[i]], seats[i])
    return out


def sample_worlds(GameBatch games, rows, Py_ssize_t n, *, seed, game_numbers,
                  stream=Stream.EVAL_WORLDS, first=0, viewers=None, weights=None):
    """n worlds of each listed game, drawn independently: hands as masks, uint32 [k, n, 4]."""
    cdef const int64_t[::1] r = games._rows(rows)
    cdef const uint8_t[::1] seats = _viewers(games, r, viewers)
    cdef Py_ssize_t i, k = r.shape[0]
    _first_index(0, n, first)
    numbers = np.asarray(game_numbers)
    if numbers.shape != (k,) or numbers.dtype.kind not in "iu":
        raise ValueError(f"game_numbers must be {k} integers, one for each game")
    cdef const uint64_t[::1] g = np.ascontiguousarray(numbers).astype(np.uint64)
    cdef bint weighs = weights is not None
    cdef const double[:, :, ::1] w = _weights(weights, k) if weighs else np.zeros((1, 28, 4))
    out = np.empty((k, n, 4), np.uint32)
    cdef uint32_t[:, :, ::1] o = out
    cdef uint64_t key, index, seed_bits = seed & 0xFFFFFFFFFFFFFFFF, stream_bits = stream
    cdef uint64_t first_bits = first
    cdef zf_world_set worlds
    cdef zf_weighted_set weighted
    cdef zf_knowledge known
    cdef zf_weights_fault fault = ZF_WEIGHTS_OK
    if n == 0:
        return out
    with nogil:
        for i in range(k):
            key = zf_stream_key(seed_bits, stream_bits, g[i])
            index = (<uint64_t>games.states[r[i]].n_plays << 32) + first_bits
            if weighs:
                zf_knowledge_of(&known, &games.states[r[i]], seats[i])
                fault = zf_weighted_of(&weighted, &known, <const double (*)[4]>&w[i, 0, 0])
                if fault != ZF_WEIGHTS_OK:
                    break
                zf_weighted_sample_many(&weighted, key, index, n, <uint32_t (*)[4]>&o[i, 0, 0])
            else:
                zf_worlds_init(&worlds, &games.states[r[i]], seats[i])
                zf_worlds_sample_many(&worlds, key, index, n, <uint32_t (*)[4]>&o[i, 0, 0])
    if fault != ZF_WEIGHTS_OK:
        raise _weights_error(fault, &known, w[i], f"game {r[i]}: ")
    return out


def world_positions(GameBatch games, rows, hands):
    """The positions that worlds of the listed games give, POSITION_DTYPE [k, n]."""
    cdef const int64_t[::1] r = games._rows(rows)
    cdef const uint32_t[:, :, ::1] h = np.ascontiguousarray(hands, np.uint32)
    cdef Py_ssize_t i, j = 0, k = h.shape[0], n = h.shape[1], seat
    if h.shape[0] != r.shape[0] or h.shape[2] != 4:
        raise ValueError(f"hands has shape [{k}, {n}, {h.shape[2]}], not [{r.shape[0]}, n, 4]")
    out = np.empty((k, n), POSITION_DTYPE)
    cdef uint8_t[:, ::1] raw = out.view(np.uint8).reshape(k, n * POSITION_DTYPE.itemsize)
    cdef zf_position *to
    cdef zf_position position
    cdef Py_ssize_t bad = -1
    if n == 0:
        return out
    with nogil:
        for i in range(k):
            zf_position_of(&position, &games.states[r[i]])
            to = <zf_position *>&raw[i, 0]
            for j in range(n):
                if not zf_worlds_fit(&games.states[r[i]], &h[i, j, 0]):
                    bad = j
                    break
                to[j] = position
                for seat in range(4):
                    to[j].hand[seat] = h[i, j, seat]
            if bad >= 0:
                break
    if bad >= 0:
        raise ValueError(f"game {r[i]}: layout {bad} does not deal out the dominoes still held "
                         "there, each seat as many as it holds")
    return out


cdef class WorldSet:
    """The worlds that one seat of one game thinks possible."""

    def __cinit__(self, *args, **kwargs):
        self.weighted = NULL

    def __init__(self, GameBatch games, row, *, viewer=None, weights=None):
        cdef const int64_t[::1] r = games._rows([row])
        cdef const uint8_t[::1] seat = _viewers(games, r, None if viewer is None else [viewer])
        self.ply = games.states[r[0]].n_plays
        zf_knowledge_of(&self.known, &games.states[r[0]], seat[0])
        zf_worlds_of(&self.worlds, &self.known)
        self._weigh(weights)

    @staticmethod
    def from_knowledge(*, hidden, sizes, barred, viewer, hand, weights=None):
        """The worlds of explicit knowledge; see the stub."""
        cdef WorldSet self = WorldSet.__new__(WorldSet)
        _check_knowledge(hidden, sizes, barred, viewer, hand)
        self.known.viewer = viewer
        self.known.own = _mask(hand)
        self.known.hidden = _mask(hidden)
        for seat in range(4):
            self.known.size[seat] = sizes[seat]
            self.known.barred[seat] = _mask(barred[seat])
        self.ply = 28 - len(hidden) - len(hand)
        if zf_worlds_of(&self.worlds, &self.known) == 0:
            raise ImpossibleWorlds(_contradiction(&self.known))
        self._weigh(weights)
        return self

    def __dealloc__(self):
        free(self.weighted)

    cdef _weigh(self, object weights):
        """Take weights [28, 4], or None."""
        if weights is None:
            return
        cdef const double[:, :, ::1] w = _weights(np.asarray(weights)[None], 1)
        free(self.weighted)
        self.weighted = <zf_weighted_set *>malloc(sizeof(zf_weighted_set))
        if self.weighted == NULL:
            raise MemoryError("no memory for the weights of a world set")
        fault = zf_weighted_of(self.weighted, &self.known, <const double (*)[4]>&w[0, 0, 0])
        if fault != ZF_WEIGHTS_OK:
            raise _weights_error(fault, &self.known, w[0], "")

    @property
    def count(self):
        return self.worlds.count

    @property
    def viewer(self):
        return self.known.viewer

    @property
    def hidden(self):
        return _dominoes(self.known.hidden)

    @property
    def barred(self):
        return [_dominoes(0 if seat == self.known.viewer else self.known.barred[seat])
                for seat in range(4)]

    def __len__(self):
        return self.worlds.count

    def sample(self, Py_ssize_t n, *, seed, game=0, stream=Stream.EVAL_WORLDS, first=0):
        """n worlds drawn independently, uint32 [n, 4]."""
        cdef uint64_t index = _first_index(self.ply, n, first)
        cdef uint64_t key = zf_stream_key(seed & 0xFFFFFFFFFFFFFFFF, stream,
                                          game & 0xFFFFFFFFFFFFFFFF)
        out = np.empty((n, 4), np.uint32)
        cdef uint32_t[:, ::1] o = out
        if n == 0:
            return out
        with nogil:
            if self.weighted != NULL:
                zf_weighted_sample_many(self.weighted, key, index, n, <uint32_t (*)[4]>&o[0, 0])
            else:
                zf_worlds_sample_many(&self.worlds, key, index, n, <uint32_t (*)[4]>&o[0, 0])
        return out

    def unrank(self, ranks):
        """The worlds of the given ranks, uint32 [m, 4]."""
        array = np.asarray(ranks)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError("ranks must be a one-dimensional array of integers")
        if len(array) and (array.min() < 0 or int(array.max()) >= self.worlds.count):
            raise IndexError(f"a rank lies outside 0..{self.worlds.count - 1}")
        cdef const uint64_t[::1] r = np.ascontiguousarray(array).astype(np.uint64)
        out = np.empty((r.shape[0], 4), np.uint32)
        cdef uint32_t[:, ::1] o = out
        if r.shape[0]:
            with nogil:
                zf_worlds_unrank_many(&self.worlds, &r[0], r.shape[0], <uint32_t (*)[4]>&o[0, 0])
        return out

    def rank(self, hands):
        """The ranks of layouts uint32 [m, 4], uint64 [m]."""
        cdef const uint32_t[:, ::1] h = _layouts(hands)
        out = np.empty(h.shape[0], np.uint64)
        cdef uint64_t[::1] o = out
        cdef Py_ssize_t i, bad = -1
        with nogil:
            for i in range(h.shape[0]):
                o[i] = zf_worlds_rank(&self.worlds, &h[i, 0])
                if o[i] == ZF_NO_RANK:
                    bad = i
                    break
        if bad >= 0:
            raise ValueError(f"layout {bad} is none of the {self.worlds.count} worlds")
        return out

    def enumerate(self, Py_ssize_t limit=1_000_000):
        """All worlds in the order of their ranks, uint32 [count, 4]."""
        if self.worlds.count > limit:
            raise ValueError(f"{self.worlds.count} worlds are more than the limit of {limit}")
        return self.unrank(np.arange(self.worlds.count, dtype=np.uint64))

    def probability(self, hands):
        """Probabilities of layouts uint32 [m, 4], float64 [m]."""
        cdef const uint32_t[:, ::1] h = _layouts(hands)
        out = np.empty(h.shape[0], np.float64)
        cdef double[::1] o = out
        cdef Py_ssize_t i
        with nogil:
            for i in range(h.shape[0]):
                if self.weighted != NULL:
                    o[i] = zf_weighted_probability(self.weighted, &h[i, 0])
                elif zf_worlds_rank(&self.worlds, &h[i, 0]) == ZF_NO_RANK:
                    o[i] = 0
                else:
                    o[i] = 1.0 / self.worlds.count
        return out


cdef const uint32_t[:, ::1] _layouts(object hands):
    array = np.asarray(hands)
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype != np.uint32:
        raise ValueError(f"layouts must be uint32 [m, 4], not {array.dtype} {list(array.shape)}")
    return np.ascontiguousarray(array)


cdef uint32_t _mask(object dominoes):
    cdef uint32_t mask = 0
    for domino in dominoes:
        mask |= <uint32_t>1 << <uint32_t>domino
    return mask


def _check_knowledge(hidden, sizes, barred, viewer, hand):
    """Raise ImpossibleWorlds where knowledge contradicts itself before any layout is tried."""
    if not 0 <= viewer < 4:
        raise ImpossibleWorlds(f"viewer {viewer}: seats run from 0 to 3")
    if len(sizes) != 4 or len(barred) != 4:
        raise ImpossibleWorlds(f"{len(sizes)} sizes and {len(barred)} barred lists for 4 seats")
    for domino in (*hidden, *hand, *(d for ds in barred for d in ds)):
        if not 0 <= domino < 28:
            raise ImpossibleWorlds(f"domino {domino}: ids run from 0 to 27")
    seen = sorted([*hidden, *hand])
    for domino, following in zip(seen, seen[1:]):
        if domino == following:
            raise ImpossibleWorlds(f"{domino_name(domino)} is in two places")
    for seat, size in enumerate(sizes):
        if not 0 <= size <= 7:
            raise ImpossibleWorlds(f"seat {seat} holds {size} dominoes: a hand has 0 to 7")
    if sizes[viewer] != len(hand):
        raise ImpossibleWorlds(f"seat {viewer} holds {_some(sizes[viewer])}, but its hand has "
                               f"{len(hand)}")
    others = sum(sizes) - sizes[viewer]
    if others != len(hidden):
        raise ImpossibleWorlds(f"the other hands have room for {_some(others)}, but "
                               f"{len(hidden)} are hidden")
