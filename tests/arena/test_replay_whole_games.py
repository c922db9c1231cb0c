"""Recorded whole games: what is read, what is refused, and what counts as a difference."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from whole_games import RULE_SETS, played, recorded

from zebfast import WholeGame, rules
from zebfast.arena.io.json_lines import Difference, RecordingError
from zebfast.arena.io.replay import parse_game, replay_game

GAMES = recorded()
STRAIGHT = next(g for g in GAMES if g["auction"] == "full" and g["allpass"] == "reshake")


def replayed(record: dict[str, Any]) -> Difference | None:
    return replay_game(parse_game(json.dumps(record).encode(), 4))


def record_of(game: WholeGame) -> dict[str, Any]:
    """A finished game as tables write it."""
    hands = []
    marks = [0, 0]
    pips = rules.DOMINOES
    _, lines = rules.game_from_text(str(game))
    again = WholeGame(game.rule_set, shaker=lines[0].shaker)
    for number, (line, result) in enumerate(zip(lines, game.results, strict=True), 1):
        again.deal(line.hands)
        hand: dict[str, Any] = {
            "no": number, "dealer": line.shaker,
            "hands": [[list(pips[d]) for d in own] for own in line.hands or []],
            "bids": [[(line.shaker + 1 + i) % 4, call] for i, call in enumerate(line.calls)],
        }  # fmt: skip
        plays = []
        for call in line.calls if game.rule_set.auction == "full" else []:
            again.call(call)
        if line.decl is not None:
            again.declare(line.decl)
            for domino in line.dominoes:
                plays.append([again.seat, *pips[domino]])
                again.play(domino)
            made = result.award
            team = 0 if made[0] else 1
            hand |= {
                "bidder": result.bidder, "bid": result.bid, "decl": result.decl, "plays": plays,
                "points": result.points, "early_end": len(plays) < 28, "made": result.made,
                "award": made if game.rule_set.scoring == "points" else [team, max(made)],
            }  # fmt: skip
            if rules.is_nello(line.decl):
                hand["early_end"] = len(plays) < 21
        marks = [have + more for have, more in zip(marks, result.award, strict=True)]
        hands.append(hand | {"marks": marks})
    return {"rules": str(game.rule_set), "hands": hands, "winner_team": game.winner,
            "marks": game.marks}  # fmt: skip


@pytest.mark.parametrize("kind", RULE_SETS)
def test_games_of_every_rule_set_are_equal(kind: str) -> None:
    for seed in range(3):
        game = played(RULE_SETS[kind], seed, 20_000)
        assert game.over
        assert replayed(record_of(game)) is None


def contracted(record: dict[str, Any]) -> int:
    """Place of a hand with more than one bid and a play after the second trick."""
    for place, hand in enumerate(record["hands"]):
        if sum(bid > 0 for _, bid in hand["bids"]) > 1 and len(hand["plays"]) > 8:
            return place
    raise AssertionError("there is no such hand")


DIFFERENT: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("number", lambda hand: hand.update(no=77)),
    ("dealer", lambda hand: hand.update(dealer=(hand["dealer"] + 1) % 4)),
    ("seat to call", lambda hand: hand["bids"][0].__setitem__(0, hand["dealer"])),
    ("bidder", lambda hand: hand.update(bidder=(hand["bidder"] + 1) % 4)),
    ("bid", lambda hand: hand.update(bid=hand["bid"] + 1)),
    ("seat", lambda hand: hand["plays"][5].__setitem__(0, (hand["plays"][5][0] + 1) % 4)),
    ("points", lambda hand: hand.update(points=[hand["points"][0] ^ 1, hand["points"][1]])),
    ("made", lambda hand: hand.update(made=not hand["made"])),
    ("award", lambda hand: hand["award"].__setitem__(0, 1 - hand["award"][0])),
    ("award", lambda hand: hand["award"].__setitem__(1, hand["award"][1] + 1)),
    ("marks", lambda hand: hand.update(marks=[9, 9])),
]


@pytest.mark.parametrize(("what", "change"), DIFFERENT)
def test_a_difference_names_line_hand_and_what(what: str, change: Callable[[Any], object]) -> None:
    record = copy.deepcopy(STRAIGHT)
    place = contracted(record)
    change(record["hands"][place])
    found = replayed(record)
    assert found is not None
    assert (found.line, found.what) == (4, what)
    assert found.hand == (77 if what == "number" else place + 1)
    assert f"hand {found.hand}" in str(found)
    assert str(found).startswith("line 4, hand ")


def test_the_end_of_a_game_is_compared() -> None:
    for key, value in (("winner_team", 1 - STRAIGHT["winner_team"]), ("marks", [7, 6])):
        found = replayed({**STRAIGHT, key: value})
        assert found is not None
        assert (found.what, found.hand) == (key.partition("_")[0], None)
    short = copy.deepcopy(STRAIGHT)
    short["hands"].pop()
    found = replayed(short)
    assert found is not None
    assert (found.what, found.expected) == ("winner", None)


def too_low(hand: dict[str, Any]) -> None:
    [first, *_] = [i for i, (_, bid) in enumerate(hand["bids"]) if bid]
    later = next(i for i in range(first + 1, 4))
    hand["bids"][later][1] = 30


ILLEGAL: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    (r"seat \d may not call 30: a bid must be higher than", too_low),
    (r"seat \d may not call 126: the first mark bid is of at most 2 marks",
     lambda hand: hand["bids"][0].__setitem__(1, 126)),
    (r"seat \d may not declare doubles-suit after a bid of", lambda hand: hand.update(decl=8)),
    (r"seat \d may not declare nello after a bid of", lambda hand: hand.update(decl="nello")),
    (r"seat \d may not play \d-\d; legal plays are",
     lambda hand: hand["plays"][1].__setitem__(slice(1, 3), hand["plays"][0][1:])),
    (r"domino \d-\d is held by seat 0 and by seat 0",
     lambda hand: hand["hands"][0].__setitem__(0, hand["hands"][0][1])),
    (r"nobody may declare: seat \d is to call", lambda hand: hand["bids"].pop()),
    (r"a hand may be ended between tricks once it is decided",
     lambda hand: hand.update(plays=hand["plays"][:1], early_end=True)),
]  # fmt: skip


@pytest.mark.parametrize(("words", "change"), ILLEGAL, ids=[words for words, _ in ILLEGAL])
def test_what_is_illegal_names_line_hand_and_rule(
    words: str, change: Callable[[Any], object]
) -> None:
    record = copy.deepcopy(STRAIGHT)
    change(record["hands"][contracted(record)])
    with pytest.raises(RecordingError, match=words) as caught:
        replayed(record)
    assert str(caught.value).startswith("Line 4 is illegal by the Python rules: hand ")
    assert "\n" not in str(caught.value)


def test_a_forced_shaker_that_passes() -> None:
    games = [copy.deepcopy(game) for game in GAMES if game["allpass"] == "force"]
    record, hand = next(
        (game, hand)
        for game in games
        for hand in game["hands"]
        if [bid for _, bid in hand["bids"]][:3] == [0, 0, 0]
    )
    hand["bids"][3][1] = 0
    with pytest.raises(RecordingError, match="have passed, so that the shaker must bid"):
        replayed(record)


MALFORMED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"hands": [{}] * 2001}, {}, "has 2001 hands; expected 1 to 2000"),
    ({"hands": [{}, 3]}, {}, "Line 4, hand 1 has no list 'bids'"),
    ({"allpass": "never"}, {}, "has no rules to play by: all_pass is 'never': expected one of"),
    ({"target": 10**30}, {}, "has no rules to play by: target is"),
    ({"rules": "scoring=points,nello=own"}, {}, "nello is a contract for marks"),
    ({"winner_team": 2}, {}, "has 2 for 'winner_team'"),
    ({"marks": [7]}, {}, "has 1 entries in 'marks'"),
    ({}, {"bids": [3]}, "an entry in 'bids' that is no pair"),
    ({}, {"bids": [[0, 0]] * 5}, "has 5 bids and"),
    ({}, {"bids": [[4, 0]]}, "has 4 for 'bids'"),
    ({}, {"bids": [[0, "plunge-9"]]}, "has a bid that is none: 'plunge-9' is no call"),
    ({}, {"bids": [[0, 10**9]]}, "has 1000000000 for 'bids'"),
    ({}, {"decl": "melo"}, "has \"melo\" for 'decl'"),
    ({}, {"decl": 15}, "has 15 for 'decl'; expected a whole number 0 to 14"),
    ({}, {"plays": [[0, 1]]}, "has a play that is not seat, high end, low end"),
    ({}, {"plays": [[0, 7, 1]]}, "has 7 for 'plays'; expected a whole number 0 to 6"),
    ({}, {"hands": [[[1, 1]] * 6] * 4}, "has a hand that is not a list of seven dominoes"),
    ({}, {"hands": [[3] * 7] * 4}, "has a domino in 'hands' that is no pair of two ends"),
    ({}, {"award": [2, 1]}, "has an award for team 2; teams are 0 and 1"),
    ({}, {"made": None}, "does not say in 'made'"),
    ({}, {"no": 0}, "has 0 for 'no'"),
]  # fmt: skip


@pytest.mark.parametrize(("game", "hand", "words"), MALFORMED, ids=[w for *_, w in MALFORMED])
def test_malformed_records_get_one_sentence(
    game: dict[str, Any], hand: dict[str, Any], words: str
) -> None:
    record = copy.deepcopy(STRAIGHT) | game
    if hand:
        record["hands"][contracted(record)] |= hand
    with pytest.raises(RecordingError) as caught:
        replayed(record)
    assert words in str(caught.value)
    assert str(caught.value).startswith("Line 4")
    assert "\n" not in str(caught.value)
