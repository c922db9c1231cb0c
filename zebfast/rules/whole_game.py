"""A whole game, hand after hand: auction, declaration, play, marks. The slow twin of the C one.

Phases follow each other in every hand: ``deal``, ``call``, ``declare``, ``play``; the last hand
ends in ``over``. Where a seat has one legal thing to do it still does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zebfast.rules.auction import (
    MARK,
    PASS,
    IllegalCall,
    call_name,
    contract_of,
    doubles_in,
    illegal_call,
    legal_calls,
    marks_of,
    stake_of,
)
from zebfast.rules.position import IllegalPlay, ImpossibleDeal, Position, check_hands
from zebfast.rules.rule_set import RuleSet
from zebfast.rules.tiles import (
    ALL_DECLARATIONS,
    DOMINOES,
    N_ALL_DECLARATIONS,
    N_SEATS,
    TOTAL_POINTS,
    Declaration,
    HouseDeclaration,
)

PHASES = ("deal", "call", "declare", "play", "over")


class IllegalDeclaration(ValueError):
    """A declaration that may not be made after this bid; the message names the rule."""


class WrongPhase(ValueError):
    """Something that is not to be done now; the message says what is."""


@dataclass(frozen=True)
class HandResult:
    """What a hand brought.

    Attributes:
        bid: the call that won the auction; 0 where all passed and the hand was thrown in.
        bidder: the seat that made it.
        decl: id of the declaration, house contracts included.
        made: whether the contract was kept.
        points: points of the two teams in the tricks that were played.
        award: what the two teams scored: marks, or points in a game for points.

    Of a hand that was thrown in, ``bidder``, ``decl`` and ``made`` are None.
    """

    bid: int
    bidder: int | None
    decl: int | None
    made: bool | None
    points: tuple[int, int]
    award: tuple[int, int]


def longest_pip(hand: Sequence[int]) -> int:
    """The pip that most dominoes of a hand have, the higher of equals."""
    return max(range(7), key=lambda pip: (sum(pip in DOMINOES[d] for d in hand), pip))


def decided(bid: int, nello: bool, own: int, others: int, finished: bool) -> bool | None:
    """Whether a bid is made (True) or set (False) by the points so far; None while it is open.

    Args:
        nello: the contract is to take no trick.
        own: points of the bidder's side.
        others: points of the other side.
        finished: whether all tricks are played.
    """
    if nello:
        return False if own else (True if finished else None)
    need = min(bid, TOTAL_POINTS)
    if own >= need:
        return True
    return False if others > TOTAL_POINTS - need else None


def award(
    rule_set: RuleSet, bid: int, team: int, made: bool, points: Sequence[int], *, sweeps: bool
) -> list[int]:
    """What the two teams score for a contract of one of them; ``sweeps``: one that pays more for
    all seven tricks."""
    given = [0, 0]
    if rule_set.scoring == "marks":
        swept = sweeps and points[team] == TOTAL_POINTS
        given[team if made else 1 - team] = rule_set.forced_sweep if swept else stake_of(bid)
    elif made:
        given = list(points)
        given[team] = max(bid if bid > MARK else 0, points[team])
    else:
        given[1 - team] = points[1 - team] + bid
    return given


class WholePosition:
    """A whole game in progress.

    Args:
        rule_set: what is played.
        shaker: seat that shakes the first hand; the seat on its left calls first.
    """

    def __init__(self, rule_set: RuleSet | None = None, shaker: int = 0) -> None:
        if not 0 <= shaker < N_SEATS:
            raise ValueError(f"shaker {shaker}: seats run from 0 to 3")
        self.rule_set = rule_set or RuleSet()
        self.shaker = shaker
        self.marks = [0, 0]
        self.results: list[HandResult] = []
        self.winner: int | None = None
        self.phase = "deal"
        self.calls: list[int] = []
        self.dealt: list[list[int]] = []
        self.hand: Position | None = None
        self._thrown_in = 0  # hands, one after the other

    @property
    def hand_number(self) -> int:
        """Of the hand that is dealt or to be dealt, from 1; of the last one when all is over."""
        return len(self.results) + (self.phase != "over")

    @property
    def bid(self) -> int:
        """The standing bid; 0 while there is none."""
        return max(self.calls, default=PASS)

    @property
    def bidder(self) -> int | None:
        """The seat that made the standing bid."""
        if not self.bid:
            return None
        return (self.shaker + 1 + self.calls.index(self.bid)) % N_SEATS

    @property
    def declarer(self) -> int | None:
        """The seat that names trumps: the bidder, or after a plunge or splash its partner."""
        if self.bidder is None or not contract_of(self.bid):
            return self.bidder
        return (self.bidder + 2) % N_SEATS

    @property
    def seat(self) -> int | None:
        """The seat that is to act; None before a deal and at the end."""
        if self.phase == "call":
            return (self.shaker + 1 + len(self.calls)) % N_SEATS
        if self.phase == "declare":
            return self.declarer
        return self.hand.to_play if self.phase == "play" and self.hand else None

    def deal(self, hands: Sequence[Sequence[int]]) -> None:
        """Deal the next hand: four sequences of seven domino ids. ImpossibleDeal names the rule."""
        self._expect("deal")
        check_hands_of(self.where, hands)
        self.dealt = [sorted(hand) for hand in hands]
        self.calls, self.hand = [], None
        self.phase = "call"
        if self.rule_set.auction == "drop30":
            self.calls, self.phase = [30], "declare"

    @property
    def where(self) -> str:
        """How messages begin."""
        return f"hand {self.hand_number}: "

    def _expect(self, phase: str) -> None:
        if self.phase != phase:
            raise WrongPhase(wrong_phase(self.where, self.phase, self.seat, self.winner, phase))

    @property
    def must_bid(self) -> bool:
        """Whether the seat to call is the shaker who may not pass."""
        due = self.rule_set.all_pass == "force" or self._thrown_in >= self.rule_set.most_reshakes
        return due and len(self.calls) == N_SEATS - 1 and not self.bid

    @property
    def _forced(self) -> bool:
        """Whether the standing bid is one that the shaker had to make."""
        due = self.rule_set.all_pass == "force" or self._thrown_in >= self.rule_set.most_reshakes
        return due and len(self.calls) == N_SEATS and not any(self.calls[:-1])

    @property
    def _sweeps(self) -> bool:
        """Whether all seven tricks pay more than the contract of the hand in play."""
        straight = self.hand is not None and not is_nello(self.hand.decl)
        return self.rule_set.forced_sweep > 1 and self._forced and straight and self.bid < MARK

    @property
    def _sweep_open(self) -> bool:
        """Whether such a hand may still come to all seven tricks, so that it goes on."""
        if not self._sweeps or self.hand is None or self.bidder is None or self.hand.over:
            return False
        return self.hand.points[1 - self.bidder % 2] == 0

    def legal_calls(self) -> list[int]:
        """Calls that the seat to call may make; none in another phase."""
        if self.phase != "call" or self.seat is None:
            return []
        doubles = doubles_in(self.dealt[self.seat])
        return legal_calls(self.rule_set, self.calls, doubles, must_bid=self.must_bid)

    def call(self, call: int) -> None:
        """Pass or bid. IllegalCall names the rule that a call breaks."""
        self._expect("call")
        assert self.seat is not None
        legal = self.legal_calls()
        if call not in legal:
            doubles = doubles_in(self.dealt[self.seat])
            why = illegal_call(self.rule_set, self.calls, doubles, call, must_bid=self.must_bid)
            raise IllegalCall(refused_call(self.where, self.seat, call, why, legal))
        self.calls.append(call)
        if len(self.calls) < N_SEATS:
            return
        if self.bid:
            self.phase = "declare"
            return
        self._thrown_in += 1
        self._end(HandResult(PASS, None, None, None, (0, 0), (0, 0)))

    def legal_declarations(self) -> list[int]:
        """Ids of what may be declared; none in another phase."""
        if self.phase != "declare" or self.bidder is None:
            return []
        if self.rule_set.auction == "drop30":
            return [longest_pip(self.dealt[self.bidder])]
        straight = self.rule_set.straight_declarations()
        if contract_of(self.bid):
            return straight
        return straight + self.rule_set.house_declarations(marks_of(self.bid), forced=self._forced)

    def declare(self, decl: int) -> None:
        """Name trumps or a house contract. IllegalDeclaration names the rule that it breaks."""
        self._expect("declare")
        assert self.bidder is not None
        assert self.declarer is not None
        legal = self.legal_declarations()
        if decl not in legal:
            raise IllegalDeclaration(
                refused_declaration(self.where, self.declarer, decl, self.bid, legal)
            )
        leader = self.declarer if self.rule_set.partner_leads else self.bidder
        closed = (self.bidder + 2) % N_SEATS if is_nello(decl) else None
        self.hand = Position.of_contract(self.dealt, decl, leader, closed)
        self.phase = "play"

    def legal_plays(self) -> list[int]:
        """Dominoes that the seat to play may play, ascending; none in another phase."""
        return self.hand.legal() if self.phase == "play" and self.hand else []

    def play(self, domino: int) -> None:
        """Play a domino. IllegalPlay names the seat and what it may play."""
        self._expect("play")
        assert self.hand is not None
        try:
            self.hand.play(domino)
        except IllegalPlay as error:
            raise IllegalPlay(f"{self.where}{error}") from None
        early = self.rule_set.early_end and self.rule_set.scoring == "marks"
        if self.hand.over or (early and self.made is not None and not self._sweep_open):
            self._settle()

    @property
    def made(self) -> bool | None:
        """Whether the hand in play is made or set already; None while that is open."""
        if self.phase != "play" or self.hand is None or self.bidder is None:
            return None
        team = self.bidder % 2
        return decided(
            self.bid,
            is_nello(self.hand.decl),
            self.hand.points[team],
            self.hand.points[1 - team],
            self.hand.over,
        )

    def end_hand(self) -> None:
        """End a decided hand without the rest of its tricks."""
        self._expect("play")
        assert self.hand is not None
        if self.rule_set.scoring == "points":
            raise WrongPhase(f"{self.where}{EVERY_TRICK_COUNTS}")
        if self.made is None or self.hand.trick:
            raise WrongPhase(f"{self.where}{NOT_DECIDED}")
        if self._sweep_open:
            raise WrongPhase(f"{self.where}{SWEEP_OPEN}")
        self._settle()

    def _settle(self) -> None:
        made, hand, bidder = self.made, self.hand, self.bidder
        assert made is not None
        assert hand is not None
        assert bidder is not None
        given = award(
            self.rule_set, self.bid, bidder % 2, made, hand.points, sweeps=self._sweeps
        )  # fmt: skip
        self.marks = [have + more for have, more in zip(self.marks, given, strict=True)]
        self._thrown_in = 0
        points = (hand.points[0], hand.points[1])
        self._end(
            HandResult(self.bid, bidder, hand.decl, made, points, (given[0], given[1])),
            bidder % 2,
        )

    def _end(self, result: HandResult, team: int = 0) -> None:
        """The bidder's side counts first where both have what wins."""
        self.results.append(result)
        at_target = [side for side in (team, 1 - team) if self.marks[side] >= self.rule_set.target]
        if at_target:
            self.winner, self.phase = at_target[0], "over"
        else:
            self.shaker, self.phase = (self.shaker + 1) % N_SEATS, "deal"


def is_nello(decl: int) -> bool:
    """Whether a declaration is nello."""
    return Declaration.NO_TRUMP < decl < HouseDeclaration.SEVENS


def check_hands_of(where: str, hands: Sequence[Sequence[int]]) -> None:
    """`check_hands`, and in the sentence which hand of the game it is."""
    try:
        check_hands(hands)
    except ImpossibleDeal as error:
        raise ImpossibleDeal(f"{where}{error}") from None


def wrong_phase(where: str, phase: str, seat: int | None, winner: int | None, wanted: str) -> str:
    """The sentence for something that is not to be done now."""
    if phase == "over":
        return f"{where}nobody may {wanted}: the game is over, and team {winner} has won"
    task = "the dominoes are to be dealt" if phase == "deal" else f"seat {seat} is to {phase}"
    return f"{where}nobody may {wanted}: {task}"


#: What end_hand refuses.
EVERY_TRICK_COUNTS = "every trick counts in a game for points, so that no hand may be ended"
NOT_DECIDED = "a hand may be ended between tricks once it is decided, and this one is not"
SWEEP_OPEN = "all seven tricks pay more and may still be taken, so that the hand may not be ended"


def refused_call(where: str, seat: int, call: int, why: str, legal: Sequence[int]) -> str:
    """The sentence for a call that is not legal."""
    try:
        name = call_name(call)
    except ValueError:
        name = str(call)
    allowed = ", ".join(map(call_name, legal))
    return f"{where}seat {seat} may not call {name}: {why}; legal calls are {allowed}"


def refused_declaration(where: str, seat: int, decl: int, bid: int, legal: Sequence[int]) -> str:
    """The sentence for a declaration that is not legal."""
    known = 0 <= decl < N_ALL_DECLARATIONS
    name = ALL_DECLARATIONS[decl] if known else f"declaration {decl}"
    allowed = ", ".join(ALL_DECLARATIONS[each] for each in legal)
    return (
        f"{where}seat {seat} may not declare {name} after a bid of {call_name(bid)}; "
        f"legal declarations are {allowed}"
    )
