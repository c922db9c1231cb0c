"""Many whole games, compiled, with NumPy arrays."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy

import numpy as np

from zebfast.core.arrays import integers, row_numbers
from zebfast.core.engine import _with_attributes
from zebfast.core.records import HAND_RESULT_DTYPE, OBS_DTYPE
from zebfast.rules import N_SEATS, RuleSet

from zebfast.core.arrays cimport columns
from zebfast.core.engine cimport ZF_N_DECLARATIONS, GameBatch, zf_select
from zebfast.core.observe cimport zf_obs, zf_observe
from zebfast.core.whole_rules cimport (
    ZF_PHASE_CALL,
    ZF_PHASE_DEAL,
    ZF_PHASE_DECLARE,
    ZF_PHASE_OVER,
    ZF_PHASE_PLAY,
    ZF_SPLASH_BIT,
    call_error,
    declaration_error,
    no_straight_hand,
    play_error,
    rules_of,
    wrong_phase_error,
    zf_call_of_bit,
    zf_rule_set,
    zf_whole_act,
    zf_whole_deal_seeded,
    zf_whole_first_shaker,
    zf_whole_game,
    zf_whole_init,
    zf_whole_legal,
    zf_whole_random_choice,
    zf_whole_random_games,
    zf_whole_seat,
)

cdef enum:
    LEAST_ROOM = 256  # actions that a game's log begins with


def random_whole_games(Py_ssize_t n, *, uint64_t seed, uint64_t first_game=0, rule_set=None):
    """Marks of the two teams in n whole games of random calls, declarations and plays, u2 [n, 2].

    Game i is numbered first_game + i: its hands are those of `WholeGame` with that seed and number,
    its actions come from stream 12 of the seed, so any split into calls gives the same games.
    """
    cdef zf_rule_set r
    cdef Py_ssize_t done = 0, i, some
    cdef zf_whole_game games[256]
    if n < 0:
        raise ValueError(f"the number of games must not be negative, not {n}")
    rules_of(rule_set or RuleSet(), &r)
    out = np.zeros((n, 2), np.uint16)
    cdef uint16_t[:, ::1] marks = out
    with nogil:
        while done < n:
            some = min(n - done, 256)
            zf_whole_random_games(games, &r, some, seed, first_game + <uint64_t>done)
            for i in range(some):
                marks[done + i, 0] = games[i].marks[0]
                marks[done + i, 1] = games[i].marks[1]
            done += some
    return out


def _restore_whole_batch(kind, rule_set, seed, numbers, done):
    """A pickled batch: its games from their deals on, everything done again and checked."""
    cdef WholeGameBatch games = kind.__new__(kind)
    WholeGameBatch.__init__(games, len(numbers), seed=seed, games=numbers, rule_set=rule_set)
    for row, actions in enumerate(done):
        games._redo(row, actions)
    return games


cdef zf_whole_game _no_games[1]  # where a batch points that was never made


cdef class WholeGameBatch:
    """n whole games side by side, dealt by a seed. Rows are games; arrays have the games first.

    Where a call takes ``rows``, they are int [k], which may repeat, or bool [n]; all games by
    default. An action is one small number, by the phase: the place of a call in a mask (pass,
    30..41, 1..7 marks, plunge, splash: `CALLS`), a declaration's id, or a domino.
    """

    def __init__(self, Py_ssize_t n, *, seed, first_game=0, rule_set=None, games=None):
        """Game i is number first_game + i of the seed, or games[i], as `WholeGame` has it.

        Args:
            games: numbers, integer [n], which may repeat.
        """
        cdef Py_ssize_t i
        cdef uint64_t first = first_game & 0xFFFFFFFFFFFFFFFF, key = seed & 0xFFFFFFFFFFFFFFFF
        cdef const uint64_t[::1] numbers
        cdef zf_rule_set rules
        rule_set = rule_set or RuleSet()
        rules_of(rule_set, &rules)
        if games is not None and n >= 0:
            numbers = integers("games", games, (n,)).astype(np.uint64)
        self._allocate(n)
        # Nothing fails from here on: every row becomes a game.
        self.rules, self._rule_set, self._seed = rules, rule_set, key
        for i in range(n):
            self._start(i, first + <uint64_t>i if games is None else numbers[i])

    def __cinit__(self, *args, **kwargs):
        self.states = _no_games

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.size):
            free(self.logs[i].actions)
        free(self.logs)
        free(self.games)
        if self.states != _no_games:
            free(self.states)

    cdef _allocate(self, Py_ssize_t n):
        """Room for n games, once: others may be at work on those that are there."""
        if self.states != _no_games:
            raise RuntimeError("a batch of games is made once")
        if n < 0:
            raise ValueError(f"the number of games must not be negative, not {n}")
        states = <zf_whole_game *>calloc(max(n, 1), sizeof(zf_whole_game))
        logs = <action_log *>calloc(max(n, 1), sizeof(action_log))
        games = <uint64_t *>calloc(max(n, 1), sizeof(uint64_t))
        if states == NULL or logs == NULL or games == NULL:
            free(states)
            free(logs)
            free(games)
            raise MemoryError(f"no memory for {n} games")
        self.states, self.logs, self.games, self.size = states, logs, games, n

    cdef void _start(self, Py_ssize_t row, uint64_t game) noexcept nogil:
        """Begin a game in a row: its number says who shakes first and what is dealt."""
        self.games[row] = game
        zf_whole_init(&self.states[row], zf_whole_first_shaker(self._seed, game))
        zf_whole_deal_seeded(&self.states[row], &self.rules, self._seed, game)

    cdef int _do(self, Py_ssize_t row, uint32_t action) except -1 nogil:
        """One legal action, kept in the row's log, and the next deal where a hand ends."""
        cdef zf_whole_game *g = &self.states[row]
        cdef action_log *log = &self.logs[row]
        cdef uint8_t *more
        if g.n_actions >= log.room:
            more = <uint8_t *>realloc(log.actions, 2 * <size_t>g.n_actions + LEAST_ROOM)
            if more == NULL:
                with gil:
                    raise MemoryError("no memory for what is done in a game")
            log.actions, log.room = more, 2 * g.n_actions + LEAST_ROOM
        log.actions[g.n_actions] = <uint8_t>action
        zf_whole_act(g, &self.rules, action)
        if g.phase == ZF_PHASE_DEAL:
            zf_whole_deal_seeded(g, &self.rules, self._seed, self.games[row])
        return 0

    cdef _redo(self, Py_ssize_t row, const uint8_t[::1] actions):
        """Do what a log says, after a check of each."""
        cdef Py_ssize_t i
        for i in range(actions.shape[0]):
            if actions[i] >= 32 or not (
                    zf_whole_legal(&self.states[row], &self.rules) >> actions[i] & 1):
                raise self._refuse(row, actions[i])
            self._do(row, actions[i])

    def restart(self, games, rows=None):
        """Begin other games in the listed rows, those of these numbers, integer [k].

        ValueError where a row is listed twice.
        """
        cdef const int64_t[::1] r = self._different_rows(rows)
        cdef const uint64_t[::1] numbers = integers("games", games, (r.shape[0],)).astype(np.uint64)
        cdef Py_ssize_t i
        for i in range(r.shape[0]):
            self._start(r[i], numbers[i])

    def copy(self):
        """An independent copy of all games."""
        cdef WholeGameBatch other = type(self).__new__(type(self))
        cdef Py_ssize_t i
        cdef uint32_t n
        other.rules, other._rule_set, other._seed = self.rules, self._rule_set, self._seed
        other._allocate(self.size)
        if self.size:
            memcpy(other.states, self.states, self.size * sizeof(zf_whole_game))
            memcpy(other.games, self.games, self.size * sizeof(uint64_t))
        for i in range(self.size):
            n = self.states[i].n_actions
            other.logs[i].actions = <uint8_t *>malloc(n + 1)
            if other.logs[i].actions == NULL:
                raise MemoryError(f"no memory for {self.size} games")
            if n:  # before its first action a game may have no log to copy from
                memcpy(other.logs[i].actions, self.logs[i].actions, n)
            other.logs[i].room = n
        return _with_attributes(other, self)

    def __copy__(self):
        return self.copy()

    def __reduce__(self):
        done = [self.actions(row) for row in range(self.size)]
        parts = (type(self), self._rule_set, self._seed, self.numbers, done)
        return _restore_whole_batch, parts, object.__getstate__(self)

    def __eq__(self, other):
        if not isinstance(other, WholeGameBatch):
            return NotImplemented
        cdef WholeGameBatch games = other
        return (self.size == games.size and self._rule_set == games._rule_set and (
            self.size == 0 or
            memcmp(self.states, games.states, self.size * sizeof(zf_whole_game)) == 0))

    def __len__(self):
        return self.size

    def __repr__(self):
        return f"<WholeGameBatch of {self.size} games>"

    cdef _column(self, const void *first, object dtype=np.uint8, tuple shape=()):
        """A field of every state; first points into the first state."""
        return columns(first, sizeof(zf_whole_game), self.size, dtype, shape)

    cdef const int64_t[::1] _rows(self, object rows):
        return row_numbers(rows, self.size)

    cdef const int64_t[::1] _different_rows(self, object rows):
        """Rows that something is done in. ValueError where one is listed twice."""
        cdef const int64_t[::1] r = self._rows(rows)
        if rows is not None and np.unique(r).size != r.shape[0]:
            raise ValueError("a game is listed twice: it can do one thing at a time")
        return r

    @property
    def rule_set(self):
        """What is played."""
        return self._rule_set

    @property
    def seed(self):
        """What deals the hands."""
        return self._seed

    @property
    def numbers(self):
        """Numbers of the games among those of the seed, uint64 [n]."""
        return columns(self.games, sizeof(uint64_t), self.size, np.uint64)

    def actions(self, row):
        """All that was done in a game, one byte each, as `act` takes them."""
        cdef const int64_t[::1] r = self._rows([row])
        cdef const zf_whole_game *g = &self.states[r[0]]
        return <bytes>self.logs[r[0]].actions[:g.n_actions] if g.n_actions else b""

    @property
    def phase(self):
        """Places in `PHASES`, uint8 [n]: 1 call, 2 declare, 3 play, 4 over."""
        return self._column(&self.states.phase)

    @property
    def over(self):
        """Whether a team has won, bool [n]."""
        return self.phase == ZF_PHASE_OVER

    @property
    def winner(self):
        """Teams that have won, uint8 [n]; 2 before the end."""
        return self._column(&self.states.winner)

    @property
    def shaker(self):
        """Seats that shook the hands in play, uint8 [n]."""
        return self._column(&self.states.shaker)

    @property
    def seat(self):
        """Seats to act, uint8 [n]; 4 at the end."""
        out = np.empty(self.size, np.uint8)
        cdef uint8_t[::1] o = out
        cdef Py_ssize_t i
        for i in range(self.size):
            o[i] = zf_whole_seat(&self.states[i])
        return out

    @property
    def marks(self):
        """Marks of the two teams, or points in a game for points, uint16 [n, 2]."""
        return self._column(self.states.marks, np.uint16, (2,))

    @property
    def n_hands(self):
        """Hands that have ended, those thrown in included, uint16 [n]."""
        return self._column(&self.states.n_hands, np.uint16)

    @property
    def calls(self):
        """Calls of the auction of the hand in play, uint16 [n, 4]; zero beyond n_calls."""
        return self._column(self.states.calls, np.uint16, (N_SEATS,))

    @property
    def n_calls(self):
        """How many of them are made, uint8 [n]."""
        return self._column(&self.states.n_calls)

    @property
    def bid(self):
        """Standing bids, uint16 [n]; 0 while there is none."""
        return self._column(&self.states.bid, np.uint16)

    @property
    def bidder(self):
        """Seats that made them, uint8 [n]; 4 while there is none."""
        return self._column(&self.states.bidder)

    @property
    def decl(self):
        """Declarations of the hands in play, house contracts too, uint8 [n]; 255 before."""
        return np.where(self.phase == ZF_PHASE_PLAY, self._column(&self.states.hand.decl), 255
                        ).astype(np.uint8)

    @property
    def held(self):
        """Dominoes held, 28-bit masks, uint32 [n, 4]; see dominoes_of."""
        return self._column(self.states.hand.hand, np.uint32, (N_SEATS,))

    @property
    def dealt(self):
        """Dominoes dealt, 28-bit masks, uint32 [n, 4]."""
        return self._column(self.states.hand.dealt, np.uint32, (N_SEATS,))

    @property
    def points(self):
        """Points of the two teams in the hands in play, uint8 [n, 2]."""
        return self._column(self.states.hand.points, np.uint8, (2,))

    @property
    def last(self):
        """What the hand before brought, HAND_RESULT_DTYPE [n]; made is 3 before there is one."""
        return self._column(&self.states.last, HAND_RESULT_DTYPE)

    def legal(self, rows=None):
        """Masks of the legal actions, uint32 [k]: of calls, declarations or dominoes; 0 = over."""
        cdef const int64_t[::1] r = self._rows(rows)
        out = np.empty(r.shape[0], np.uint32)
        cdef uint32_t[::1] o = out
        cdef Py_ssize_t i
        with nogil:
            for i in range(r.shape[0]):
                o[i] = zf_whole_legal(&self.states[r[i]], &self.rules)
        return out

    cdef _refuse(self, Py_ssize_t row, int64_t action):
        """The error for an action that is not legal in a row."""
        cdef const zf_whole_game *g = &self.states[row]
        where = f"game {row}, "
        if g.phase == ZF_PHASE_CALL:
            call = (zf_call_of_bit(&self.rules, g.bid, <uint32_t>action)
                    if 0 <= action <= ZF_SPLASH_BIT else action)
            return call_error(g, &self.rules, self._rule_set, call, where)
        if g.phase == ZF_PHASE_DECLARE:
            return declaration_error(g, &self.rules, action, where)
        if g.phase == ZF_PHASE_PLAY:
            return play_error(g, &self.rules, action, where)
        return wrong_phase_error(g, ZF_PHASE_PLAY, where)

    def act(self, actions, rows=None):
        """Do one thing, integer [k], in each listed game; 255 leaves a game alone.

        All are checked before any is done; where a hand ends, the next one is dealt.

        Raises:
            IllegalCall, IllegalDeclaration, IllegalPlay, WrongPhase: name the first game, its hand
                and the rule.
            ValueError: a game is listed twice.
        """
        cdef const int64_t[::1] r = self._different_rows(rows)
        cdef const int64_t[::1] a = np.ascontiguousarray(
            integers("actions", actions, (r.shape[0],)), np.int64)
        cdef Py_ssize_t i
        for i in range(r.shape[0]):
            if a[i] != 255 and not (
                    0 <= a[i] < 32 and
                    zf_whole_legal(&self.states[r[i]], &self.rules) >> a[i] & 1):
                raise self._refuse(r[i], a[i])
        with nogil:
            for i in range(r.shape[0]):
                if a[i] != 255:
                    self._do(r[i], <uint32_t>a[i])

    def act_forced(self, rows=None):
        """Do in each listed game what is forced, until a seat has a choice or the game is over.

        A hand that ends so is counted in `n_hands` and has its result in `last`: no game comes to
        the end of two in one call, because somebody has a choice in every hand.
        """
        cdef const int64_t[::1] r = self._rows(rows)
        cdef uint32_t legal
        cdef Py_ssize_t i
        with nogil:
            for i in range(r.shape[0]):
                legal = zf_whole_legal(&self.states[r[i]], &self.rules)
                while legal and not legal & (legal - 1):
                    self._do(r[i], zf_select(legal, 0, 1))
                    legal = zf_whole_legal(&self.states[r[i]], &self.rules)

    def play_random(self, rows=None, *, seed=None):
        """One random legal action in each listed game that is not over.

        The draw is numbered by the game's actions (stream 12 of ``seed``, by default the batch's
        own), so that games do not depend on how they are batched.
        """
        cdef const int64_t[::1] r = self._rows(rows)
        cdef uint64_t key = (self._seed if seed is None else seed) & 0xFFFFFFFFFFFFFFFF
        cdef Py_ssize_t i
        with nogil:
            for i in range(r.shape[0]):
                if self.states[r[i]].phase != ZF_PHASE_OVER:
                    self._do(r[i], zf_whole_random_choice(&self.states[r[i]], &self.rules, key,
                                                          self.games[r[i]]))

    def hand_games(self, rows=None):
        """The hands in play as a GameBatch, which players, solver and worlds take.

        Raises:
            WrongPhase: names the first game in which no hand is in play.
            NoStraightHand: names the first game with nello or sevens, which they cannot play.
        """
        cdef const int64_t[::1] r = self._rows(rows)
        cdef GameBatch games = GameBatch.__new__(GameBatch)
        cdef Py_ssize_t i
        self._expect_straight(r)
        games._allocate(r.shape[0])
        for i in range(r.shape[0]):
            games.states[i] = self.states[r[i]].hand
        return games

    def observe(self, rows=None):
        """What the seats to play know of the hands in play, OBS_DTYPE [k]; errors as hand_games."""
        cdef const int64_t[::1] r = self._rows(rows)
        out = np.zeros(r.shape[0], OBS_DTYPE)
        cdef uint8_t[::1] o = out.view(np.uint8)
        cdef Py_ssize_t i
        self._expect_straight(r)
        for i in range(r.shape[0]):
            zf_observe(&(<zf_obs *>&o[0])[i], &self.states[r[i]].hand)
        return out

    cdef _expect_straight(self, const int64_t[::1] r):
        """The error that names the first listed game in which no straight hand is in play."""
        cdef const zf_whole_game *g
        cdef Py_ssize_t i
        for i in range(r.shape[0]):
            g = &self.states[r[i]]
            if g.phase != ZF_PHASE_PLAY:
                raise wrong_phase_error(g, ZF_PHASE_PLAY, f"game {r[i]}, ")
            if g.hand.decl >= ZF_N_DECLARATIONS:
                raise no_straight_hand(g, f"game {r[i]}, ")
