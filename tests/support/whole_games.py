"""Whole games by both twins at once, and rule sets to play them by."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zebfast import WholeGame, rules

GOLDEN = Path(__file__).parent.parent / "golden" / "full_games.jsonl.gz"

#: One of each kind; a test that takes them all has been everywhere.
RULE_SETS = {
    "straight": rules.RuleSet(),
    "forced": rules.RuleSet(all_pass="force", forced_bid=31, early_end=False),
    "points": rules.RuleSet(scoring="points", target=250, all_pass="force"),
    "drop30": rules.RuleSet(auction="drop30"),
    "house": rules.RuleSet(
        nello="any", plunge=4, splash=2, sevens=1, doubles_suit=True, target=12, most_reshakes=2
    ),
    "other house": rules.RuleSet(
        nello="own", nello_marks=2, plunge=3, splash=3, sevens=2, partner_leads=False,
        follow_me=False, most_marks=4, opening_marks=3, early_end=False,
    ),
    "by force": rules.RuleSet(
        all_pass="force", nello="own", nello_marks=0, nello_forced=True, sevens=1,
        sevens_forced=True, forced_sweep=2,
    ),
}  # fmt: skip


def outcome(call: Callable[[], Any]) -> Any:
    """Value, or the class and text of the error."""
    try:
        return call()
    except (ValueError, IndexError) as error:
        return type(error), str(error)


def deal(seed: int, game: int, hand: int) -> list[list[int]]:
    """Hands of a hand of a whole game."""
    return rules.deal(rules.whole_game_seed(seed, game, hand), 0)[0]


class Both:
    """One game by the engine and by the plain law; every step is taken and compared in both."""

    def __init__(self, rule_set: rules.RuleSet, seed: int, number: int = 0) -> None:
        self.seed, self.number = seed, number
        self.game = WholeGame(rule_set, seed=seed, game=number)
        self.twin = rules.WholePosition(rule_set, rules.first_shaker(seed, number))
        self._deal()

    def _deal(self) -> None:
        if self.twin.phase == "deal":
            self.twin.deal(deal(self.seed, self.number, self.twin.hand_number))

    def step(self, what: str, *value: int) -> bool:
        """Whether both could; if not, both said the same."""
        told = [outcome(lambda g=g: getattr(g, what)(*value)) for g in (self.game, self.twin)]
        assert told[0] == told[1]
        self._deal()
        self.same()
        return told[0] is None

    def legal(self) -> list[int]:
        twin = self.twin
        return twin.legal_calls() + twin.legal_declarations() + twin.legal_plays()

    def same(self) -> None:
        game, twin = self.game, self.twin
        for name in ("phase", "marks", "shaker", "winner", "seat", "hand_number", "bid", "bidder",
                     "declarer", "results", "made"):  # fmt: skip
            assert getattr(game, name) == getattr(twin, name), name
        assert game.legal_calls() == twin.legal_calls()
        assert game.legal_declarations() == twin.legal_declarations()
        assert game.legal_plays() == twin.legal_plays()
        assert [call for _, call in game.calls] == twin.calls
        assert game.dealt == twin.dealt
        assert game.decl == (None if twin.hand is None else twin.hand.decl)
        if twin.hand is not None:
            assert game.hands == twin.hand.hands
            assert game.trick == twin.hand.trick
            assert game.plays == twin.hand.plays
            assert game.points == twin.hand.points


def doing(phase: str) -> str:
    """The method that does what a phase asks for."""
    return {"call": "call", "declare": "declare", "play": "play"}[phase]


def do(game: WholeGame, value: int) -> None:
    """Call, declare or play, whatever the game asks for."""
    getattr(game, doing(game.phase))(value)


def legal(game: WholeGame) -> list[int]:
    """What the seat to act may do."""
    return [*game.legal_calls(), *map(int, game.legal_declarations()), *game.legal_plays()]


def played(rule_set: rules.RuleSet, seed: int, steps: int) -> WholeGame:
    """A game after so many random actions, or fewer where it ends before."""
    game = WholeGame(rule_set, seed=seed)
    for step in range(steps):
        if game.over:
            break
        choices = legal(game)
        do(game, choices[rules.bounded(seed, step, len(choices))])
    return game


def recorded(path: Path = GOLDEN) -> list[dict[str, Any]]:
    """Recorded full games, one dict each."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
