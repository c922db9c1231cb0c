# cython: wraparound=True
"""Whole games, compiled: one with a pleasant API, many with NumPy arrays."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from operator import index

import numpy as np

from zebfast.core.arrays import integers, row_numbers
from zebfast.core.engine import _with_attributes
from zebfast.core.records import HAND_RESULT_DTYPE
from zebfast.rules import (
    ALL_DECLARATIONS,
    CALLS,
    EVERY_TRICK_COUNTS,
    N_SEATS,
    NOT_DECIDED,
    PHASES,
    BadNotation,
    Declaration,
    HandResult,
    HandText,
    HouseDeclaration,
    IllegalCall,
    IllegalDeclaration,
    IllegalPlay,
    RuleSet,
    SeatView,
    WrongPhase,
    check_hands_of,
    contract_of,
    domino_name,
    doubles_in,
    game_from_text,
    game_to_text,
    illegal_call,
    refused_call,
    refused_declaration,
    wrong_phase,
)

from zebfast.core.engine cimport (
    ZF_N_DECLARATIONS,
    ZF_N_DOMINOES,
    ZF_N_PLIES,
    Game,
    GameBatch,
    dominoes_of,
    mask_of,
    zf_state,
)

cdef enum:
    END_HAND = 255  # in a game's own record; actions are below 32


class NoStraightHand(ValueError):
    """A hand of nello or sevens, which network, search, worlds and solver cannot play."""


cdef _rules_of(object rule_set, zf_rule_set *r):
    """The settings as C has them."""
    if not isinstance(rule_set, RuleSet):
        raise TypeError(f"a RuleSet is needed, not {type(rule_set).__name__}")
    straight, nello = rule_set.straight_declarations(), rule_set.house_declarations(7)
    r.target = rule_set.target
    r.for_points = rule_set.scoring == "points"
    r.drop30 = rule_set.auction == "drop30"
    r.force = rule_set.all_pass == "force"
    r.most_reshakes = rule_set.most_reshakes
    r.forced_bid = rule_set.forced_bid
    r.opening_marks = rule_set.opening_marks
    r.most_marks = rule_set.most_marks
    r.straight = sum(1 << (decl - 8) for decl in straight if decl >= 8)
    r.nello = sum(1 << (decl - ZF_NELLO) for decl in nello if decl != HouseDeclaration.SEVENS)
    r.nello_marks = rule_set.nello_marks
    r.plunge = rule_set.plunge
    r.splash = rule_set.splash
    r.sevens = rule_set.sevens
    r.partner_leads = rule_set.partner_leads
    r.early_end = rule_set.early_end


cdef _result(const zf_hand_result *last):
    """What the last hand brought, as Python has it."""
    thrown_in = last.made == ZF_THROWN_IN
    return HandResult(
        last.bid, None if thrown_in else last.bidder, None if thrown_in else last.decl,
        None if thrown_in else last.made == ZF_MADE, (last.points[0], last.points[1]),
        (last.award[0], last.award[1]))


cdef list _calls_of(uint32_t legal, const zf_rule_set *r, uint32_t standing):
    return [zf_call_of_bit(r, standing, bit) for bit in range(ZF_SPLASH_BIT + 1)
            if legal >> bit & 1]


cdef _declaration(int decl):
    return Declaration(decl) if decl < ZF_N_DECLARATIONS else HouseDeclaration(decl)


cdef str _where(const zf_whole_game *g):
    return f"hand {g.n_hands + (g.phase != ZF_PHASE_OVER)}: "


cdef _wrong_phase(const zf_whole_game *g, uint8_t wanted, str where):
    seat = zf_whole_seat(g)
    return WrongPhase(wrong_phase(
        where + _where(g), PHASES[g.phase], None if seat == ZF_NOBODY else seat,
        None if g.winner == ZF_NO_TEAM else g.winner, PHASES[wanted]))


cdef _illegal_call(const zf_whole_game *g, const zf_rule_set *r, rule_set, call, str where):
    """The error for a call that the rules do not allow."""
    seat, made = zf_whole_seat(g), [g.calls[i] for i in range(g.n_calls)]
    legal = _calls_of(zf_whole_legal(g, r), r, g.bid)
    why = illegal_call(rule_set, made, doubles_in(dominoes_of(g.hand.dealt[seat])), call,
                       must_bid=zf_whole_must_bid(g, r))
    return IllegalCall(refused_call(where + _where(g), seat, call, why, legal))


cdef _illegal_declaration(const zf_whole_game *g, const zf_rule_set *r, decl, str where):
    return IllegalDeclaration(refused_declaration(
        where + _where(g), zf_whole_seat(g), decl, g.bid, dominoes_of(zf_whole_legal(g, r))))


cdef _illegal_play(const zf_whole_game *g, const zf_rule_set *r, domino, str where):
    name = domino_name(domino) if 0 <= domino < ZF_N_DOMINOES else f"domino {domino}"
    allowed = ", ".join(map(domino_name, dominoes_of(zf_whole_legal(g, r))))
    return IllegalPlay(f"{where}{_where(g)}seat {zf_whole_seat(g)} may not play {name}; "
                       f"legal plays are {allowed}")


def auction_perft(rule_set=None):
    """Number of complete auctions among hands that can neither plunge nor splash.

    >>> auction_perft()
    3214
    """
    cdef zf_rule_set r
    _rules_of(rule_set or RuleSet(), &r)
    return zf_auction_perft(&r)


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
    _rules_of(rule_set or RuleSet(), &r)
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


def _restore_whole(kind, text, seed, game):
    """A pickled game: its text, and what deals its next hands."""
    cdef WholeGame restored = kind.__new__(kind)
    restored._read(text, seed, game)
    return restored


cdef class WholeGame:
    """One game to seven marks, or by whatever the rule set says: hand after hand, each with its
    auction, its declaration and its play.

    >>> game = WholeGame(seed=1)
    >>> game.phase, game.seat
    ('call', 2)
    >>> game.call(30)
    >>> game.calls
    [(2, 30)]

    With a seed, hands are dealt by the game; without one, in the phase ``deal``, by `deal`. Calls
    are whole numbers: 0 passes, 30 to 41 bid points, 42 m bids m marks, 42 m + 1 is a plunge and
    42 m + 2 a splash (`call_name`, `call_of`).

    Games are equal if rule sets, shakers, deals and everything done in them are; seeds, which deal
    hands to come, are not compared. `hash` is that of the game as it stands. `str` is text that
    `from_text` reads back; pickle and both kinds of copy work.
    """

    def __init__(self, rule_set=None, *, shaker=None, seed=None, game=0):
        """A game of which nothing is done.

        Args:
            rule_set: a RuleSet; straight tournament rules if None.
            shaker: seat that shakes the first hand; if None the seed's choice, or seat 0.
            seed: deals the hands, which are those of number ``game`` of the seed (stream 11).
        """
        self._start(rule_set or RuleSet(), shaker, seed, game)
        self._after()

    cdef _start(self, rule_set, shaker, seed, game):
        _rules_of(rule_set, &self.rules)
        self._rule_set = rule_set
        self._seed = None if seed is None else index(seed) & 0xFFFFFFFFFFFFFFFF
        self._game = index(game) & 0xFFFFFFFFFFFFFFFF
        if shaker is None:
            shaker = 0 if seed is None else zf_whole_first_shaker(self._seed, self._game)
        if not 0 <= index(shaker) < N_SEATS:
            raise ValueError(f"shaker {shaker}: seats run from 0 to 3")
        zf_whole_init(&self.state, shaker)
        self._hands, self._results = [], []

    @classmethod
    def from_text(cls, text):
        """The game of a text, as `str` writes it; without a seed.

        Raises:
            BadNotation: it cannot be read, or its hands do not follow each other.
            SettingError: its rule set is none.
            ImpossibleDeal, IllegalCall, IllegalDeclaration, IllegalPlay, WrongPhase: name the hand
                and the rule that it breaks.
        """
        cdef WholeGame self = cls.__new__(cls)
        self._read(text, None, 0)
        return self

    def _read(self, text, seed, game):
        rule_set, hands = game_from_text(text)
        self._start(rule_set, hands[0].shaker, None, game)
        for number, hand in enumerate(hands, 1):
            if self.state.phase != ZF_PHASE_DEAL:
                last = number - 1
                raise BadNotation(f"hand {last} is not finished, and another follows"
                                  if self.state.phase != ZF_PHASE_OVER else
                                  f"the game is over with hand {last}, and another follows")
            if hand.shaker != self.state.shaker:
                raise BadNotation(f"hand {number}: seat {self.state.shaker} shakes after the seat "
                                  f"before it, not seat {hand.shaker}")
            self._read_hand(hand)
        self._seed = seed
        self._after()

    def _read_hand(self, hand):
        if hand.hands is None:
            if hand.calls or hand.decl is not None or hand.dominoes or hand.ended:
                raise BadNotation(f"{_where(&self.state)}something is done before the deal")
            return
        self.deal(hand.hands)
        calls = hand.calls
        if self.rules.drop30:
            if calls != [30]:
                raise BadNotation(f"{_where(&self.state)}the calls are 30 where nobody is asked")
            calls = []
        for call in calls:
            self.call(call)
        if hand.decl is not None:
            self.declare(hand.decl)
        for domino in hand.dominoes:
            self.play(domino)
        if hand.ended:
            self.end_hand()

    # --- how it stands ---------------------------------------------------------------------------

    @property
    def rule_set(self):
        """What is played."""
        return self._rule_set

    @property
    def seed(self):
        """What deals the hands; None where `deal` does."""
        return self._seed

    @property
    def game(self):
        """Number of the game among those of its seed."""
        return self._game

    @property
    def phase(self):
        """``deal``, ``call``, ``declare``, ``play`` or ``over``: what is to be done."""
        return PHASES[self.state.phase]

    @property
    def over(self):
        """Whether a team has won."""
        return self.state.phase == ZF_PHASE_OVER

    @property
    def winner(self):
        """The team that has won (0: seats 0 and 2); None before the end."""
        return None if self.state.winner == ZF_NO_TEAM else self.state.winner

    @property
    def marks(self):
        """Marks of the two teams, or their points in a game for points."""
        return [self.state.marks[0], self.state.marks[1]]

    @property
    def shaker(self):
        """The seat that shook the hand in play, or is to shake the next."""
        return self.state.shaker

    @property
    def seat(self):
        """The seat that is to act; None before a deal and at the end."""
        seat = zf_whole_seat(&self.state)
        return None if seat == ZF_NOBODY else seat

    @property
    def hand_number(self):
        """Of the hand in play or to be dealt, from 1; of the last one when the game is over."""
        return self.state.n_hands + (self.state.phase != ZF_PHASE_OVER)

    @property
    def results(self):
        """A HandResult for every hand that has ended, those thrown in included."""
        return list(self._results)

    @property
    def calls(self):
        """(seat, call) of the auction of the hand dealt last."""
        first = self.shaker + 1 if self._live() else self.shaker
        return [((first + i) % N_SEATS, self.state.calls[i]) for i in range(self.state.n_calls)]

    def _live(self):
        """Whether the hand dealt last has not ended; then the shaker is still its own."""
        return self.state.phase != ZF_PHASE_DEAL

    @property
    def bid(self):
        """The standing bid; 0 while there is none."""
        return self.state.bid

    @property
    def bidder(self):
        """The seat that made the standing bid; None while there is none."""
        return None if self.state.bidder == ZF_NOBODY else self.state.bidder

    @property
    def declarer(self):
        """The seat that names trumps: the bidder, or after a plunge or splash its partner."""
        if self.bidder is None:
            return None
        return (self.bidder + 2) % N_SEATS if contract_of(self.bid) else self.bidder

    @property
    def decl(self):
        """The Declaration or HouseDeclaration of the hand dealt last; None until it is made."""
        if self.state.hand.n_plays == 0 and self.state.phase != ZF_PHASE_PLAY:
            return None
        return _declaration(self.state.hand.decl)

    @property
    def leader(self):
        """The seat that leads, or led, the first trick; None until the declaration."""
        return None if self.decl is None else self.state.hand.first_leader

    @property
    def hands(self):
        """Dominoes still held by each seat, ascending; empty before the first deal."""
        return [dominoes_of(self.state.hand.hand[seat]) for seat in range(N_SEATS)]

    @property
    def dealt(self):
        """Dominoes dealt to each seat, ascending."""
        return [dominoes_of(self.state.hand.dealt[seat]) for seat in range(N_SEATS)]

    @property
    def plays(self):
        """(seat, domino) of every play of the hand dealt last."""
        return [(self.state.hand.plays[i] >> 5, self.state.hand.plays[i] & 31)
                for i in range(self.state.hand.n_plays)]

    @property
    def trick(self):
        """Dominoes on the table, the lead first."""
        size = 3 if self.decl is not None and ZF_NELLO <= self.state.hand.decl < 14 else 4
        n = self.state.hand.n_plays
        return [self.state.hand.plays[i] & 31 for i in range(n // size * size, n)]

    @property
    def points(self):
        """Points of the two teams in the tricks of the hand dealt last."""
        return [self.state.hand.points[0], self.state.hand.points[1]]

    @property
    def made(self):
        """Whether the hand in play is made or set already; None while that is open."""
        decided = zf_whole_decided(&self.state)
        return None if decided == ZF_UNDECIDED else decided == ZF_MADE

    # --- what may be done, and doing it ----------------------------------------------------------

    def legal_calls(self):
        """Calls that the seat to call may make, ascending but for plunge and splash at the end."""
        if self.state.phase != ZF_PHASE_CALL:
            return []
        return _calls_of(zf_whole_legal(&self.state, &self.rules), &self.rules, self.state.bid)

    def legal_declarations(self):
        """What the declarer may declare, by ids; empty in another phase."""
        if self.state.phase != ZF_PHASE_DECLARE:
            return []
        return [_declaration(d) for d in dominoes_of(zf_whole_legal(&self.state, &self.rules))]

    def legal_plays(self):
        """Dominoes that the seat to play may play, ascending; empty in another phase."""
        if self.state.phase != ZF_PHASE_PLAY:
            return []
        return dominoes_of(zf_whole_legal(&self.state, &self.rules))

    def deal(self, hands):
        """Deal the next hand: four hands of seven domino ids. ImpossibleDeal names the rule."""
        self._expect(ZF_PHASE_DEAL)
        hands = [[index(d) for d in hand] for hand in hands]
        check_hands_of(_where(&self.state), hands)
        self._deal(tuple(mask_of(hand) for hand in hands))

    cdef _deal(self, tuple masks):
        cdef uint32_t hands[4]
        before = (<const char *>&self.state)[:sizeof(zf_whole_game)]
        for seat in range(N_SEATS):
            hands[seat] = masks[seat]
        zf_whole_deal(&self.state, &self.rules, hands)
        self._hands.append((before, masks, bytearray()))

    cdef _expect(self, uint8_t phase):
        if self.state.phase != phase:
            raise _wrong_phase(&self.state, phase, "")

    cdef _act(self, uint32_t action):
        """Do something legal, or end the hand, and what follows from it."""
        self._hands[-1][2].append(action)
        if action == END_HAND:
            zf_whole_end_hand(&self.state, &self.rules)
        else:
            zf_whole_act(&self.state, &self.rules, action)
        self._after()

    cdef _after(self):
        """Keep the result of a hand that has ended, and deal the next one."""
        cdef zf_whole_game next
        if self.state.n_hands > len(self._results):
            self._results.append(_result(&self.state.last))
        if self.state.phase == ZF_PHASE_DEAL and self._seed is not None:
            next = self.state
            zf_whole_deal_seeded(&next, &self.rules, self._seed, self._game)
            self._deal(tuple(next.hand.dealt[seat] for seat in range(N_SEATS)))

    def call(self, call):
        """Pass (0) or bid. IllegalCall names the seat, the rule and the legal calls."""
        self._expect(ZF_PHASE_CALL)
        call = index(call)
        legal = zf_whole_legal(&self.state, &self.rules)
        for bit in dominoes_of(legal):
            if zf_call_of_bit(&self.rules, self.state.bid, bit) == call:
                return self._act(bit)
        raise _illegal_call(&self.state, &self.rules, self._rule_set, call, "")

    def declare(self, decl):
        """Name trumps, or a contract of the house, by id. IllegalDeclaration names the legal ones.
        """
        self._expect(ZF_PHASE_DECLARE)
        decl = index(decl)
        if not (0 <= decl < 32 and zf_whole_legal(&self.state, &self.rules) >> <int>decl & 1):
            raise _illegal_declaration(&self.state, &self.rules, decl, "")
        self._act(decl)

    def play(self, domino):
        """Play a domino, a whole number. IllegalPlay names the seat and what it may play."""
        self._expect(ZF_PHASE_PLAY)
        domino = index(domino)
        if not (0 <= domino < 32 and zf_whole_legal(&self.state, &self.rules) >> <int>domino & 1):
            raise _illegal_play(&self.state, &self.rules, domino, "")
        self._act(domino)

    def end_hand(self):
        """End a hand that is decided (`made` is not None) without its last tricks.

        For rule sets with ``early_end=False``; the others end it themselves. WrongPhase if it may
        not be ended.
        """
        self._expect(ZF_PHASE_PLAY)
        if self.rules.for_points:
            raise WrongPhase(f"{_where(&self.state)}{EVERY_TRICK_COUNTS}")
        if self.made is None or self.trick:
            raise WrongPhase(f"{_where(&self.state)}{NOT_DECIDED}")
        self._act(END_HAND)

    def undo(self):
        """Take the last call, declaration or play back, and a deal after it; IndexError if none."""
        if not any(actions for _, _, actions in self._hands):
            raise IndexError("nothing to undo: nothing has been done since the first deal")
        while not self._hands[-1][2]:
            self._hands.pop()
        before, masks, actions = self._hands.pop()
        memcpy(&self.state, <const char *>before, sizeof(zf_whole_game))
        del self._results[self.state.n_hands:]
        self._deal(masks)
        for action in actions[:-1]:
            self._hands[-1][2].append(action)
            zf_whole_act(&self.state, &self.rules, action)

    # --- who sees what ---------------------------------------------------------------------------

    def seen_by(self, seat):
        """What a seat knows, a SeatView: its own hand and what lies open to all."""
        seat = index(seat)
        if not 0 <= seat < N_SEATS:
            raise ValueError(f"seat {seat}: seats run from 0 to 3")
        legal = self.legal_calls() + self.legal_declarations() + self.legal_plays()
        return SeatView(
            seat=seat, rule_set=self._rule_set, marks=tuple(self.marks),
            results=tuple(self._results), hand_number=self.hand_number, shaker=self.shaker,
            phase=self.phase, to_act=self.seat, dealt=tuple(self.dealt[seat]),
            hand=tuple(self.hands[seat]), calls=tuple(self.calls), bid=self.bid,
            bidder=self.bidder, declarer=self.declarer,
            decl=None if self.decl is None else int(self.decl), plays=tuple(self.plays),
            trick=tuple(self.trick), points=tuple(self.points),
            legal=tuple(map(int, legal)) if seat == self.seat else ())

    def hand_game(self):
        """The hand in play as a Game, which players, solver and worlds take.

        Raises:
            WrongPhase: no hand is in play.
            NoStraightHand: nello and sevens, which they cannot play.
        """
        self._expect(ZF_PHASE_PLAY)
        if self.state.hand.decl >= ZF_N_DECLARATIONS:
            raise NoStraightHand(_no_straight_hand(_where(&self.state), self.state.hand.decl))
        cdef Game game = Game.__new__(Game)
        game.state = self.state.hand
        return game

    # --- as Python objects -----------------------------------------------------------------------

    def copy(self):
        """An independent copy, of the same class."""
        cdef WholeGame other = type(self).__new__(type(self))
        other.state, other.rules = self.state, self.rules
        other._rule_set, other._seed, other._game = self._rule_set, self._seed, self._game
        other._hands = [(before, masks, bytearray(done)) for before, masks, done in self._hands]
        other._results = list(self._results)
        return _with_attributes(other, self)

    def __copy__(self):
        return self.copy()

    def __reduce__(self):
        parts = (type(self), str(self), self._seed, self._game)
        return _restore_whole, parts, object.__getstate__(self)

    def __eq__(self, other):
        if not isinstance(other, WholeGame):
            return NotImplemented
        cdef WholeGame game = other
        return (self._rule_set == game._rule_set and self._hands == game._hands and
                memcmp(&self.state, &game.state, sizeof(zf_whole_game)) == 0)

    def __hash__(self):
        return hash((<const char *>&self.state)[:sizeof(zf_whole_game)])

    def __str__(self):
        return game_to_text(self._rule_set, self._texts())

    def _texts(self):
        """Every hand as its line has it: played again from its deal."""
        cdef zf_whole_game g
        found = []
        for before, masks, actions in self._hands:
            memcpy(&g, <const char *>before, sizeof(zf_whole_game))
            shaker, calls, decl, dominoes = g.shaker, [], None, []
            for seat in range(N_SEATS):
                g.hand.dealt[seat] = masks[seat]
            zf_whole_deal(&g, &self.rules, g.hand.dealt)
            if self.rules.drop30:
                calls.append(30)
            for action in actions:
                if action == END_HAND:
                    continue
                if g.phase == ZF_PHASE_CALL:
                    calls.append(zf_call_of_bit(&self.rules, g.bid, action))
                elif g.phase == ZF_PHASE_DECLARE:
                    decl = action
                else:
                    dominoes.append(action)
                zf_whole_act(&g, &self.rules, action)
            ended = bool(actions) and actions[-1] == END_HAND
            dealt = [dominoes_of(mask) for mask in masks]
            found.append(HandText(shaker, dealt, calls, decl, dominoes, ended))
        if self.state.phase == ZF_PHASE_DEAL:
            found.append(HandText(self.state.shaker, None, [], None, [], False))
        return found

    def __repr__(self):
        return f"<WholeGame hand={self.hand_number} phase={self.phase} marks={self.marks}>"


def _no_straight_hand(where, decl):
    return (f"{where}{ALL_DECLARATIONS[decl]} is played by its own rules: network, search, worlds "
            "and solver know straight hands alone")


cdef class WholeGameBatch:
    """n whole games side by side, dealt by a seed. Rows are games; arrays have the games first.

    Where a call takes ``rows``, they are int [k], which may repeat, or bool [n]; all games by
    default. An action is one small number, by the phase: the place of a call in a mask (pass,
    30..41, 1..7 marks, plunge, splash: `CALLS`), a declaration's id, or a domino.
    """

    def __init__(self, Py_ssize_t n, *, seed, first_game=0, rule_set=None):
        """Game i is number first_game + i of the seed, as `WholeGame` has it."""
        cdef Py_ssize_t i
        cdef uint64_t number
        self._rule_set = rule_set or RuleSet()
        _rules_of(self._rule_set, &self.rules)
        self._seed, self._first_game = seed & 0xFFFFFFFFFFFFFFFF, first_game & 0xFFFFFFFFFFFFFFFF
        self._allocate(n)
        for i in range(n):
            number = self._number(i)
            zf_whole_init(&self.states[i], zf_whole_first_shaker(self._seed, number))
            zf_whole_deal_seeded(&self.states[i], &self.rules, self._seed, number)

    def __dealloc__(self):
        free(self.states)

    cdef _allocate(self, Py_ssize_t n):
        if n < 0:
            raise ValueError(f"the number of games must not be negative, not {n}")
        free(self.states)
        self.size = 0
        self.states = <zf_whole_game *>calloc(max(n, 1), sizeof(zf_whole_game))
        if self.states == NULL:
            raise MemoryError(f"no memory for {n} games")
        self.size = n

    def _number(self, row):
        return (self._first_game + row) & 0xFFFFFFFFFFFFFFFF

    def copy(self):
        """An independent copy of all games."""
        cdef WholeGameBatch other = type(self).__new__(type(self))
        other.rules, other._rule_set = self.rules, self._rule_set
        other._seed, other._first_game = self._seed, self._first_game
        other._allocate(self.size)
        if self.size:
            memcpy(other.states, self.states, self.size * sizeof(zf_whole_game))
        return _with_attributes(other, self)

    def __copy__(self):
        return self.copy()

    def __reduce__(self):
        raise TypeError("a WholeGameBatch keeps no history to be pickled by; pickle WholeGames")

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

    cdef _column(self, const uint8_t *first):
        """One byte of every state, uint8 [n]; first points into the first state."""
        out = np.empty(self.size, np.uint8)
        cdef uint8_t[::1] o = out
        cdef Py_ssize_t i
        for i in range(self.size):
            o[i] = first[i * <Py_ssize_t>sizeof(zf_whole_game)]
        return out

    cdef _words(self, const uint16_t *first, Py_ssize_t each):
        """So many 16-bit numbers of every state, uint16 [n, each]."""
        out = np.empty((self.size, each), np.uint16)
        cdef uint16_t[:, ::1] o = out
        cdef Py_ssize_t i, k
        for i in range(self.size):
            for k in range(each):
                o[i, k] = first[i * <Py_ssize_t>(sizeof(zf_whole_game) // 2) + k]
        return out

    cdef const int64_t[::1] _rows(self, object rows):
        return row_numbers(rows, self.size)

    @property
    def rule_set(self):
        """What is played."""
        return self._rule_set

    @property
    def seed(self):
        """What deals the hands."""
        return self._seed

    @property
    def first_game(self):
        """Number of the first game among those of the seed."""
        return self._first_game

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
        return self._words(self.states.marks, 2)

    @property
    def n_hands(self):
        """Hands that have ended, those thrown in included, uint16 [n]."""
        return self._words(&self.states.n_hands, 1)[:, 0]

    @property
    def calls(self):
        """Calls of the auction of the hand in play, uint16 [n, 4]; zero beyond n_calls."""
        return self._words(self.states.calls, 4)

    @property
    def n_calls(self):
        """How many of them are made, uint8 [n]."""
        return self._column(&self.states.n_calls)

    @property
    def bid(self):
        """Standing bids, uint16 [n]; 0 while there is none."""
        return self._words(&self.states.bid, 1)[:, 0]

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
        out = np.empty((self.size, N_SEATS), np.uint32)
        cdef uint32_t[:, ::1] o = out
        cdef Py_ssize_t i, seat
        for i in range(self.size):
            for seat in range(4):
                o[i, seat] = self.states[i].hand.hand[seat]
        return out

    @property
    def points(self):
        """Points of the two teams in the hands in play, uint8 [n, 2]."""
        return np.stack([self._column(&self.states.hand.points[0]),
                         self._column(&self.states.hand.points[1])], axis=1)

    @property
    def last(self):
        """What the hand before brought, HAND_RESULT_DTYPE [n]; made is 3 before there is one."""
        out = np.empty(self.size, HAND_RESULT_DTYPE)
        cdef uint8_t[::1] o = out.view(np.uint8)
        cdef Py_ssize_t i
        for i in range(self.size):
            memcpy(&o[i * <Py_ssize_t>sizeof(zf_hand_result)], &self.states[i].last,
                   sizeof(zf_hand_result))
        return out

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
            return _illegal_call(g, &self.rules, self._rule_set, call, where)
        if g.phase == ZF_PHASE_DECLARE:
            return _illegal_declaration(g, &self.rules, action, where)
        if g.phase == ZF_PHASE_PLAY:
            return _illegal_play(g, &self.rules, action, where)
        return _wrong_phase(g, ZF_PHASE_PLAY, where)

    def act(self, actions, rows=None):
        """Do one thing, integer [k], in each listed game; 255 leaves a game alone.

        All are checked before any is done; where a hand ends, the next one is dealt.

        Raises:
            IllegalCall, IllegalDeclaration, IllegalPlay, WrongPhase: name the first game, its hand
                and the rule.
            ValueError: a game is listed twice.
        """
        cdef const int64_t[::1] r = self._rows(rows)
        cdef const int64_t[::1] a = np.ascontiguousarray(
            integers("actions", actions, (r.shape[0],)), np.int64)
        cdef Py_ssize_t i
        if rows is not None and np.unique(r).size != r.shape[0]:
            raise ValueError("a game is listed twice: it can do one thing at a time")
        for i in range(r.shape[0]):
            if a[i] != 255 and not (
                    0 <= a[i] < 32 and
                    zf_whole_legal(&self.states[r[i]], &self.rules) >> a[i] & 1):
                raise self._refuse(r[i], a[i])
        for i in range(r.shape[0]):
            if a[i] != 255:
                zf_whole_act(&self.states[r[i]], &self.rules, <uint32_t>a[i])
                if self.states[r[i]].phase == ZF_PHASE_DEAL:
                    zf_whole_deal_seeded(&self.states[r[i]], &self.rules, self._seed,
                                         self._number(r[i]))

    def play_random(self, rows=None, *, seed=None):
        """One random legal action in each listed game that is not over.

        The draw is numbered by the game's actions (stream 12 of ``seed``, by default the batch's
        own), so that games do not depend on how they are batched.
        """
        cdef const int64_t[::1] r = self._rows(rows)
        cdef uint64_t key = (self._seed if seed is None else seed) & 0xFFFFFFFFFFFFFFFF
        numbers = np.asarray(r).astype(np.uint64) + np.uint64(self._first_game)
        cdef const uint64_t[::1] games = numbers
        if r.shape[0]:
            self._random(r, games, key)

    def _random(self, const int64_t[::1] r, const uint64_t[::1] games, uint64_t key):
        zf_whole_random_actions(self.states, &self.rules, &r[0], &games[0], r.shape[0], key)

    def hand_games(self, rows=None):
        """The hands in play as a GameBatch, which players, solver and worlds take.

        Raises:
            WrongPhase: names the first game in which no hand is in play.
            NoStraightHand: names the first game with nello or sevens, which they cannot play.
        """
        cdef const int64_t[::1] r = self._rows(rows)
        cdef GameBatch games = GameBatch.deal(r.shape[0], seed=0)
        cdef const zf_whole_game *g
        cdef Py_ssize_t i
        for i in range(r.shape[0]):
            g = &self.states[r[i]]
            if g.phase != ZF_PHASE_PLAY:
                raise _wrong_phase(g, ZF_PHASE_PLAY, f"game {r[i]}, ")
            if g.hand.decl >= ZF_N_DECLARATIONS:
                raise NoStraightHand(_no_straight_hand(f"game {r[i]}, {_where(g)}", g.hand.decl))
            games.states[i] = g.hand
        return games
