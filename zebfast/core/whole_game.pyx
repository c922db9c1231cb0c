# cython: wraparound=True
"""One whole game, compiled, with a pleasant API."""

from libc.string cimport memcmp, memcpy

from operator import index

from zebfast.core.engine import _with_attributes
from zebfast.core.whole_game_batch import WholeGameBatch
from zebfast.core.whole_rules import NoStraightHand
from zebfast.rules import (
    EVERY_TRICK_COUNTS,
    N_SEATS,
    NOT_DECIDED,
    SWEEP_OPEN,
    PHASES,
    BadNotation,
    Declaration,
    HandResult,
    HandText,
    HouseDeclaration,
    RuleSet,
    SeatView,
    WrongPhase,
    check_hands_of,
    contract_of,
    game_from_text,
    game_to_text,
)

from zebfast.core.engine cimport ZF_N_DECLARATIONS, Game, dominoes_of, mask_of
from zebfast.core.whole_rules cimport (
    ZF_MADE,
    ZF_NELLO,
    ZF_NO_TEAM,
    ZF_NOBODY,
    ZF_PHASE_CALL,
    ZF_PHASE_DEAL,
    ZF_PHASE_DECLARE,
    ZF_PHASE_OVER,
    ZF_PHASE_PLAY,
    ZF_SPLASH_BIT,
    ZF_THROWN_IN,
    ZF_UNDECIDED,
    call_error,
    calls_of,
    declaration_error,
    no_straight_hand,
    play_error,
    rules_of,
    where_of,
    wrong_phase_error,
    zf_call_of_bit,
    zf_hand_result,
    zf_whole_act,
    zf_whole_deal,
    zf_whole_deal_seeded,
    zf_whole_decided,
    zf_whole_end_hand,
    zf_whole_first_shaker,
    zf_whole_init,
    zf_whole_legal,
    zf_whole_seat,
    zf_whole_sweep_open,
)

cdef enum:
    END_HAND = 255  # in a game's own record; actions are below 32


cdef hand_result(const zf_hand_result *last):
    """What the last hand brought, as Python has it."""
    thrown_in = last.made == ZF_THROWN_IN
    return HandResult(
        last.bid, None if thrown_in else last.bidder, None if thrown_in else last.decl,
        None if thrown_in else last.made == ZF_MADE, (last.points[0], last.points[1]),
        (last.award[0], last.award[1]))


cdef _declaration(int decl):
    return Declaration(decl) if decl < ZF_N_DECLARATIONS else HouseDeclaration(decl)


def _restore_whole(kind, text, seed, game):
    """A pickled game: its text, and what deals its next hands."""
    cdef WholeGame restored = kind.__new__(kind)
    restored._read(text, seed, game)
    return restored


_STRAIGHT = RuleSet()  # of a tournament


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
        self._start(rule_set or _STRAIGHT, shaker, seed, game)
        self._after()

    def __cinit__(self, *args, **kwargs):
        self._start(_STRAIGHT, None, None, 0)

    cdef _start(self, rule_set, shaker, seed, game):
        cdef zf_rule_set rules
        rules_of(rule_set, &rules)
        seed = None if seed is None else index(seed) & 0xFFFFFFFFFFFFFFFF
        game = index(game) & 0xFFFFFFFFFFFFFFFF
        if shaker is None:
            shaker = 0 if seed is None else zf_whole_first_shaker(seed, game)
        if not 0 <= index(shaker) < N_SEATS:
            raise ValueError(f"shaker {shaker}: seats run from 0 to 3")
        # Nothing fails from here on: game and rules fit each other.
        self.rules, self._rule_set, self._seed, self._game = rules, rule_set, seed, game
        zf_whole_init(&self.state, index(shaker))
        self._hands, self._results = [], []

    @classmethod
    def from_text(cls, text, *, seed=None, game=0):
        """The game of a text, as `str` writes it.

        With a seed, hands to come are dealt as those of number ``game`` of that seed.

        Raises:
            BadNotation: it cannot be read, or its hands do not follow each other.
            SettingError: its rule set is none.
            ImpossibleDeal, IllegalCall, IllegalDeclaration, IllegalPlay, WrongPhase: name the hand
                and the rule that it breaks.
        """
        cdef WholeGame self = cls.__new__(cls)
        if seed is not None:
            seed = index(seed) & 0xFFFFFFFFFFFFFFFF
        self._read(text, seed, index(game) & 0xFFFFFFFFFFFFFFFF)
        return self

    @classmethod
    def from_batch(cls, batch, row):
        """The game in a row of a WholeGameBatch, with all that was done in it, to go on by itself.
        """
        cdef WholeGame self = cls(batch.rule_set, seed=batch.seed, game=int(batch.numbers[row]))
        for action in batch.actions(row):
            self.act(action)
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
                raise BadNotation(f"{where_of(&self.state)}something is done before the deal")
            return
        self.deal(hand.hands)
        calls = hand.calls
        if self.rules.drop30:
            if calls != [30]:
                raise BadNotation(f"{where_of(&self.state)}the calls are 30 where nobody is asked")
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
        return calls_of(zf_whole_legal(&self.state, &self.rules), &self.rules, self.state.bid)

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
        check_hands_of(where_of(&self.state), hands)
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
            raise wrong_phase_error(&self.state, phase, "")

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
            self._results.append(hand_result(&self.state.last))
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
        raise call_error(&self.state, &self.rules, self._rule_set, call, "")

    def declare(self, decl):
        """Name trumps, or a contract of the house, by id. IllegalDeclaration names the legal ones.
        """
        self._expect(ZF_PHASE_DECLARE)
        decl = index(decl)
        if not (0 <= decl < 32 and zf_whole_legal(&self.state, &self.rules) >> <int>decl & 1):
            raise declaration_error(&self.state, &self.rules, decl, "")
        self._act(decl)

    def play(self, domino):
        """Play a domino, a whole number. IllegalPlay names the seat and what it may play."""
        self._expect(ZF_PHASE_PLAY)
        domino = index(domino)
        if not (0 <= domino < 32 and zf_whole_legal(&self.state, &self.rules) >> <int>domino & 1):
            raise play_error(&self.state, &self.rules, domino, "")
        self._act(domino)

    def act(self, action):
        """Call, declare or play by the number that `WholeGameBatch.act` takes; the same errors."""
        cdef uint32_t legal = zf_whole_legal(&self.state, &self.rules)
        action = index(action)
        if 0 <= action < 32 and legal >> <int>action & 1:
            return self._act(action)
        if self.state.phase == ZF_PHASE_CALL:
            known = 0 <= action <= ZF_SPLASH_BIT
            self.call(zf_call_of_bit(&self.rules, self.state.bid, action) if known else action)
        elif self.state.phase == ZF_PHASE_DECLARE:
            self.declare(action)
        self.play(action)

    def end_hand(self):
        """End a hand that is decided (`made` is not None) without its last tricks.

        For rule sets with ``early_end=False``; the others end it themselves. WrongPhase if it may
        not be ended.
        """
        self._expect(ZF_PHASE_PLAY)
        if self.rules.for_points:
            raise WrongPhase(f"{where_of(&self.state)}{EVERY_TRICK_COUNTS}")
        if self.made is None or self.trick:
            raise WrongPhase(f"{where_of(&self.state)}{NOT_DECIDED}")
        if zf_whole_sweep_open(&self.state, &self.rules):
            raise WrongPhase(f"{where_of(&self.state)}{SWEEP_OPEN}")
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
            raise no_straight_hand(&self.state, "")
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
