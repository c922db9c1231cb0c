"""The compiled rules: one game with a pleasant API, many games with NumPy arrays."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

from zebfast.core.records import OBS_DTYPE, POSITION_DTYPE
from zebfast.rules import IllegalPlay, ImpossibleDeal, check_deal, domino_name

from zebfast.core.observe cimport zf_obs, zf_observe, zf_observe_rows
from zebfast.core.solve cimport zf_position, zf_position_of


def isa():
    """Instruction set that the hot kernels run with here: 'x86-64-v3', 'baseline' or 'native'."""
    return zf_engine_isa().decode()


def random_games(Py_ssize_t n, *, uint64_t seed, uint64_t first_game=0):
    """Points of team 0 in n whole random games, uint8 [n]."""
    if n < 0:
        raise ValueError(f"the number of games must not be negative, not {n}")
    out = np.zeros(n, np.uint8)
    cdef uint8_t[::1] points = out
    if n:
        with nogil:
            zf_random_games(&points[0], n, seed, first_game)
    return out


cdef list _dominoes(uint32_t mask):
    return [d for d in range(28) if mask >> d & 1]


cdef uint32_t _mask(object hand):
    cdef uint32_t mask = 0
    for domino in hand:
        mask |= <uint32_t>1 << <uint32_t>domino
    return mask


cdef _illegal(const zf_state *s, int domino, str where):
    """The error for a play that the rules do not allow."""
    name = domino_name(domino) if 0 <= domino < 28 else f"domino {domino}"
    if zf_over(s):
        return IllegalPlay(f"{where}{name} cannot be played: all 28 dominoes are down")
    allowed = ", ".join(domino_name(d) for d in _dominoes(zf_legal(s)))
    return IllegalPlay(f"{where}seat {s.to_play} may not play {name}; legal plays are {allowed}")


cdef class Game:
    """One game of straight 42."""

    def __init__(self, hands, int decl, int leader):
        hands = [[int(d) for d in hand] for hand in hands]
        check_deal(hands, decl, leader)
        cdef uint32_t masks[4]
        for seat in range(4):
            masks[seat] = _mask(hands[seat])
        zf_init(&self.state, masks, decl, leader)

    @staticmethod
    def deal(seed, game=0):
        """A random deal with a random declaration (0..9) and leader."""
        cdef Game self = Game.__new__(Game)
        zf_deal(&self.state, seed & 0xFFFFFFFFFFFFFFFF, 0, game & 0xFFFFFFFFFFFFFFFF)
        return self

    @property
    def decl(self):
        return self.state.decl

    @property
    def leader(self):
        return self.state.first_leader

    @property
    def hands(self):
        return [_dominoes(self.state.hand[seat]) for seat in range(4)]

    @property
    def dealt(self):
        return [_dominoes(self.state.dealt[seat]) for seat in range(4)]

    @property
    def to_play(self):
        return self.state.to_play

    @property
    def plays(self):
        return [(self.state.plays[i] >> 5, self.state.plays[i] & 31)
                for i in range(self.state.n_plays)]

    @property
    def trick(self):
        return [self.state.plays[i] & 31
                for i in range(self.state.n_plays & ~3, self.state.n_plays)]

    @property
    def points(self):
        return [self.state.points[0], self.state.points[1]]

    @property
    def over(self):
        return bool(zf_over(&self.state))

    def legal(self):
        """Legal dominoes of the seat to play, ascending; empty when the game is over."""
        return _dominoes(zf_legal(&self.state))

    def play(self, int domino):
        """Play a domino; IllegalPlay names the seat and what it may play."""
        if not (0 <= domino < 28 and zf_legal(&self.state) >> domino & 1):
            raise _illegal(&self.state, domino, "")
        zf_play(&self.state, domino)

    def undo(self):
        """Take the last play back; IndexError when there is none."""
        if self.state.n_plays == 0:
            raise IndexError("nothing to undo: no domino has been played")
        zf_undo(&self.state)

    def observation(self):
        """What the seat to play knows, as a zero-dimensional OBS_DTYPE array."""
        if zf_over(&self.state):
            raise ValueError("the game is over: no seat is to play")
        cdef zf_obs obs
        zf_observe(&obs, &self.state)
        return np.frombuffer((<uint8_t *>&obs)[:sizeof(zf_obs)], OBS_DTYPE)[0]

    def perft(self, int depth):
        """Number of legal play sequences of the given depth from here."""
        cdef uint64_t total
        with nogil:
            total = zf_perft(&self.state, depth)
        return total

    def __copy__(self):
        cdef Game other = Game.__new__(Game)
        other.state = self.state
        return other

    def __repr__(self):
        return (f"<Game decl={self.decl} leader={self.leader} plays={self.state.n_plays} "
                f"points={self.points}>")


cdef class GameBatch:
    """n games side by side. Rows are games; every array it returns has the games first."""

    def __cinit__(self, *args, **kwargs):
        self.states = NULL
        self.size = 0

    def __init__(self, hands, decl, leader):
        cdef uint8_t[:, :, ::1] h
        cdef uint8_t[::1] d, l
        cdef uint32_t masks[4]
        cdef uint32_t held
        cdef Py_ssize_t i, seat, k
        cdef bint good
        hands, decl, leader = np.asarray(hands), np.asarray(decl), np.asarray(leader)
        if hands.ndim != 3 or hands.shape[1:] != (4, 7):
            raise ImpossibleDeal(f"hands have shape {hands.shape}, not [n, 4, 7]")
        if decl.shape != hands.shape[:1] or leader.shape != hands.shape[:1]:
            raise ImpossibleDeal("hands, decl and leader must have the same number of games")
        h = _bytes(hands)
        d, l = _bytes(decl), _bytes(leader)
        self._allocate(hands.shape[0])
        for i in range(self.size):
            good = d[i] < 10 and l[i] < 4
            held = 0
            for seat in range(4):
                masks[seat] = 0
                for k in range(7):
                    good = good and h[i, seat, k] < 28
                    masks[seat] |= <uint32_t>1 << (h[i, seat, k] & 31)
                held |= masks[seat]
            if not good or held != 0x0FFFFFFF:
                try:
                    check_deal(hands[i].tolist(), int(decl[i]), int(leader[i]))
                except ImpossibleDeal as error:
                    raise ImpossibleDeal(f"game {i}: {error}") from None
            zf_init(&self.states[i], masks, d[i], l[i])

    def __dealloc__(self):
        free(self.states)

    cdef _allocate(self, Py_ssize_t n):
        if n < 0:
            raise ValueError(f"the number of games must not be negative, not {n}")
        self.states = <zf_state *>calloc(max(n, 1), sizeof(zf_state))
        if self.states == NULL:
            raise MemoryError(f"no memory for {n} games")
        self.size = n

    @staticmethod
    def deal(Py_ssize_t n, *, seed, first_game=0, stream=0):
        """n random deals; game i is numbered first_game + i in the given stream of the seed."""
        cdef GameBatch self = GameBatch.__new__(GameBatch)
        cdef uint64_t key = seed & 0xFFFFFFFFFFFFFFFF, first = first_game & 0xFFFFFFFFFFFFFFFF
        cdef uint64_t number = stream
        self._allocate(n)
        with nogil:
            zf_deal_many(self.states, n, key, number, first)
        return self

    def copy(self):
        """An independent copy of all games."""
        return self.take(np.arange(self.size))

    def take(self, rows):
        """A new batch of the games in rows (int [k], may repeat)."""
        cdef int64_t[::1] r = self._rows(rows)
        cdef GameBatch other = GameBatch.__new__(GameBatch)
        cdef Py_ssize_t i
        other._allocate(r.shape[0])
        for i in range(r.shape[0]):
            other.states[i] = self.states[r[i]]
        return other

    def __len__(self):
        return self.size

    cdef int64_t[::1] _rows(self, object rows):
        if rows is None:
            return np.arange(self.size, dtype=np.int64)
        array = np.ascontiguousarray(rows, np.int64)
        if array.ndim != 1:
            raise ValueError(f"rows must be one-dimensional, not {array.ndim}-dimensional")
        if array.size and (array.min() < 0 or array.max() >= self.size):
            raise IndexError(f"a row lies outside 0..{self.size - 1}")
        return array

    cdef _column(self, const uint8_t *first):
        """One byte of every state, uint8 [n]; first points into the first state."""
        out = np.empty(self.size, np.uint8)
        cdef uint8_t[::1] o = out
        cdef Py_ssize_t i
        for i in range(self.size):
            o[i] = first[i * <Py_ssize_t>sizeof(zf_state)]
        return out

    @property
    def to_play(self):
        return self._column(&self.states.to_play)

    @property
    def n_plays(self):
        return self._column(&self.states.n_plays)

    @property
    def over(self):
        return self.n_plays == 28

    @property
    def decl(self):
        return self._column(&self.states.decl)

    @property
    def leader(self):
        return self._column(&self.states.first_leader)

    @property
    def points(self):
        out = np.empty((self.size, 2), np.uint8)
        cdef uint8_t[:, ::1] o = out
        cdef Py_ssize_t i
        for i in range(self.size):
            o[i, 0] = self.states[i].points[0]
            o[i, 1] = self.states[i].points[1]
        return out

    @property
    def held(self):
        """Dominoes still held, masks, uint32 [n, 4]."""
        out = np.empty((self.size, 4), np.uint32)
        cdef uint32_t[:, ::1] o = out
        cdef Py_ssize_t i, seat
        for i in range(self.size):
            for seat in range(4):
                o[i, seat] = self.states[i].hand[seat]
        return out

    @property
    def hands(self):
        """Dominoes dealt, ascending per seat, uint8 [n, 4, 7]."""
        out = np.empty((self.size, 4, 7), np.uint8)
        cdef uint8_t[:, :, ::1] o = out
        cdef Py_ssize_t i, seat, k, d
        for i in range(self.size):
            for seat in range(4):
                k = 0
                for d in range(28):
                    if self.states[i].dealt[seat] >> d & 1:
                        o[i, seat, k] = d
                        k += 1
        return out

    cdef _plays(self, int shift, int mask):
        """One part of every play byte, uint8 [n, 28]; 255 from n_plays on."""
        out = np.full((self.size, 28), 255, np.uint8)
        cdef uint8_t[:, ::1] o = out
        cdef Py_ssize_t i, ply
        for i in range(self.size):
            for ply in range(self.states[i].n_plays):
                o[i, ply] = self.states[i].plays[ply] >> shift & mask
        return out

    @property
    def history(self):
        """Dominoes played in order, uint8 [n, 28]; 255 from n_plays on."""
        return self._plays(0, 31)

    @property
    def seats(self):
        """Seats that made the plays of history, uint8 [n, 28]; 255 from n_plays on."""
        return self._plays(5, 3)

    def legal(self, rows=None):
        """Masks of the legal dominoes of the seats to play, uint32 [k]; 0 = game over."""
        cdef int64_t[::1] r = self._rows(rows)
        out = np.empty(r.shape[0], np.uint32)
        cdef uint32_t[::1] o = out
        cdef Py_ssize_t i
        with nogil:
            for i in range(r.shape[0]):
                o[i] = zf_legal(&self.states[r[i]])
        return out

    def play(self, dominoes, rows=None):
        """Play one domino in each listed game (255 = leave that game alone).

        All plays are checked before any is made: IllegalPlay names the first bad game.
        """
        cdef int64_t[::1] r = self._rows(rows)
        cdef uint8_t[::1] d = _bytes(np.asarray(dominoes))
        cdef Py_ssize_t i, bad = -1
        if d.shape[0] != r.shape[0]:
            raise ValueError(f"{d.shape[0]} dominoes for {r.shape[0]} games")
        if rows is not None and len(np.unique(rows)) != r.shape[0]:
            raise ValueError("rows must not repeat when plays are made")
        with nogil:
            for i in range(r.shape[0]):
                if d[i] != 255 and (d[i] >= 28 or
                                    not zf_legal(&self.states[r[i]]) >> d[i] & 1):
                    bad = i
                    break
            if bad < 0:
                for i in range(r.shape[0]):
                    if d[i] != 255:
                        zf_play(&self.states[r[i]], d[i])
        if bad >= 0:
            raise _illegal(&self.states[r[bad]], d[bad], f"game {r[bad]}: ")

    def play_random(self, *, seed, games=None, stream=1, rows=None):
        """One uniformly random legal play in each listed game that is not over.

        games uint64 [k] numbers the games for the counter-based draw (default: their rows); the
        draw of a play depends only on (seed, stream, game, ply).
        """
        cdef int64_t[::1] r = self._rows(rows)
        cdef uint64_t[::1] g
        cdef uint64_t key = seed & 0xFFFFFFFFFFFFFFFF, number = stream
        g = np.ascontiguousarray(np.asarray(r) if games is None else games).astype(np.uint64)
        if g.shape[0] != r.shape[0]:
            raise ValueError(f"{g.shape[0]} game numbers for {r.shape[0]} games")
        if r.shape[0]:
            with nogil:
                zf_random_plays(self.states, &r[0], &g[0], r.shape[0], key, number)

    def observe(self, rows=None):
        """What the seats to play know, OBS_DTYPE [k]. ValueError if a listed game is over."""
        cdef int64_t[::1] r = self._rows(rows)
        out = np.zeros(r.shape[0], OBS_DTYPE)
        cdef uint8_t[::1] o = out.view(np.uint8)
        cdef Py_ssize_t i
        for i in range(r.shape[0]):
            if zf_over(&self.states[r[i]]):
                raise ValueError(f"game {r[i]} is over: no seat is to play")
        if r.shape[0]:
            with nogil:
                zf_observe_rows(<zf_obs *>&o[0], self.states, &r[0], r.shape[0])
        return out

    def positions(self, rows=None):
        """The positions of the listed games, all hands as they are, for a solver.

        Args:
            rows: int [k], may repeat; all games by default.

        Returns:
            POSITION_DTYPE [k].
        """
        cdef int64_t[::1] r = self._rows(rows)
        out = np.zeros(r.shape[0], POSITION_DTYPE)
        cdef uint8_t[::1] raw = out.view(np.uint8)
        cdef Py_ssize_t i
        if r.shape[0]:
            with nogil:
                for i in range(r.shape[0]):
                    zf_position_of(&(<zf_position *>&raw[0])[i], &self.states[r[i]])
        return out


def _bytes(array):
    """The array as contiguous uint8; values outside 0..255 become 254, an id that nothing has."""
    array = np.asarray(array)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind not in "iu":
        raise TypeError(f"domino ids must be integers, not {array.dtype}")
    return np.where((array < 0) | (array > 255), 254, array).astype(np.uint8)
