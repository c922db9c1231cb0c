"""Worlds: layouts of the hidden dominoes that one seat thinks possible, counted and drawn exactly.

A seat (the viewer) knows its own hand, every play, hence the size of every hand, and the voids
shown: who did not follow a led suit holds none of it, now and later. Every layout of the other
dominoes that agrees is a world; none is left out, and none is likelier than another unless weights
say so. The count is a dynamic program over what each hidden hand can still take, and a world is
drawn by its rank, so that nothing is ever tried and rejected.

Layouts are 28-bit masks of the dominoes still held, uint32 [..., 4] by seat, the viewer's own hand
included. Random numbers: world i at ply p of game g is a function of (seed, stream, g, p, i), one
64-bit draw of the counter-based generator (zebfast.rules.rng), the draw numbered p * 2**32 + i.

Rows are chosen, and what is given for each of them broadcasts, as in GameBatch.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from itertools import combinations

import numpy as np

from zebfast.core.arrays import broadcast, integers
from zebfast.core.records import POSITION_DTYPE
from zebfast.rules import Stream, domino_name

from zebfast.core.engine cimport (
    ZF_HAND_SIZE, ZF_N_DOMINOES, ZF_N_PLIES, ZF_N_SEATS, GameBatch, dominoes_of, mask_of, zf_over,
    zf_position, zf_position_of, zf_state)


class ImpossibleWorlds(ValueError):
    """No layout of the hidden dominoes agrees with what is known; the message says why."""


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
            names = [domino_name(d) for d in dominoes_of(only)]
            if len(names) <= sum(k.size[seat] for seat in inside):
                continue
            if size == 0:
                return f"{_listed(names)} can be held by none of seats {_listed(seats)}"
            if size == 1:
                return (f"seat {inside[0]} holds {_some(k.size[inside[0]])}, but {_listed(names)} "
                        f"can be held by none of the other seats")
            held = [domino_name(d) for d in dominoes_of(may[outside[0]])]
            can = f"of the hidden ones only {_listed(held)}" if held else "none of the hidden ones"
            return f"seat {outside[0]} holds {_some(k.size[outside[0]])}, but can have {can}"
    return "the hands' sizes do not add up"


cdef const double[:, :, ::1] _weights(object weights, Py_ssize_t k):
    """Checked weights float64 [k, 28, 4]."""
    shape = (k, ZF_N_DOMINOES, ZF_N_SEATS)
    array = np.ascontiguousarray(broadcast("weights", weights, shape), np.float64)
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
    cdef int d, seat
    if fault == ZF_WEIGHTS_TOO_FAR:
        return ValueError(f"{where}the products of the weights are too small for float64: raise "
                          "the smallest weights, or set them to 0")
    for d in range(ZF_N_DOMINOES):
        for seat in range(ZF_N_SEATS):
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
    seats = integers("viewers", viewers, (k,))
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


def world_counts(GameBatch games not None, rows=None, viewers=None):
    """Numbers of worlds that a seat of each listed game thinks possible, uint64 [k]; at least 1.

    Args:
        games: any number of games.
        rows: which of them; all by default.
        viewers: seats 0..3, int [k]; by default the seats to play.

    Raises:
        ValueError: a listed game is over, or a viewer is no seat.
        IndexError: a row is out of range.
    """
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


cdef zf_weights_fault _draw_weighted(const zf_state *s, uint8_t viewer, const double *weights,
                                      uint64_t key, uint64_t index, Py_ssize_t n, uint32_t *hands,
                                      zf_knowledge *known) noexcept nogil:
    """n worlds of a game in proportion to weights [28, 4]; known is what the viewer knows."""
    cdef zf_weighted_set worlds
    cdef zf_weights_fault fault
    zf_knowledge_of(known, s, viewer)
    fault = zf_weighted_of(&worlds, known, <const double (*)[4]>weights)
    if fault == ZF_WEIGHTS_OK:
        zf_weighted_sample_many(&worlds, key, index, n, <uint32_t (*)[4]>hands)
    return fault


cdef void _draw(const zf_state *s, uint8_t viewer, uint64_t key, uint64_t index, Py_ssize_t n,
                uint32_t *hands) noexcept nogil:
    """n worlds of a game, all equally likely."""
    cdef zf_world_set worlds
    zf_worlds_init(&worlds, s, viewer)
    zf_worlds_sample_many(&worlds, key, index, n, <uint32_t (*)[4]>hands)


def sample_worlds(GameBatch games not None, rows, Py_ssize_t n, *, seed, game_numbers,
                  stream=Stream.EVAL_WORLDS, first=0, viewers=None, weights=None):
    """n worlds of each listed game, drawn independently: hands, uint32 [k, n, 4].

    World i of a game is a function of (seed, stream, game number, plies played, first + i) and of
    what the viewer knows: no split into calls changes it, and the hidden hands do not enter.

    Args:
        games: any number of games; the GIL is released meanwhile, so do not play in them.
        rows: which of them; None for all.
        n: worlds a game.
        seed, stream: of the random numbers.
        game_numbers: integer [k], the number of each listed game in its stream.
        first: number of the first world; worlds are numbered below 2**32.
        viewers: seats 0..3, int [k]; by default the seats to play.
        weights: float64 [k, 28, 4] as in WorldSet; without them all worlds are equally likely.

    Raises:
        ImpossibleWorlds: all worlds of a game have weight 0.
        ValueError: a listed game is over, a viewer is no seat, or a weight is negative, not finite
            or, multiplied up, too small for float64.
        IndexError: a row is out of range.
    """
    cdef const int64_t[::1] r = games._rows(rows)
    cdef const uint8_t[::1] seats = _viewers(games, r, viewers)
    cdef Py_ssize_t i, k = r.shape[0]
    _first_index(0, n, first)
    numbers = integers("game_numbers", game_numbers, (k,))
    cdef const uint64_t[::1] g = np.ascontiguousarray(numbers).astype(np.uint64)
    cdef bint weighs = weights is not None
    cdef const double[:, :, ::1] w = _weights(weights if weighs else 1.0, k if weighs else 1)
    out = np.empty((k, n, ZF_N_SEATS), np.uint32)
    cdef uint32_t[:, :, ::1] o = out
    cdef uint64_t key, index, seed_bits = seed & 0xFFFFFFFFFFFFFFFF, stream_bits = stream
    cdef uint64_t first_bits = first
    cdef zf_knowledge known
    cdef zf_weights_fault fault = ZF_WEIGHTS_OK
    if n == 0:
        return out
    with nogil:
        for i in range(k):
            key = zf_stream_key(seed_bits, stream_bits, g[i])
            index = (<uint64_t>games.states[r[i]].n_plays << 32) + first_bits
            if not weighs:
                _draw(&games.states[r[i]], seats[i], key, index, n, &o[i, 0, 0])
                continue
            fault = _draw_weighted(&games.states[r[i]], seats[i], &w[i, 0, 0], key, index, n,
                                   &o[i, 0, 0], &known)
            if fault != ZF_WEIGHTS_OK:
                break
    if fault != ZF_WEIGHTS_OK:
        raise _weights_error(fault, &known, w[i], f"game {r[i]}: ")
    return out


cdef const uint32_t[:, :, ::1] layouts_of(object hands, Py_ssize_t k):
    """Layouts for each of k games, uint32 [k, n, 4]."""
    layouts = np.asarray(hands)
    if layouts.ndim < 2:
        raise ValueError(f"hands has shape {list(layouts.shape)}, not [{k}, n, 4]")
    shape = (k, layouts.shape[layouts.ndim - 2], ZF_N_SEATS)
    return np.ascontiguousarray(broadcast("hands", layouts, shape), np.uint32)


cdef refuse_misfit(Py_ssize_t row, Py_ssize_t layout):
    raise ValueError(f"game {row}: layout {layout} does not deal out the dominoes still held there, "
                     "each seat as many as it holds")


def world_positions(GameBatch games not None, rows, hands):
    """The positions that worlds of the listed games give, POSITION_DTYPE [k, n].

    Args:
        games: any number of games.
        rows: which of them, k in all; None for all.
        hands: uint32 [k, n, 4], as sample_worlds gives them.

    Raises:
        ValueError: a layout does not deal out the dominoes still held in its game, each seat as
            many as it holds (voids are not looked at), or hands have another shape.
        IndexError: a row is out of range.
    """
    cdef const int64_t[::1] r = games._rows(rows)
    cdef const uint32_t[:, :, ::1] h = layouts_of(hands, r.shape[0])
    cdef Py_ssize_t i, j, seat, bad = -1, k = h.shape[0], n = h.shape[1]
    out = np.empty((k, n), POSITION_DTYPE)
    cdef uint8_t[:, ::1] raw = out.view(np.uint8).reshape(k, n * POSITION_DTYPE.itemsize)
    cdef zf_position *to
    cdef zf_position position
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
                for seat in range(ZF_N_SEATS):
                    to[j].hand[seat] = h[i, j, seat]
            if bad >= 0:
                break
    if bad >= 0:
        refuse_misfit(r[i], bad)
    return out


cdef class WorldSet:
    """The worlds that one seat of one game thinks possible.

    Ranks are lexicographic: the hidden dominoes in ascending order, each with the seat that holds
    it, counted from the viewer's left (left, partner, right). Weights change neither ranks nor
    count, only what is drawn and how likely it is.
    """

    def __cinit__(self, *args, **kwargs):
        zf_worlds_of(&self.worlds, &self.known)  # the one in which nobody holds anything

    def __init__(self, GameBatch games not None, row, *, viewer=None, weights=None):
        """The worlds of a game as it stands; later plays do not change the set.

        Args:
            games, row: the game.
            viewer: the seat that looks; by default the seat to play.
            weights: float64 [28, 4], by domino and seat, finite and not negative, in any scale
                (a belief head's probabilities, say). A world's probability is then proportional
                to the product of weights[d, seat that holds d] over the hidden dominoes d. The
                viewer's column does not matter, nor do rows of dominoes that are not hidden.

        Raises:
            ImpossibleWorlds: all worlds have weight 0.
            ValueError: the game is over, the viewer is no seat, or a weight is negative, not
                finite or, multiplied up, too small for float64.
            IndexError: the row is out of range.
        """
        if self.made:
            raise RuntimeError("a world set is made once")
        cdef const int64_t[::1] r = games._rows([row])
        cdef const uint8_t[::1] seat = _viewers(games, r, None if viewer is None else [viewer])
        self.ply = games.states[r[0]].n_plays
        zf_knowledge_of(&self.known, &games.states[r[0]], seat[0])
        zf_worlds_of(&self.worlds, &self.known)
        self._weigh(weights)

    @staticmethod
    def from_knowledge(*, hidden, sizes, barred, viewer, hand, weights=None):
        """The worlds of explicit knowledge.

        Args:
            hidden: dominoes in the three other hands.
            sizes: dominoes in each of the four hands, 0..7.
            barred: for each of the four seats, dominoes that it cannot hold; the viewer's list
                does not matter.
            viewer: the seat that looks.
            hand: its dominoes.
            weights: as in the constructor.

        Raises:
            ImpossibleWorlds: no layout agrees; the sentence names the seat or the dominoes that
                cannot be placed.
        """
        cdef WorldSet self = WorldSet.__new__(WorldSet)
        _check_knowledge(hidden, sizes, barred, viewer, hand)
        self.known.viewer = viewer
        self.known.own = mask_of(hand)
        self.known.hidden = mask_of(hidden)
        for seat in range(ZF_N_SEATS):
            self.known.size[seat] = sizes[seat]
            self.known.barred[seat] = mask_of(barred[seat])
        self.ply = ZF_N_PLIES - len(hidden) - len(hand)
        if zf_worlds_of(&self.worlds, &self.known) == 0:
            raise ImpossibleWorlds(_contradiction(&self.known))
        self._weigh(weights)
        return self

    def __dealloc__(self):
        free(self.weighted)

    cdef _weigh(self, object weights):
        """Take weights [28, 4], or None; then the set is made."""
        cdef const double[:, :, ::1] w
        cdef zf_weighted_set *weighted = NULL
        if weights is not None:
            w = _weights(weights, 1)
            weighted = <zf_weighted_set *>malloc(sizeof(zf_weighted_set))
            if weighted == NULL:
                raise MemoryError("no memory for the weights of a world set")
            fault = zf_weighted_of(weighted, &self.known, <const double (*)[4]>&w[0, 0, 0])
            if fault != ZF_WEIGHTS_OK:
                free(weighted)
                raise _weights_error(fault, &self.known, w[0], "")
        self.weighted, self.made = weighted, True

    @property
    def count(self):
        """Number of worlds, 1..399,072,960."""
        return self.worlds.count

    @property
    def viewer(self):
        """The seat that looks."""
        return self.known.viewer

    @property
    def hidden(self):
        """Dominoes in the three other hands, ascending."""
        return dominoes_of(self.known.hidden)

    @property
    def barred(self):
        """For each seat the dominoes that its plays rule out; empty for the viewer."""
        return [dominoes_of(0 if seat == self.known.viewer else self.known.barred[seat])
                for seat in range(ZF_N_SEATS)]

    def __len__(self):
        return self.worlds.count

    def sample(self, Py_ssize_t n, *, seed, game=0, stream=Stream.EVAL_WORLDS, first=0):
        """n worlds drawn independently, uint32 [n, 4]: those of sample_worlds for this game."""
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
        """The worlds of ranks integer [m], uint32 [m, 4]. IndexError if one is out of range."""
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
        """The ranks of layouts uint32 [m, 4], uint64 [m]. ValueError names one that is no world."""
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
        """All worlds in the order of their ranks, uint32 [count, 4]; ValueError beyond limit."""
        if self.worlds.count > limit:
            raise ValueError(f"{self.worlds.count} worlds are more than the limit of {limit}")
        return self.unrank(np.arange(self.worlds.count, dtype=np.uint64))

    def probability(self, hands):
        """Probabilities of layouts uint32 [m, 4], float64 [m]; 0 for one that is no world."""
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


def _check_knowledge(hidden, sizes, barred, viewer, hand):
    """Raise ImpossibleWorlds where knowledge contradicts itself before any layout is tried."""
    if not 0 <= viewer < ZF_N_SEATS:
        raise ImpossibleWorlds(f"viewer {viewer}: seats run from 0 to 3")
    if len(sizes) != ZF_N_SEATS or len(barred) != ZF_N_SEATS:
        raise ImpossibleWorlds(f"{len(sizes)} sizes and {len(barred)} barred lists for 4 seats")
    for domino in (*hidden, *hand, *(d for ds in barred for d in ds)):
        if not 0 <= domino < ZF_N_DOMINOES:
            raise ImpossibleWorlds(f"domino {domino}: ids run from 0 to 27")
    seen = sorted([*hidden, *hand])
    for domino, following in zip(seen, seen[1:]):
        if domino == following:
            raise ImpossibleWorlds(f"{domino_name(domino)} is in two places")
    for seat, size in enumerate(sizes):
        if not 0 <= size <= ZF_HAND_SIZE:
            raise ImpossibleWorlds(f"seat {seat} holds {size} dominoes: a hand has 0 to 7")
    if sizes[viewer] != len(hand):
        raise ImpossibleWorlds(f"seat {viewer} holds {_some(sizes[viewer])}, but its hand has "
                               f"{len(hand)}")
    others = sum(sizes) - sizes[viewer]
    if others != len(hidden):
        raise ImpossibleWorlds(f"the other hands have room for {_some(others)}, but "
                               f"{len(hidden)} are hidden")
