"""The compiled rules: one game with a pleasant API, many games with NumPy arrays."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from copy import deepcopy
from operator import index

import numpy as np

from zebfast.core.arrays import broadcast, integers, row_numbers
from zebfast.core.records import (
    CONTRACT_DTYPE, OBS_DTYPE, POSITION_DTYPE, contract_of_record, contract_record)
from zebfast.rules import (
    Contract, Declaration, IllegalPlay, ImpossibleDeal, check_contract, check_deal, domino_name)
from zebfast.rules import from_line, split_contract, to_line

from zebfast.core.arrays cimport columns
from zebfast.core.observe cimport zf_obs, zf_observe, zf_observe_rows


def isa():
    """Instruction set that the hot kernels run with here: 'x86-64-v3', 'baseline' or 'native'."""
    return zf_engine_isa().decode()


def random_games(Py_ssize_t n, *, uint64_t seed, uint64_t first_game=0):
    """Points of team 0 in n whole random games, uint8 [n].

    Game i is numbered first_game + i: its deal, declaration and leader come from stream 0 and its
    plays from stream 1 of the seed, so any split into calls gives the same games.
    """
    if n < 0:
        raise ValueError(f"the number of games must not be negative, not {n}")
    out = np.zeros(n, np.uint8)
    cdef uint8_t[::1] points = out
    if n:
        with nogil:
            zf_random_games(&points[0], n, seed, first_game)
    return out


cpdef list dominoes_of(uint32_t mask):
    """The dominoes of a mask, ascending: the numbers of its set bits among 0..27.

    >>> dominoes_of(0b1001)
    [0, 3]
    """
    return [d for d in range(ZF_N_DOMINOES) if mask >> d & 1]


cpdef uint32_t mask_of(object dominoes) except? 0:
    """The mask of some dominoes: bit d is set for domino d. ValueError for an id outside 0..27.

    >>> mask_of([0, 3]) == 0b1001
    True
    """
    cdef uint32_t mask = 0
    for domino in map(index, dominoes):
        if not 0 <= domino < ZF_N_DOMINOES:
            raise ValueError(f"domino {domino}: ids run from 0 to {ZF_N_DOMINOES - 1}")
        mask |= <uint32_t>1 << <uint32_t>domino
    return mask


cdef _illegal(const zf_state *s, domino, str where):
    """The error for a play that the rules do not allow."""
    name = domino_name(domino) if 0 <= domino < ZF_N_DOMINOES else f"domino {domino}"
    if zf_over(s):
        return IllegalPlay(f"{where}{name} cannot be played: all {ZF_N_PLIES} dominoes are down")
    allowed = ", ".join(domino_name(d) for d in dominoes_of(zf_legal(s)))
    return IllegalPlay(f"{where}seat {s.to_play} may not play {name}; legal plays are {allowed}")


cdef bint _follow_record(zf_state *s, const uint8_t *dominoes, Py_ssize_t n) noexcept nogil:
    """Make recorded plays, legal or not; false where a seat does not hold what it is to play."""
    cdef Py_ssize_t i
    for i in range(n):
        if dominoes[i] >= ZF_N_DOMINOES or not s.hand[s.to_play] >> dominoes[i] & 1:
            return False
        zf_play(s, dominoes[i])
    return True


cdef zf_state _no_games[1]  # where a batch points that was never made


def _with_attributes(copy, original):
    """The copy with what a subclass has added to the original."""
    return _with_state(copy, object.__getstate__(original))


def _with_state(copy, state):
    """The copy with attributes, as `object.__getstate__` gives them."""
    for part in state if isinstance(state, tuple) else (state,):
        for name, value in (part or {}).items():
            setattr(copy, name, value)
    return copy


def _restore_game(kind, hands, decl, leader, plays, contract=None):
    """A pickled game. Layouts of hidden dominoes may break rules, so plays need only be held."""
    cdef Game game = kind.__new__(kind)
    cdef const uint8_t[::1] dominoes = np.frombuffer(plays, np.uint8)
    game._start(hands, decl, leader, contract)
    if dominoes.shape[0] and not _follow_record(&game.state, &dominoes[0], dominoes.shape[0]):
        raise IllegalPlay("a pickled game has a play that its seat does not hold")
    return game


def _restore_batch(kind, hands, decl, leader, history, contracts=None):
    """Pickled games, as _restore_game."""
    cdef GameBatch games = kind.__new__(kind)
    cdef const uint8_t[:, ::1] dominoes = np.ascontiguousarray(history, np.uint8)
    cdef Py_ssize_t i, n
    games._start(hands, decl, leader)
    if contracts is not None:
        games._play_for(contracts)
    if dominoes.shape[0] != games.size or dominoes.shape[1] != ZF_N_PLIES:
        raise ValueError("pickled games and plays do not go together")
    for i in range(games.size):
        n = 0
        while n < ZF_N_PLIES and dominoes[i, n] != 255:
            n += 1
        if not _follow_record(&games.states[i], &dominoes[i, 0], n):
            raise IllegalPlay(f"pickled game {i} has a play that its seat does not hold")
    return games


cdef class Game:
    """One game of straight 42: deal, look, play, take back.

    >>> game = Game.deal(seed=1)
    >>> game.play(game.legal()[0])
    >>> len(game.plays)
    1

    Games are equal if deal, declaration, leader, contract and all plays are. `hash` is that of the game as it
    stands: do not play in a game that is a key. `str` is one line that `from_text` reads back;
    pickle and both kinds of copy work, those of subclasses with their attributes.
    """

    def __init__(self, hands, decl, leader, *, contract=None):
        """Four hands of seven domino ids, declaration 0..9, seat that leads.

        Args:
            contract: a zebfast.Contract, what the hand is played for; None: for points.

        Raises:
            ImpossibleDeal: names the rule that the deal or the contract breaks.
        """
        self._start(hands, decl, leader, contract)

    cdef _start(self, hands, decl, leader, contract):
        """A game of which nothing is played."""
        cdef const uint8_t[::1] raw
        cdef uint32_t masks[ZF_N_SEATS]
        hands = [[index(d) for d in hand] for hand in hands]
        decl, leader = index(decl), index(leader)
        check_deal(hands, decl, leader)
        for seat in range(ZF_N_SEATS):
            masks[seat] = mask_of(hands[seat])
        zf_init(&self.state, masks, decl, leader)
        if contract is not None:
            if not isinstance(contract, Contract):
                raise TypeError(f"a contract is a zebfast.Contract, not {type(contract).__name__}")
            check_contract(contract, leader)
            raw = contract_record(contract).reshape(1).view(np.uint8)
            memcpy(&self.state.contract, &raw[0], sizeof(zf_contract))

    @classmethod
    def deal(cls, seed, game=0):
        """Random deal number ``game`` of a seed (stream 0), with random declaration and leader."""
        cdef Game self = cls.__new__(cls)
        zf_deal(&self.state, seed & 0xFFFFFFFFFFFFFFFF, 0, game & 0xFFFFFFFFFFFFFFFF)
        return self

    @classmethod
    def from_text(cls, text):
        """The game of a line of text, as `str` writes it: hands dealt, declaration, leader, plays
        and, if there is one, the contract.

        >>> Game.from_text(str(Game.deal(seed=1))) == Game.deal(seed=1)
        True

        Raises:
            BadNotation: the line cannot be read.
            ImpossibleDeal: names the rule that the deal breaks.
            IllegalPlay: names the first play that is not legal, its seat and what that may play.
        """
        cdef Game self = cls.__new__(cls)
        line, contract = split_contract(text)
        hands, decl, leader, plays = from_line(line)
        self._start(hands, decl, leader, contract and Contract.from_text(contract))
        for number, domino in enumerate(plays, 1):
            self._play(domino, f"play {number}: ")
        return self

    @property
    def decl(self):
        """The Declaration."""
        return Declaration(self.state.decl)

    @property
    def leader(self):
        """Seat that led the first trick."""
        return self.state.first_leader

    @property
    def contract(self):
        """The Contract that it is played for; None: for points."""
        record = (<const char *>&self.state.contract)[:sizeof(zf_contract)]
        return contract_of_record(np.frombuffer(record, CONTRACT_DTYPE)[0])

    @property
    def hands(self):
        """Dominoes still held by each seat, ascending."""
        return [dominoes_of(self.state.hand[seat]) for seat in range(ZF_N_SEATS)]

    @property
    def dealt(self):
        """Dominoes dealt to each seat, ascending: a seat's slots 0..6."""
        return [dominoes_of(self.state.dealt[seat]) for seat in range(ZF_N_SEATS)]

    @property
    def to_play(self):
        """Seat to play; after the last trick, its winner."""
        return self.state.to_play

    @property
    def plays(self):
        """(seat, domino) of every play so far."""
        return [(self.state.plays[i] >> 5, self.state.plays[i] & 31)
                for i in range(self.state.n_plays)]

    @property
    def trick(self):
        """Dominoes on the table, the lead first."""
        return [self.state.plays[i] & 31
                for i in range(self.state.n_plays & ~3, self.state.n_plays)]

    @property
    def points(self):
        """Points taken by team 0 (seats 0 and 2) and team 1; 42 in all at the end."""
        return [self.state.points[0], self.state.points[1]]

    @property
    def over(self):
        """Whether all 28 dominoes are down."""
        return bool(zf_over(&self.state))

    def legal(self):
        """Legal dominoes of the seat to play, ascending; empty when the game is over."""
        return dominoes_of(zf_legal(&self.state))

    cdef _play(self, domino, str where):
        if not (0 <= domino < ZF_N_DOMINOES and zf_legal(&self.state) >> <int>domino & 1):
            raise _illegal(&self.state, domino, where)
        zf_play(&self.state, domino)

    def play(self, domino):
        """Play a domino, a whole number. IllegalPlay names the seat and what it may play."""
        self._play(index(domino), "")

    def undo(self):
        """Take the last play back; IndexError when there is none."""
        if self.state.n_plays == 0:
            raise IndexError("nothing to undo: no domino has been played")
        zf_rewind(&self.state, self.state.n_plays - 1)

    def observation(self):
        """What the seat to play knows, one OBS_DTYPE record; ValueError when the game is over."""
        if zf_over(&self.state):
            raise ValueError("the game is over: no seat is to play")
        cdef zf_obs obs
        zf_observe(&obs, &self.state)
        return np.frombuffer((<uint8_t *>&obs)[:sizeof(zf_obs)], OBS_DTYPE)[0]

    def perft(self, int depth):
        """Number of legal play sequences of the given depth from here."""
        cdef uint64_t total
        if depth < 0:
            raise ValueError(f"depth must not be negative, not {depth}")
        with nogil:
            total = zf_perft(&self.state, depth)
        return total

    def copy(self):
        """An independent copy, of the same class."""
        cdef Game other = type(self).__new__(type(self))
        other.state = self.state
        return _with_attributes(other, self)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        cdef Game other = type(self).__new__(type(self))
        other.state = self.state
        memo[id(self)] = other
        return _with_state(other, deepcopy(object.__getstate__(self), memo))

    def __reduce__(self):
        plays = bytes(domino for _, domino in self.plays)
        parts = (type(self), self.dealt, int(self.decl), self.leader, plays, self.contract)
        return _restore_game, parts, object.__getstate__(self)

    def __eq__(self, other):
        if not isinstance(other, Game):
            return NotImplemented
        return memcmp(&self.state, &(<Game>other).state, sizeof(zf_state)) == 0

    def __hash__(self):
        return hash((<const char *>&self.state)[:sizeof(zf_state)])

    def __str__(self):
        line = to_line(self.dealt, self.decl, self.leader, [domino for _, domino in self.plays])
        return line if self.contract is None else f"{line} {self.contract}"

    def __repr__(self):
        return (f"<Game decl={self.decl} leader={self.leader} plays={self.state.n_plays} "
                f"points={self.points}>")


cdef class GameBatch:
    """n games side by side. Rows are games; every array it returns has the games first.

    Where a call takes ``rows``, they are int [k], which may repeat, or bool [n], marking games; all
    games by default. What is given for each row broadcasts, so that one value does for all.
    IndexError for a row outside 0..n-1.

    Batches are equal if their games are, one by one, which is one truth value. They change, so they
    have no hash. Pickle and both kinds of copy work, those of subclasses with their attributes.
    """

    def __init__(self, hands, decl, leader, *, contracts=None):
        """hands integer [n, 4, 7] (any order), decl and leader integer [n].

        Args:
            contracts: CONTRACT_DTYPE [n] or one for all, what hands are played for; None: for
                points.

        Raises:
            ImpossibleDeal: names the first bad game and the rule that it breaks.
            TypeError: they are not integers.
        """
        self._start(hands, decl, leader)
        if contracts is not None:
            self._play_for(contracts)

    def __cinit__(self, *args, **kwargs):
        self.states = _no_games

    cdef _start(self, object hands, object decl, object leader):
        """Games of which nothing is played."""
        cdef const uint8_t[:, :, ::1] h
        cdef const uint8_t[::1] d, l
        cdef uint32_t masks[ZF_N_SEATS]
        cdef uint32_t held
        cdef Py_ssize_t i, seat, k, n
        cdef bint good
        hands = np.asarray(hands)
        if hands.ndim != 3 or hands.shape[1:] != (ZF_N_SEATS, ZF_HAND_SIZE):
            raise ImpossibleDeal(f"hands have shape {hands.shape}, not [n, 4, 7]")
        h = _ids("hands", hands, hands.shape)
        try:
            d, l = _ids("decl", decl, hands.shape[:1]), _ids("leader", leader, hands.shape[:1])
        except ValueError as error:
            raise ImpossibleDeal(
                f"hands, decl and leader must have the same number of games: {error}") from None
        n = hands.shape[0]
        self._allocate(n)
        self.size = 0  # until all of them are games
        for i in range(n):
            good = d[i] < ZF_N_DECLARATIONS and l[i] < ZF_N_SEATS
            held = 0
            for seat in range(ZF_N_SEATS):
                masks[seat] = 0
                for k in range(ZF_HAND_SIZE):
                    good = good and h[i, seat, k] < ZF_N_DOMINOES
                    masks[seat] |= <uint32_t>1 << (h[i, seat, k] & 31)
                held |= masks[seat]
            if not good or held != ZF_ALL_DOMINOES:
                try:
                    check_deal(hands[i].tolist(), int(np.broadcast_to(decl, n)[i]),
                               int(np.broadcast_to(leader, n)[i]))
                except ImpossibleDeal as error:
                    raise ImpossibleDeal(f"game {i}: {error}") from None
            zf_init(&self.states[i], masks, d[i], l[i])
        self.size = n

    cdef _play_for(self, object contracts):
        """Set what the games are played for."""
        records = np.asarray(contracts)
        if records.dtype != CONTRACT_DTYPE:
            raise TypeError(f"contracts must be of CONTRACT_DTYPE, not {records.dtype}")
        wanted = np.ascontiguousarray(broadcast("contracts", records, (self.size,)))
        cdef const uint8_t[::1] raw = wanted.view(np.uint8)
        cdef const zf_contract *c
        cdef Py_ssize_t i
        for i in range(self.size):
            c = <const zf_contract *>&raw[i * <Py_ssize_t>sizeof(zf_contract)]
            if not zf_contract_possible(c, self.states[i].first_leader):
                raise ImpossibleDeal(
                    f"game {i}: {_impossible(wanted[i], self.states[i].first_leader)}")
        for i in range(self.size):
            self.states[i].contract = (<const zf_contract *>&raw[0])[i]

    def playing_for(self, contracts):
        """A copy in which the hands are played for these contracts, CONTRACT_DTYPE [n] or one.

        A record of zeros: for points. Raises as the constructor does.
        """
        cdef GameBatch other = self.copy()
        other._play_for(contracts)
        return other

    def __dealloc__(self):
        if self.states != _no_games:
            free(self.states)

    cdef _allocate(self, Py_ssize_t n):
        """Room for n games, once: others may be at work on those that are there."""
        if self.states != _no_games:
            raise RuntimeError("a batch of games is made once")
        if n < 0:
            raise ValueError(f"the number of games must not be negative, not {n}")
        states = <zf_state *>calloc(max(n, 1), sizeof(zf_state))
        if states == NULL:
            raise MemoryError(f"no memory for {n} games")
        self.states, self.size = states, n

    @classmethod
    def deal(cls, Py_ssize_t n, *, seed, first_game=0, stream=0):
        """n random deals; game i is number first_game + i of the given stream of the seed."""
        cdef GameBatch self = cls.__new__(cls)
        cdef uint64_t key = seed & 0xFFFFFFFFFFFFFFFF, first = first_game & 0xFFFFFFFFFFFFFFFF
        cdef uint64_t number = stream
        self._allocate(n)
        with nogil:
            zf_deal_many(self.states, n, key, number, first)
        return self

    @classmethod
    def of(cls, games):
        """These Games, side by side, as they stand. TypeError where one is none."""
        cdef GameBatch self = cls.__new__(cls)
        cdef Py_ssize_t i
        games = list(games)
        for game in games:
            if not isinstance(game, Game):
                raise TypeError(f"a Game is needed, not {type(game).__name__}")
        self._allocate(len(games))
        for i in range(self.size):
            self.states[i] = (<Game>games[i]).state
        return self

    def redeal(self, *, seed, games, stream=0, rows=None):
        """Begin other games in the listed rows: those of these numbers, integer [k], of a seed.

        As `deal` deals them. ValueError where a row is listed twice.
        """
        cdef const int64_t[::1] r = self._rows(rows)
        cdef const uint64_t[::1] g = integers("games", games, (r.shape[0],)).astype(np.uint64)
        cdef uint64_t key = seed & 0xFFFFFFFFFFFFFFFF, number = stream
        cdef Py_ssize_t i
        if rows is not None:
            self._expect_different(r, "when games begin")
        with nogil:
            for i in range(r.shape[0]):
                zf_deal(&self.states[r[i]], key, number, g[i])

    def game(self, row):
        """The game of a row, a copy. IndexError for a row outside 0..n-1."""
        cdef const int64_t[::1] r = self._rows([row])
        cdef Game game = Game.__new__(Game)
        game.state = self.states[r[0]]
        return game

    def copy(self):
        """An independent copy of all games, of the same class."""
        cdef GameBatch other = type(self).__new__(type(self))
        other._allocate(self.size)
        if self.size:
            memcpy(other.states, self.states, self.size * sizeof(zf_state))
        return _with_attributes(other, self)

    def take(self, rows):
        """A new GameBatch of the games in rows."""
        cdef const int64_t[::1] r = self._rows(rows)
        cdef GameBatch other = GameBatch.__new__(GameBatch)
        cdef Py_ssize_t i
        other._allocate(r.shape[0])
        for i in range(r.shape[0]):
            other.states[i] = self.states[r[i]]
        return other

    def __copy__(self):
        return self.copy()

    def __reduce__(self):
        parts = (type(self), self.hands, self.decl, self.leader, self.history, self.contracts)
        return _restore_batch, parts, object.__getstate__(self)

    def __eq__(self, other):
        if not isinstance(other, GameBatch):
            return NotImplemented
        cdef GameBatch games = other
        return self.size == games.size and (
            self.size == 0 or
            memcmp(self.states, games.states, self.size * sizeof(zf_state)) == 0)

    def __len__(self):
        return self.size

    def __repr__(self):
        return f"<GameBatch of {self.size} games>"

    cdef _column(self, const void *first, object dtype=np.uint8, tuple shape=()):
        """A field of every state; first points into the first state."""
        return columns(first, sizeof(zf_state), self.size, dtype, shape)

    cdef const int64_t[::1] _rows(self, object rows):
        return row_numbers(rows, self.size)

    cdef _expect_different(self, const int64_t[::1] r, str when):
        """ValueError where a row is listed twice."""
        cdef uint8_t[::1] listed = np.zeros(self.size, np.uint8)
        cdef Py_ssize_t i
        for i in range(r.shape[0]):
            if listed[r[i]]:
                raise ValueError(f"rows must not repeat {when}")
            listed[r[i]] = 1

    @property
    def to_play(self):
        """Seats to play, uint8 [n]; of finished games the winner of the last trick."""
        return self._column(&self.states.to_play)

    @property
    def n_plays(self):
        """Plays made, uint8 [n], 0..28."""
        return self._column(&self.states.n_plays)

    @property
    def over(self):
        """Whether all 28 dominoes are down, bool [n]."""
        return self.n_plays == ZF_N_PLIES

    @property
    def decl(self):
        """Declarations, uint8 [n]: ids of Declaration."""
        return self._column(&self.states.decl)

    @property
    def leader(self):
        """Seats that led the first trick, uint8 [n]."""
        return self._column(&self.states.first_leader)

    @property
    def contracts(self):
        """What the hands are played for, CONTRACT_DTYPE [n]; zeros: for points."""
        return self._column(&self.states.contract, CONTRACT_DTYPE)

    @property
    def aims(self):
        """Points with which each team has won, and with which it has lost: uint8 [n, 2, 2].

        By the contract; without one they are more than half, and fewer.
        """
        out = np.empty((self.size, 2, 2), np.uint8)
        cdef uint8_t[:, :, ::1] o = out
        cdef Py_ssize_t i, team
        cdef zf_aim aim
        for i in range(self.size):
            for team in range(2):
                aim = zf_aim_of(&self.states[i].contract, <uint32_t>team)
                o[i, team, 0], o[i, team, 1] = aim.won, aim.lost
        return out

    @property
    def points(self):
        """Points taken by team 0 (seats 0 and 2) and team 1, uint8 [n, 2]."""
        return self._column(self.states.points, np.uint8, (2,))

    @property
    def held(self):
        """Dominoes still held, 28-bit masks, uint32 [n, 4]; see dominoes_of."""
        return self._column(self.states.hand, np.uint32, (ZF_N_SEATS,))

    @property
    def hands(self):
        """Dominoes dealt, ascending per seat, uint8 [n, 4, 7]."""
        out = np.empty((self.size, ZF_N_SEATS, ZF_HAND_SIZE), np.uint8)
        cdef uint8_t[:, :, ::1] o = out
        cdef Py_ssize_t i, seat, k, d
        for i in range(self.size):
            for seat in range(ZF_N_SEATS):
                k = 0
                for d in range(ZF_N_DOMINOES):
                    if self.states[i].dealt[seat] >> d & 1:
                        o[i, seat, k] = d
                        k += 1
        return out

    cdef _plays(self, int shift, int mask):
        """One part of every play byte, uint8 [n, 28]; 255 from n_plays on."""
        out = np.full((self.size, ZF_N_PLIES), 255, np.uint8)
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
        cdef const int64_t[::1] r = self._rows(rows)
        out = np.empty(r.shape[0], np.uint32)
        cdef uint32_t[::1] o = out
        cdef Py_ssize_t i
        with nogil:
            for i in range(r.shape[0]):
                o[i] = zf_legal(&self.states[r[i]])
        return out

    def play(self, dominoes, rows=None):
        """Play one domino, integer [k], in each listed game; 255 leaves a game alone.

        All plays are checked before any is made.

        Raises:
            IllegalPlay: names the first bad game, its seat and what that seat may play.
            TypeError: dominoes are not integers.
            ValueError: a row is listed twice.
        """
        cdef const int64_t[::1] r = self._rows(rows)
        cdef const uint8_t[::1] d = _ids("dominoes", dominoes, (r.shape[0],))
        cdef Py_ssize_t i, bad = -1
        if rows is not None:
            self._expect_different(r, "when plays are made")
        with nogil:
            for i in range(r.shape[0]):
                if d[i] != 255 and (d[i] >= ZF_N_DOMINOES or
                                    not zf_legal(&self.states[r[i]]) >> d[i] & 1):
                    bad = i
                    break
            if bad < 0:
                for i in range(r.shape[0]):
                    if d[i] != 255:
                        zf_play(&self.states[r[i]], d[i])
        if bad >= 0:
            raise _illegal(&self.states[r[bad]], int(broadcast("dominoes", dominoes, (r.shape[0],))[bad]),
                           f"game {r[bad]}: ")

    def play_random(self, *, seed, games=None, stream=1, rows=None, until=None):
        """One uniformly random legal play in each listed game that is not over.

        With ``until``, a seat, plays are made until it is to play, which may be none, or the game
        is over. The draw of a play depends only on (seed, stream, game number, ply). games integer
        [k] numbers the games for it; by default a game's number is its row.
        """
        cdef uint32_t seat = 0
        cdef const int64_t[::1] r = self._rows(rows)
        cdef uint64_t key = seed & 0xFFFFFFFFFFFFFFFF, number = stream
        numbers = integers("games", np.asarray(r) if games is None else games, (r.shape[0],))
        cdef const uint64_t[::1] g = numbers.astype(np.uint64)
        if until is not None:
            if not 0 <= index(until) < ZF_N_SEATS:
                raise ValueError(f"seat {until}: seats run from 0 to 3")
            seat = index(until)
        if r.shape[0]:
            with nogil:
                if until is None:
                    zf_random_plays(self.states, &r[0], &g[0], r.shape[0], key, number)
                else:
                    zf_random_until(self.states, &r[0], &g[0], r.shape[0], key, number, seat)

    def observe(self, rows=None):
        """What the seats to play know, OBS_DTYPE [k]. ValueError if a listed game is over."""
        cdef const int64_t[::1] r = self._rows(rows)
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
        """The positions of the listed games, for a Solver, all hands as they are: POSITION_DTYPE [k]."""
        cdef const int64_t[::1] r = self._rows(rows)
        out = np.zeros(r.shape[0], POSITION_DTYPE)
        cdef uint8_t[::1] raw = out.view(np.uint8)
        cdef Py_ssize_t i
        if r.shape[0]:
            with nogil:
                for i in range(r.shape[0]):
                    zf_position_of(&(<zf_position *>&raw[0])[i], &self.states[r[i]])
        return out


def _impossible(record, leader):
    """What is wrong with a contract that is impossible, in words."""
    try:
        contract = contract_of_record(record)
        if contract is None:
            return "a contract without a bid says something else all the same"
        check_contract(contract, int(leader))
    except ImpossibleDeal as error:
        return str(error)


def _ids(name, values, shape):
    """Ids in this shape, contiguous uint8; those outside 0..255 become 254, which nothing has."""
    array = integers(name, values, shape)
    if array.dtype != np.uint8:
        array = np.where((array < 0) | (array > 255), 254, array)
    return np.ascontiguousarray(array, np.uint8)
