"""Whole games as Python objects: what a seat sees, undo, equal, copied, pickled, text and back."""

from __future__ import annotations

import contextlib
import copy
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_games import RULE_SETS, deal, do, legal, played

from zebfast import WholeGame, rules
from zebfast.system.settings import SettingError

seeds = st.integers(0, 2**64 - 1)
kinds = st.sampled_from(list(RULE_SETS))
steps = st.integers(0, 150)
OURS = (
    rules.BadNotation,
    rules.ImpossibleDeal,
    rules.IllegalCall,
    rules.IllegalDeclaration,
    rules.IllegalPlay,
    rules.WrongPhase,
    SettingError,
)


@given(seed=seeds, kind=kinds, n=steps)
@settings(max_examples=60, deadline=None)
def test_copies_are_equal_and_apart(seed: int, kind: str, n: int) -> None:
    game = played(RULE_SETS[kind], seed, n)
    for other in (copy.copy(game), copy.deepcopy(game), pickle.loads(pickle.dumps(game))):
        assert type(other) is WholeGame
        assert other == game
        assert hash(other) == hash(game)
        assert other.results == game.results
        assert (other.seed, other.game) == (game.seed, game.game)
        if not game.over:
            do(other, legal(other)[0])
            assert other != game
            other.undo()
            assert other == game


@given(seed=seeds, kind=kinds, n=steps)
@settings(max_examples=60, deadline=None)
def test_undo_goes_back_the_way_it_came(seed: int, kind: str, n: int) -> None:
    game = played(RULE_SETS[kind], seed, n)
    texts = []
    while True:
        try:
            game.undo()
        except IndexError as error:
            assert "nothing to undo" in str(error)  # noqa: PT017
            break
        texts.append(str(game))
    assert game == WholeGame(RULE_SETS[kind], seed=seed)
    again = WholeGame(RULE_SETS[kind], seed=seed)
    for step, text in enumerate(reversed(texts)):
        assert str(again) == text
        choices = legal(again)
        do(again, choices[rules.bounded(seed, step, len(choices))])


@given(seed=seeds, kind=kinds, n=steps)
@settings(max_examples=60, deadline=None)
def test_a_game_is_text_and_back(seed: int, kind: str, n: int) -> None:
    game = played(RULE_SETS[kind], seed, n)
    text = str(game)
    again = WholeGame.from_text(text)
    assert again == game
    assert str(again) == text
    assert again.seed is None
    lines = text.split("\n")
    assert lines[0] == str(RULE_SETS[kind])
    assert len(lines) - 1 == game.hand_number
    assert all(len(line.split(" ")) == 5 for line in lines[1:])


def ended_early() -> WholeGame:
    """A hand that was ended when it was decided, under rules that leave it to the players."""
    game = WholeGame(rules.RuleSet(early_end=False), seed=2)
    for call in (84, 0, 0, 0):
        game.call(call)
    game.declare(0)
    while game.made is None:
        game.play(game.legal_plays()[0])
    game.end_hand()
    return game


def test_a_hand_that_was_ended_early() -> None:
    game = ended_early()
    assert str(game).split("\n")[1].endswith(",end")
    assert WholeGame.from_text(str(game)) == game
    assert game.results[0].award in ((2, 0), (0, 2))
    game.undo()
    assert game.made is not None
    with pytest.raises(rules.WrongPhase, match="nobody may call: seat"):
        game.call(0)
    game.play(game.legal_plays()[0])
    with pytest.raises(rules.WrongPhase, match="hand 1: a hand may be ended between tricks once"):
        game.end_hand()
    points = WholeGame(RULE_SETS["points"], seed=2)
    for call in (84, 0, 0, 0):
        points.call(call)
    points.declare(0)
    with pytest.raises(rules.WrongPhase, match="every trick counts"):
        points.end_hand()


def test_a_game_without_a_seed_is_dealt_by_hand() -> None:
    game = WholeGame(shaker=2)
    assert (game.phase, game.seat, game.hand_number, game.calls) == ("deal", None, 1, [])
    assert str(game) == "straight\n2 - - - -"
    assert WholeGame.from_text(str(game)) == game
    with pytest.raises(rules.WrongPhase, match=r"^hand 1: nobody may call: the dominoes are to be"):
        game.call(30)
    with pytest.raises(rules.ImpossibleDeal, match="a deal has 4 hands, not 3"):
        game.deal(deal(1, 0, 1)[:3])
    game.deal(deal(1, 0, 1))
    with pytest.raises(rules.WrongPhase, match=r"^hand 1: nobody may deal: seat 3 is to call"):
        game.deal(deal(1, 0, 1))
    for _ in range(4):
        game.call(0)
    assert (game.phase, game.shaker, game.hand_number) == ("deal", 3, 2)
    assert game.calls == [(3, 0), (0, 0), (1, 0), (2, 0)]
    assert game.results == [rules.HandResult(0, None, None, None, (0, 0), (0, 0))]
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match=f"shaker {wrong}: seats run from 0 to 3"):
            WholeGame(shaker=wrong)
    with pytest.raises(TypeError, match="a RuleSet is needed, not str"):
        WholeGame("straight")  # type: ignore[arg-type]


@given(seed=seeds, kind=kinds, n=steps, seat=st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_a_seat_sees_no_hidden_hand(seed: int, kind: str, n: int, seat: int) -> None:
    """Games that differ only in what others hold look the same, down to the last field."""
    game = played(RULE_SETS[kind], seed, n)
    if game.phase == "over":
        return
    view = game.seen_by(seat)
    assert view.dealt == tuple(game.dealt[seat])
    assert view.legal == (tuple(legal(game)) if game.seat == seat else ())
    others = [other for other in range(4) if other != seat]
    one, two = (others[k % 3] for k in (seed, seed // 3 + 1 + seed % 3))
    swapped = str(game).split("\n")
    fields = swapped[-1].split(" ")
    hands = [[*hand] for hand in game.dealt]
    held = game.hands
    if one == two or not held[one] or not held[two]:
        return
    give, take = held[one][seed % len(held[one])], held[two][seed % len(held[two])]
    hands[one][hands[one].index(give)], hands[two][hands[two].index(take)] = take, give
    fields[1] = rules.notation.hands_text(hands)
    with contextlib.suppress(*OURS):  # a domino that was swapped may make a play or call illegal
        other = WholeGame.from_text("\n".join([*swapped[:-1], " ".join(fields)]))
        assert other != game
        assert other.seen_by(seat) == view
        assert hash(other.seen_by(seat)) == hash(view)


def test_a_view_is_of_a_seat() -> None:
    game = WholeGame(seed=1)
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match="seats run from 0 to 3"):
            game.seen_by(wrong)


def test_equal_games_have_the_same_deals_and_actions() -> None:
    one, two = WholeGame(seed=1), WholeGame(seed=1, game=1)
    assert one != two
    assert one != WholeGame(RULE_SETS["forced"], seed=1)
    assert one == WholeGame.from_text(str(one))
    assert len({one, WholeGame(seed=1)}) == 1
    assert one != "a game"
    assert repr(one) == "<WholeGame hand=1 phase=call marks=[0, 0]>"


class NamedGame(WholeGame):
    name = ""


def test_subclasses_keep_class_and_attributes() -> None:
    game = NamedGame(seed=3)
    game.name = "mine"
    for other in (game.copy(), copy.deepcopy(game), pickle.loads(pickle.dumps(game))):
        assert type(other) is NamedGame
        assert (other == game, other.name) == (True, "mine")


GOOD = next(
    text
    for text in (str(played(rules.RuleSet(), seed, 12)) for seed in range(99))
    if text.count("\n") == 1 and text[-1] != "-"
)
FIRST, LINE = GOOD.split("\n")
SHAKER, HANDS, CALLS, DECL, PLAYS = LINE.split(" ")


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("", rules.BadNotation, "expected a line with the rule set and one for every hand"),
        ("straight", rules.BadNotation, "expected a line with the rule set"),
        ("x" * (1 << 21), rules.BadNotation, "a game has at most 1048576"),
        (f"crooked\n{LINE}", SettingError, "'crooked' is no setting of a rule set"),
        (f"{FIRST}\n{LINE} 64", rules.BadNotation, "hand 1: .* has 6 fields: expected five"),
        (f"{FIRST}\n{LINE}\n{LINE}", rules.BadNotation, "hand 1 is not finished, and another"),
        (f"{FIRST}\n4 - - - -", rules.BadNotation, "hand 1: '4' is no seat"),
        (f"{FIRST}\n1 - 30 - -", rules.BadNotation, "hand 1: something is done before the deal"),
        (f"{FIRST}\n{SHAKER} {HANDS} 29 - -", rules.BadNotation, "hand 1: '29' is no call"),
        (f"{FIRST}\n{SHAKER} {HANDS} 31,30 - -", rules.IllegalCall,
         r"^hand 1: seat \d may not call 30: a bid must be higher than 31; legal calls are pass"),
        (f"{FIRST}\n{SHAKER} {HANDS} 30 fives -", rules.WrongPhase,
         r"^hand 1: nobody may declare: seat \d is to call"),
        (f"{FIRST}\n{SHAKER} {HANDS} 42,pass,pass,pass nello -", rules.IllegalDeclaration,
         r"^hand 1: seat \d may not declare nello after a bid of 42; legal declarations are blank"),
        (f"{FIRST}\n{SHAKER} {HANDS} {CALLS} low -", rules.BadNotation, "'low' is no declaration"),
        (f"{FIRST}\n{SHAKER} {HANDS} {CALLS} {DECL} {PLAYS},{PLAYS[:2]}", rules.IllegalPlay,
         r"^hand 1: seat \d may not play \d-\d; legal plays are"),
        (f"{FIRST}\n{SHAKER} {HANDS} {CALLS} {DECL} end", rules.WrongPhase,
         "^hand 1: a hand may be ended between tricks once it is decided"),
        (f"{FIRST}\n{SHAKER} {HANDS} pass,pass,pass,pass - -\n{SHAKER} - - - -",
         rules.BadNotation, r"hand 2: seat \d shakes after the seat before it, not seat \d"),
        (f"auction=drop30\n{SHAKER} {HANDS} 31 - -", rules.BadNotation, "the calls are 30 where"),
        (f"{FIRST}\n{SHAKER} {HANDS[:-2]}{HANDS[:2]} - - -", rules.ImpossibleDeal, "is held by"),
    ],
)  # fmt: skip
def test_text_of_no_game_is_one_sentence(text: str, kind: type, sentence: str) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        WholeGame.from_text(text)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


@given(text=st.text(max_size=80) | st.text(alphabet="0123456,/-. fivesponal\n=", max_size=160))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_game_or_an_error_of_ours(text: str) -> None:
    with contextlib.suppress(*OURS):
        WholeGame.from_text(text)
    with contextlib.suppress(*OURS):
        WholeGame.from_text(f"straight\n{text}")


def test_text_that_the_documentation_shows_is_a_game(repo_root: Path) -> None:
    pages = (repo_root / "docs" / "formats.md").read_text(encoding="utf-8")
    shown = re.findall(r"^straight\n(?:\d \S+ \S+ \S+ \S+\n)+", pages, re.M)
    assert shown
    for text in shown:
        assert str(WholeGame.from_text(text)) == text.strip()


def test_rule_sets_differ_by_one_setting() -> None:
    assert replace(rules.RuleSet(), target=6) != rules.RuleSet()


def test_a_game_of_a_text_may_have_a_seed_for_its_next_hands() -> None:
    game = played(RULE_SETS["straight"], 5, 7)
    again = WholeGame.from_text(str(game), seed=5)
    assert (again.seed, again.game) == (5, 0)
    while not game.over:
        for each in (game, again):
            do(each, legal(each)[-1])
        assert game.dealt == again.dealt
    assert WholeGame.from_text(str(game)).seed is None
    assert WholeGame.from_text(str(game), seed=-1, game=3).seed == 2**64 - 1
