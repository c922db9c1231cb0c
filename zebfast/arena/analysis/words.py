"""A review in sentences, the same in the terminal and in the browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zebfast.arena.analysis.review import LEAST_LOSS, CallReview, HandReview, PlayReview
from zebfast.rules import (
    ALL_DECLARATIONS,
    DOMINOES,
    MARK,
    N_SEATS,
    PASS,
    TOTAL_POINTS,
    call_name,
    contract_of,
    marks_of,
)

#: How a seat is called in sentences.
Names = Callable[[int], str]
BAD_LUCK, GOOD_LUCK = "bad luck", "a mistake that luck forgave"


def pips(domino: int) -> str:
    """``6-4``."""
    return "{}-{}".format(*DOMINOES[domino])


def bid_words(bid: int) -> str:
    """``31``, ``2 marks (84)``, ``a plunge of 4 marks``."""
    if bid < MARK:
        return str(bid)
    marks = f"{marks_of(bid)} mark{'s' if marks_of(bid) > 1 else ''}"
    if contract_of(bid):
        return f"a {call_name(bid).partition('-')[0]} of {marks}"
    return f"{marks} ({bid})"


def contract_words(review: HandReview, names: Names) -> str:
    """What was played, and how it ended."""
    result = review.result
    if result.bidder is None or result.decl is None:
        return "All passed; the hand was thrown in."
    own, other = result.points[result.bidder % 2], result.points[1 - result.bidder % 2]
    return (
        f"{names(result.bidder)} bid {bid_words(result.bid)}, {ALL_DECLARATIONS[result.decl]}: "
        f"{'made' if result.made else 'set'}, {own} points to {other}."
    )


def play_words(play: PlayReview, names: Names, bidder: int) -> str:
    """One play, told apart: what the seat could know, and how the dominoes lay."""
    who = names(play.seat)
    said = f"Trick {play.ply // N_SEATS + 1}: {who} played {pips(play.domino)}. "
    if play.is_mistake:
        best, own = play.choice(play.best), play.choice(play.domino)
        aim = "of making it" if play.seat % 2 == bidder % 2 else "of setting it"
        said += f"By what {who} could know, {pips(play.best)} was better"
        if best.chance is not None and own.chance is not None:
            assert best.points is not None
            assert own.points is not None
            said += (
                f": {_percent(best.chance)} against {_percent(own.chance)} {aim}, "
                f"{best.points:.1f} points against {own.points:.1f}"
            )
        said += ". "
    return said + _open_words(play, who)


def _open_words(play: PlayReview, who: str) -> str:
    if play.loss_open == 0:
        return "As the dominoes lay it cost nothing." if play.is_mistake else ""
    cost = f"{play.loss_open} point{'s' if play.loss_open > 1 else ''}"
    if play.is_mistake:
        if play.best == play.best_open:
            return f"As the dominoes lay it cost {cost}."
        return f"As the dominoes lay it cost {cost}, and {pips(play.best_open)} was best."
    return (
        f"As the dominoes lay {pips(play.best_open)} was worth {cost} more, "
        f"which {who} could not know."
    )


def verdict(play: PlayReview) -> str:
    """One word or two for a table."""
    if play.is_mistake:
        return "mistake" if play.loss_open else GOOD_LUCK
    if play.loss_open:
        return BAD_LUCK
    return "best" if play.domino == play.best or play.loss < LEAST_LOSS else "good"


def split_words(review: HandReview, names: Names) -> list[str]:
    """Where the points of the bidder's side come from."""
    split, result = review.split, review.result
    if split is None or result.bidder is None:
        return []
    side = f"{names(result.bidder)}'s side"
    said = [
        f"With all hands open this deal was worth {split.deal} of {TOTAL_POINTS} points to {side} "
        f"({ALL_DECLARATIONS[split.best_decl]}; the bid needed {min(result.bid, TOTAL_POINTS)})."
    ]
    if split.naming:
        said.append(f"Naming {ALL_DECLARATIONS[result.decl or 0]} cost {-split.naming}.")
    said.append(
        f"Plays that open hands would have avoided cost {side} {-split.bidders} and the others "
        f"{split.defenders}: it came to {split.points}."
    )
    return said


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f} %"


@dataclass(frozen=True)
class SideTotals:
    """What the hands of a game brought a team: luck of the deal, auction, and play.

    Points with all hands open, above or below the half of 42 that a hand is worth to each side
    before it is dealt.

    Attributes:
        deal: what the deals gave, with the best declaration of whoever won the auction.
        naming: what declarations cost it, less what those of the others cost them.
        play: what its own plays cost it, less what those of the others cost them.
        could_know: the part of its own plays' cost that were mistakes by what it could know.
        marks: what it scored.
    """

    deal: int
    naming: int
    play: int
    could_know: int
    marks: int


def totals(reviews: Sequence[HandReview]) -> tuple[SideTotals, SideTotals]:
    """Of both teams. What one gains the other loses, but for `could_know` and `marks`."""
    deal = naming = play = 0
    known, marks = [0, 0], [0, 0]
    for review in reviews:
        marks = [have + more for have, more in zip(marks, review.result.award, strict=True)]
        split, bidder = review.split, review.result.bidder
        if split is None or bidder is None:
            continue
        sign = 1 if bidder % 2 == 0 else -1
        deal += sign * (split.deal - TOTAL_POINTS // 2)
        naming += sign * split.naming
        play += sign * (split.bidders + split.defenders)
        for each in review.mistakes:
            known[each.seat % 2] += each.loss_open
    return (
        SideTotals(deal, naming, play, known[0], marks[0]),
        SideTotals(-deal, -naming, -play, known[1], marks[1]),
    )


def call_words(call: CallReview, names: Names) -> str:
    """One call: what it promised, and what zebfast's bidder would have called."""
    said = f"{names(call.seat)} {'passed' if call.call == PASS else f'bid {bid_words(call.call)}'}"
    if call.chance is not None:
        said += f", which is made {_percent(call.chance)} of the time"
    if call.best != call.call:
        chance = "" if call.best_chance is None else f" ({_percent(call.best_chance)})"
        other = "passed" if call.best == PASS else f"bid {bid_words(call.best)}{chance}"
        said += f"; zeb would have {other}"
    return f"{said}."


def auction_words(review: HandReview, names: Names) -> str:
    """The calls."""
    if review.bids:
        return " ".join(call_words(call, names) for call in review.bids)
    said = [
        f"{names(seat)} {'passed' if call == PASS else f'bid {bid_words(call)}'}"
        for seat, call in review.calls
    ]
    return ", ".join(said) + "." if said else ""
