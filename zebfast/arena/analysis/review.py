"""A hand that is over, looked back at: what each play cost, by what its seat could know and as the
dominoes lay, and how the points came about.

Two measures, never mixed. *Without sight*: what `blind` says of the plays from what the seat knew
then; only that is somebody's mistake. *With sight*: the exact value with all hands open; what a
play cost there is what it cost this time, be it by a mistake or by bad luck.

The points of the bidder's side are told apart exactly, with all hands open: what the deal gives
with the best declaration, less what naming another one cost, less what plays of the bidders cost,
plus what those of the defenders did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zebfast.arena.analysis.blind import BlindSearch, Outlook
from zebfast.arena.analysis.prices import Prices
from zebfast.arena.analysis.steps import Step, steps
from zebfast.core.engine import GameBatch
from zebfast.core.solve import Solver
from zebfast.core.whole_game import WholeGame
from zebfast.rules import N_DECLARATIONS, N_SEATS, TOTAL_POINTS, HandResult

#: A play is a mistake if it is so much worse than the best without sight, in chance of the
#: contract and a hundredth a point, and so many standard errors.
LEAST_LOSS = 0.02
ERRORS = 2.0


@dataclass(frozen=True)
class Choice:
    """One legal domino of a decision, as the seat's side sees it.

    Attributes:
        chance: that the contract ends well, without sight; None where that was not looked at.
        points: of the side in the end, without sight, on average; None likewise.
        open_points: of the side in the end, all hands open and everybody playing best.
    """

    domino: int
    chance: float | None
    points: float | None
    open_points: int


@dataclass(frozen=True)
class PlayReview:
    """One play with more than one legal domino.

    Attributes:
        ply: number of the play in its hand, from 0.
        choices: by domino, ascending.
        best: without sight; the domino played if that was not looked at.
        best_open: with sight, the one played if that is among the best.
        loss: what the play is worth less than the best without sight, and its standard error.
        loss_open: points that it cost with sight.
    """

    ply: int
    seat: int
    domino: int
    choices: tuple[Choice, ...]
    best: int
    best_open: int
    loss: float
    error: float
    loss_open: int

    @property
    def is_mistake(self) -> bool:
        """Whether the seat could have known better."""
        return self.loss >= LEAST_LOSS and self.loss > ERRORS * self.error

    def choice(self, domino: int) -> Choice:
        """What is known of one of them."""
        return next(each for each in self.choices if each.domino == domino)


@dataclass(frozen=True)
class CallReview:
    """One call, by what its seat knew then.

    Attributes:
        chance: that the bid is made, if it stands; None for a pass, plunge or splash.
        best: what zebfast's bidder would have called.
        best_chance: that this is made; None likewise.
    """

    seat: int
    call: int
    chance: float | None
    best: int
    best_chance: float | None


@dataclass(frozen=True)
class Split:
    """Where the points of the bidder's side come from; `deal` + `naming` + … is their sum.

    Attributes:
        deal: points of the bidder's side with its best declaration, all hands open, all best play.
        naming: what the declaration that was named is worth less (at most 0).
        bidders: what the mistakes of the bidder's side cost, with sight (at most 0).
        defenders: what those of the other side brought it (at least 0).
        best_decl: the best declaration with all hands open.
    """

    deal: int
    naming: int
    bidders: int
    defenders: int
    best_decl: int

    @property
    def points(self) -> int:
        """What the hand would come to from its last play on, or came to."""
        return self.deal + self.naming + self.bidders + self.defenders


@dataclass(frozen=True)
class HandReview:
    """A hand, its calls, its plays that had a choice, and its split; the latter are empty for a
    hand without straight play (thrown in, nello, sevens), and `bids` where nobody prices them."""

    number: int
    result: HandResult
    dealt: tuple[tuple[int, ...], ...]
    calls: tuple[tuple[int, int], ...]
    bids: tuple[CallReview, ...]
    played: tuple[tuple[int, int], ...]
    plays: tuple[PlayReview, ...]
    split: Split | None

    @property
    def mistakes(self) -> list[PlayReview]:
        """The worst first."""
        return sorted((each for each in self.plays if each.is_mistake), key=lambda p: -p.loss)


class Reviewer:
    """Looks back at hands. For one thread.

    Args:
        blind: says what plays are worth without sight; None leaves that out.
        prices: what bids are worth; None leaves that out.
    """

    def __init__(self, blind: BlindSearch | None, prices: Prices | None = None) -> None:
        self._blind = blind
        self._prices = prices
        self._solver = Solver()

    def hands(
        self,
        game: WholeGame,
        only: Sequence[int] = (),
        *,
        seen: Callable[[HandReview], object] = lambda _: None,
    ) -> list[HandReview]:
        """The hands that are over, or those of these numbers; ``seen`` is told of each."""
        found = []
        for number, own in _by_hand(game):
            if number <= len(game.results) and (not only or number in only):
                found.append(self._hand(game.results[number - 1], number, own))
                seen(found[-1])
        return found

    def _hand(self, result: HandResult, number: int, own: list[_Moment]) -> HandReview:
        straight = result.decl is not None and result.decl < N_DECLARATIONS
        played = tuple((each.seat, each.value) for each in own if each.phase == "play")
        plays = [each for each in own if each.phase == "play"] if straight else []
        values = [self._open_values(each) for each in plays]
        reviews = tuple(
            self._play(ply, each, value)
            for ply, (each, value) in enumerate(zip(plays, values, strict=True))
            if len(value) > 1
        )
        first = own[0].before
        called = [each for each in own if each.phase == "call"]
        calls = tuple((each.seat, each.value) for each in called)
        bids = tuple(self._call(each, self._prices) for each in called if self._prices)
        return HandReview(
            number, result, tuple(map(tuple, first.dealt)), calls, bids, played, reviews,
            self._split(plays, values) if plays else None,
        )  # fmt: skip

    @staticmethod
    def _call(step: _Moment, prices: Prices) -> CallReview:
        view = step.before.seen_by(step.seat)
        try:
            best = prices.best_call(view)
        except ValueError:  # there was nothing to choose that it weighs
            best = step.value
        return CallReview(
            step.seat, step.value, prices.chance(view, step.value), best, prices.chance(view, best)
        )

    def _open_values(self, step: _Moment) -> dict[int, int]:
        """Final points of the seat's side after each legal domino, all hands open."""
        game = step.before.hand_game()
        batch = _batch_of(game.dealt, [int(game.decl)], [game.leader])
        for _, domino in game.plays:
            batch.play([domino])
        values = self._solver.play_values(batch.positions())[0]
        side, points = step.seat % 2, step.before.points
        left = TOTAL_POINTS - sum(points)
        sign = 1 if side == 0 else -1
        return {
            domino: points[side] + (left + sign * int(values[domino])) // 2
            for domino in sorted(step.before.legal_plays())
        }

    def _play(self, ply: int, step: _Moment, values: dict[int, int]) -> PlayReview:
        most, played = max(values.values()), step.value
        outlook = self._blind.look(step.before.seen_by(step.seat)) if self._blind else None
        loss, error = outlook.behind(played) if outlook else (0.0, 0.0)
        best_open = played if values[played] == most else max(values, key=lambda d: values[d])
        return PlayReview(
            ply, step.seat, played, _choices(values, outlook), outlook.best if outlook else played,
            best_open, loss, error, most - values[played],
        )  # fmt: skip

    def _split(self, plays: list[_Moment], values: list[dict[int, int]]) -> Split:
        first = plays[0].before
        assert first.bidder is not None
        assert first.decl is not None
        side = first.bidder % 2
        decls = first.rule_set.straight_declarations()
        if first.rule_set.auction == "drop30":
            decls = [int(first.decl)]
        leaders = [plays[0].seat] * len(decls)
        to_come = self._solver.values(_batch_of(first.dealt, decls, leaders).positions())
        own = (TOTAL_POINTS + np.where(side == 0, 1, -1) * to_come.astype(np.int64)) // 2
        given = dict(zip(decls, own.tolist(), strict=True))
        best = max(given, key=lambda decl: given[decl])
        lost = [0, 0]  # by the bidder's side, by the other
        for step, value in zip(plays, values, strict=True):
            lost[step.seat % 2 != side] += max(value.values()) - value[step.value]
        return Split(given[best], given[int(first.decl)] - given[best], -lost[0], lost[1], best)


@dataclass(frozen=True)
class _Moment:
    """A step with a game of its own."""

    phase: str
    seat: int
    value: int
    before: WholeGame


def _by_hand(game: WholeGame) -> Iterator[tuple[int, list[_Moment]]]:
    """The decisions of each hand."""
    number, own = 0, list[_Moment]()
    for step in steps(game):
        if step.hand != number and own:
            yield number, own
            own = []
        number = step.hand
        own.append(_kept(step))
    if own:
        yield number, own


def _kept(step: Step) -> _Moment:
    return _Moment(step.phase, step.seat, step.value, step.before.copy())


def _choices(values: dict[int, int], outlook: Outlook | None) -> tuple[Choice, ...]:
    if outlook is None:
        return tuple(Choice(domino, None, None, points) for domino, points in values.items())
    looks = zip(
        outlook.dominoes, outlook.stated.tolist(), outlook.mean_points.tolist(), strict=True
    )
    return tuple(Choice(domino, chance, points, values[domino]) for domino, chance, points in looks)


def _batch_of(dealt: Sequence[Sequence[int]], decls: list[int], leaders: list[int]) -> GameBatch:
    assert len(dealt) == N_SEATS
    return GameBatch([list(map(list, dealt))] * len(decls), decls, leaders)
