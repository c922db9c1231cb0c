"""Hints while a hand is played and reviews of hands that are over, as browsers show them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from zebfast.arena.analysis.analyst import Analyst
from zebfast.arena.analysis.blind import Outlook
from zebfast.arena.analysis.prices import Prices
from zebfast.arena.analysis.review import HandReview, PlayReview, Split
from zebfast.arena.analysis.words import (
    bid_words,
    call_words,
    contract_words,
    play_words,
    split_words,
    totals,
    verdict,
)
from zebfast.core.whole_game import WholeGame
from zebfast.rules import (
    ALL_DECLARATIONS,
    MARK,
    N_DECLARATIONS,
    N_SEATS,
    SeatView,
    call_name,
)
from zebfast.web.play.views import domino, dominoes

MOST_KEPT = 64  # hands whose review is remembered
#: Said of prices to those who are shown them.
CALIBRATED = (
    "Chances are from hands played without sight and know your hand and the auction so far; held "
    "against played hands they come true as often as they say (docs/strength.md)."
)
OF_THE_BEST = (
    "The chance of the first is from hands played without sight, and comes true as often as it "
    "says (docs/strength.md); those of the others were not held against played hands."
)
_DECLARATIONS_SHOWN = 5


class Looks:
    """Opens the network when it is first asked; to be used from one thread, which does the work."""

    def __init__(self, spec: str, *, device: str = "cpu") -> None:
        self._spec = spec
        self._device = device
        self._analyst: Analyst | None = None
        self._lock = threading.Lock()
        self._reviews: OrderedDict[tuple[str, str], HandReview] = OrderedDict()

    def _open(self) -> Analyst:
        with self._lock:
            if self._analyst is None:
                self._analyst = Analyst.open(self._spec, device=self._device)
            return self._analyst

    def hint(self, view: SeatView) -> dict[str, Any]:
        """What is good for the seat that is to act, from what it knows."""
        if view.phase == "play":
            if view.decl is None or view.decl >= N_DECLARATIONS:
                return _nothing(
                    "For nello and sevens there are no hints: the network plays neither."
                )
            return play_hint(view, self._open().blind.look(view))
        prices = self._open().prices
        if prices is None:
            return _nothing("This network does not say what bids are worth.")
        return declare_hint(view, prices) if view.phase == "declare" else call_hint(view, prices)

    def review(self, game: WholeGame, number: int, names: list[str]) -> dict[str, Any]:
        """A hand that is over. ``game`` holds no hand that is not."""
        return hand_review(self._reviewed(game, number), names)

    def summary(self, game: WholeGame, names: list[str]) -> dict[str, Any]:
        """All hands, with the totals of both teams. As `review`."""
        found = [self._reviewed(game, number + 1) for number in range(len(game.results))]
        return {
            "teams": [vars(side) for side in totals(found)],
            "hands": [hand_review(each, names) for each in found],
        }

    def _reviewed(self, game: WholeGame, number: int) -> HandReview:
        lines = str(game).splitlines()
        key = (lines[0], f"{number} {lines[number]}")
        found = self._reviews.get(key)
        if found is None:
            [found] = self._open().reviewer.hands(game, [number])
            self._reviews[key] = found
            while len(self._reviews) > MOST_KEPT:
                self._reviews.popitem(last=False)
        return found


def _nothing(sentence: str) -> dict[str, Any]:
    return {"what": "", "columns": [], "options": [], "sentences": [sentence], "belief": None}


def play_hint(view: SeatView, outlook: Outlook) -> dict[str, Any]:
    """What each legal domino comes to, and where the hidden ones may be."""
    assert view.bidder is not None
    own = view.seat % 2 == view.bidder % 2
    options = [
        {"domino": domino(each), "best": each == outlook.best,
         "values": [f"{100 * chance:.0f} %", f"{points:.1f}"]}
        for each, chance, points in zip(
            outlook.dominoes, outlook.stated.tolist(), outlook.mean_points.tolist(), strict=True
        )
    ]  # fmt: skip
    others = [(view.seat + step) % N_SEATS for step in range(1, N_SEATS)]
    rows = [
        [domino(each), [round(float(outlook.belief[each, seat]), 3) for seat in others]]
        for each in range(len(outlook.belief)) if outlook.belief[each].any()
    ]  # fmt: skip
    return {
        "what": "Domino",
        "columns": ["Contract made" if own else "Contract set", "Your points"],
        "options": options,
        "sentences": [
            f"Each was played in {len(outlook.weights)} layouts that agree with what you know, "
            "and then everybody as the network would, seeing their own hand only."
        ],
        "belief": {"seats": others, "dominoes": rows},
    }


def call_hint(view: SeatView, prices: Prices) -> dict[str, Any]:
    """How likely each bid is made, and what the bidder would call."""
    found = [each for each in prices.calls(view) if each.call <= MARK]
    sentences = [CALIBRATED]
    try:
        best = prices.best_call(view)
        sentences.insert(0, f"zeb would {'pass' if best == 0 else f'bid {bid_words(best)}'} here.")
    except ValueError:
        pass
    row = {"name": "made, if it stands", "best": False,
           "values": [_percent(each.chance) for each in found]}  # fmt: skip
    return {
        "what": "Bid", "columns": [call_name(each.call) for each in found],
        "options": [row] if found else [], "sentences": sentences, "belief": None,
    }  # fmt: skip


def declare_hint(view: SeatView, prices: Prices) -> dict[str, Any]:
    """How likely each declaration makes the bid."""
    options = [
        {"name": ALL_DECLARATIONS[decl], "best": number == 0, "values": [_percent(chance)]}
        for number, (decl, chance) in enumerate(prices.declarations(view)[:_DECLARATIONS_SHOWN])
    ]
    return {
        "what": "Trumps", "columns": [f"makes {bid_words(view.bid)}"], "options": options,
        "sentences": [OF_THE_BEST], "belief": None,
    }  # fmt: skip


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f} %"


def hand_review(review: HandReview, names: list[str]) -> dict[str, Any]:
    """One hand, with all its dominoes."""
    bidder = review.result.bidder
    return {
        "number": review.number,
        "contract": contract_words(review, names.__getitem__),
        "dealt": [dominoes(hand) for hand in review.dealt],
        "calls": [[seat, call_name(call)] for seat, call in review.calls],
        "call_words": [call_words(each, names.__getitem__) for each in review.bids],
        "played": [[seat, domino(each)] for seat, each in review.played],
        "made": review.result.made, "bidder": bidder, "award": list(review.result.award),
        "split": None if review.split is None else _split(review.split),
        "split_words": split_words(review, names.__getitem__),
        "mistakes": [
            {"ply": each.ply, "seat": each.seat, "loss": round(each.loss, 4),
             "words": play_words(each, names.__getitem__, bidder or 0)}
            for each in review.mistakes
        ],
        "plays": [_play(each, names, bidder or 0) for each in review.plays],
    }  # fmt: skip


def _split(split: Split) -> dict[str, Any]:
    return {
        "deal": split.deal, "naming": split.naming, "bidders": split.bidders,
        "defenders": split.defenders, "points": split.points,
        "best_decl": ALL_DECLARATIONS[split.best_decl],
    }  # fmt: skip


def _play(play: PlayReview, names: list[str], bidder: int) -> dict[str, Any]:
    return {
        "ply": play.ply, "seat": play.seat, "domino": domino(play.domino),
        "best": domino(play.best), "best_open": domino(play.best_open),
        "verdict": verdict(play), "loss_open": play.loss_open,
        "words": play_words(play, names.__getitem__, bidder),
        "choices": [
            [domino(each.domino), None if each.chance is None else round(each.chance, 3),
             None if each.points is None else round(each.points, 1), each.open_points]
            for each in play.choices
        ],
    }  # fmt: skip
