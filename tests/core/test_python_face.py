"""Games as Python objects: equal, hashed, copied, pickled, written as a line and read back."""

from __future__ import annotations

import contextlib
import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zebfast
from zebfast import Game, GameBatch, rules
from zebfast.core.rollouts import laid_out

seeds = st.integers(0, 2**64 - 1)
plies = st.integers(0, rules.N_PLIES)
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
Copy = Callable[[Any], Any]
COPIES: list[Copy] = [
    copy.copy,
    copy.deepcopy,
    lambda thing: thing.copy(),
    *(lambda thing, p=p: pickle.loads(pickle.dumps(thing, p)) for p in PROTOCOLS),
]


class NamedGame(Game):
    """A subclass with a constructor and attributes of its own."""

    def __init__(self, name: str) -> None:
        super().__init__(*rules.deal(3, 0))
        self.name = [name]


class SlottedGame(Game):
    __slots__ = ("note",)


class NamedBatch(GameBatch):
    names: list[str]


def game_after(seed: int, n_plays: int) -> Game:
    game = Game.deal(seed)
    for ply in range(n_plays):
        legal = game.legal()
        game.play(legal[rules.bounded(seed, ply, len(legal))])
    return game


def batch_after(seed: int, n_plays: list[int]) -> GameBatch:
    batch = GameBatch.deal(len(n_plays), seed=seed)
    for ply in range(max(n_plays, default=0)):
        batch.play_random(seed=seed, rows=np.array(n_plays) > ply)
    return batch


@given(seed=seeds, n=plies)
@settings(max_examples=60, deadline=None)
def test_copies_are_equal_and_apart(seed: int, n: int) -> None:
    game = game_after(seed, n)
    for make in COPIES:
        other = make(game)
        assert type(other) is Game
        assert other == game
        assert hash(other) == hash(game)
        assert (other.dealt, other.plays, other.points) == (game.dealt, game.plays, game.points)
        if n:
            other.undo()
        else:
            other.play(other.legal()[0])
        assert other != game
        assert len(game.plays) == n


@given(seed=seeds, n=st.lists(plies, max_size=6))
@settings(max_examples=40, deadline=None)
def test_copies_of_batches_are_equal_and_apart(seed: int, n: list[int]) -> None:
    batch = batch_after(seed, n)
    for make in COPIES:
        other = make(batch)
        assert type(other) is GameBatch
        assert other == batch
        for column in ("hands", "history", "held", "points", "to_play", "decl", "leader"):
            np.testing.assert_array_equal(getattr(other, column), getattr(batch, column))
        if not other.over.all():
            other.play_random(seed=seed)
            assert other != batch
        assert batch.n_plays.tolist() == n


@given(seed=seeds, n=plies, m=plies)
@settings(max_examples=60, deadline=None)
def test_equal_games_have_the_same_deal_and_plays(seed: int, n: int, m: int) -> None:
    one, two = game_after(seed, n), game_after(seed, m)
    assert (one == two) == (n == m)
    assert (one == two) == (one.plays == two.plays)
    assert one != game_after(seed ^ 1, n)
    assert one != Game(one.dealt, (one.decl + 1) % 10, one.leader)
    while len(two.plays) > min(n, m):
        two.undo()
    while len(one.plays) > min(n, m):
        one.undo()
    assert one == two  # however they came there
    assert len({one, two}) == 1
    assert one != "a game"
    assert one.__eq__(5) is NotImplemented


def test_batches_are_equal_game_by_game() -> None:
    batch = GameBatch.deal(3, seed=1)
    assert batch == batch.take([0, 1, 2])
    assert batch != batch.take([0, 2, 1])
    assert batch != batch.take([0, 1])
    assert batch.take([]) == GameBatch.deal(0, seed=9)
    assert batch != [1, 2, 3]
    with pytest.raises(TypeError, match="unhashable"):
        hash(batch)
    assert repr(batch) == "<GameBatch of 3 games>"


@pytest.mark.parametrize("make", COPIES)
def test_subclasses_keep_class_and_attributes(make: Copy) -> None:
    game = NamedGame("mine")
    game.play(game.legal()[0])
    other = make(game)
    assert type(other) is NamedGame
    assert other == game
    assert other.name == ["mine"]
    slotted = SlottedGame.deal(5)
    slotted.note = "seen"
    other = make(slotted)
    assert type(other) is SlottedGame
    assert other.note == "seen"
    batch = NamedBatch.deal(2, seed=1)
    batch.names = ["a", "b"]
    other = make(batch)
    assert type(other) is NamedBatch
    assert (other == batch, other.names) == (True, ["a", "b"])


def test_only_a_deep_copy_has_its_own_attributes() -> None:
    game = NamedGame("mine")
    assert copy.copy(game).name is game.name
    assert game.copy().name is game.name
    assert copy.deepcopy(game).name is not game.name
    both = copy.deepcopy([game, game])
    assert both[0] is both[1]


def test_games_laid_out_against_the_voids_can_be_pickled() -> None:
    """Such a game has plays that its hands forbid; it is still a game that is under way."""
    games = batch_after(3, [24] * 30)
    laid = laid_out(games, None, games.held[:, [1, 2, 3, 0]][:, None])
    assert laid != games
    assert pickle.loads(pickle.dumps(laid)) == laid
    legal = 0
    for row in range(30):
        plays = laid.history[row, :24]
        line = rules.to_line(laid.hands[row], laid.decl[row], laid.leader[row], plays)
        with contextlib.suppress(rules.IllegalPlay):
            Game.from_text(line)
            legal += 1
    assert legal < 30  # in the others a seat did not follow suit


def test_pickles_that_were_changed_are_refused() -> None:
    game, batch = game_after(1, 5), batch_after(1, [5, 3])
    restore, (kind, hands, decl, leader, plays, _), _ = game.__reduce__()
    with pytest.raises(rules.ImpossibleDeal):
        restore(kind, hands[:3], decl, leader, plays)
    for wrong in (plays + plays[:1], bytes([200]), plays + bytes(range(28))):
        with pytest.raises(rules.IllegalPlay, match="does not hold"):
            restore(kind, hands, decl, leader, wrong)
    restore, (kind, dealt, decls, leaders, history, _), _ = batch.__reduce__()
    with pytest.raises(ValueError, match="do not go together"):
        restore(kind, dealt, decls, leaders, history[:1])
    changed = history.copy()
    changed[1, 3] = changed[1, 0]
    with pytest.raises(rules.IllegalPlay, match="game 1 has a play"):
        restore(kind, dealt, decls, leaders, changed)


@given(seed=seeds, n=plies)
@settings(max_examples=100, deadline=None)
def test_a_game_is_a_line_and_back(seed: int, n: int) -> None:
    game = game_after(seed, n)
    text = str(game)
    assert Game.from_text(text) == game
    assert str(Game.from_text(text)) == text
    assert "\n" not in text
    fields = text.split(" ")
    assert fields[1:3] == [rules.DECLARATIONS[game.decl], str(game.leader)]
    assert [len(hand.split(",")) for hand in fields[0].split("/")] == [7, 7, 7, 7]
    assert n == 0 if fields[3] == "-" else len(fields[3].split(",")) == n
    loose = f"  {fields[0][::-1]}\t{int(game.decl)}\n{game.leader}  {fields[3]} "
    reversed_seats = Game(game.dealt[::-1], game.decl, game.leader)
    if n == 0:
        assert Game.from_text(loose) == reversed_seats
    assert type(NamedGame.from_text(text)) is NamedGame


def test_the_line_that_the_documentation_shows_is_a_game(repo_root: Path) -> None:
    shown = re.findall(r"^ *(\d\d,\S+/\S+ \S+ \d \S+)$", rules.notation.__doc__ or "", re.M)
    pages = (repo_root / "docs" / "formats.md").read_text(encoding="utf-8")
    shown += re.findall(r"^(\d\d,\S+/\S+ \S+ \d \S+)$", pages, re.M)
    assert len(shown) == 2
    for line in shown:
        assert str(Game.from_text(line)) == line


@given(seed=seeds, n=plies)
@settings(max_examples=100, deadline=None)
def test_positions_are_lines_and_back(seed: int, n: int) -> None:
    batch = batch_after(seed, [n, rules.N_PLIES - n])
    positions = batch.positions()
    lines = zebfast.positions_to_text(positions)
    back = zebfast.positions_from_text(lines)
    assert back.dtype == zebfast.POSITION_DTYPE
    assert back.tobytes() == positions.tobytes()
    assert zebfast.positions_to_text(back[1]) == lines[1:]
    assert zebfast.positions_from_text(lines[0]).tobytes() == positions[:1].tobytes()
    if n == 0:
        assert Game.from_text(lines[0]) == Game.deal(seed)


GOOD = str(game_after(1, 1))
HANDS, DECL, LEADER, PLAYS = GOOD.split()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' has 0 fields: expected four"),
        (GOOD + " - 64", "has 6 fields: expected four"),
        ("x" * 10**6, "^1000000 characters: a line has at most 1000$"),
        (f"{HANDS}/- {DECL} {LEADER} {PLAYS}", "expected 4 hands with / between them"),
        (f"{HANDS} fife {LEADER} {PLAYS}", "'fife' is no declaration: expected blanks, ones"),
        (f"{HANDS} 10 {LEADER} {PLAYS}", "'10' is no declaration"),
        (f"{HANDS} {DECL} 4 {PLAYS}", "'4' is no seat: expected 0, 1, 2, 3"),
        (f"{HANDS} {DECL} ² {PLAYS}", "'²' is no seat"),
        (f"{HANDS} {DECL} {LEADER} 67", "'67' is no domino: expected two ends from 0 to 6"),
        (f"{HANDS} {DECL} {LEADER} ٦٤", "is no domino"),
        (f"{HANDS} {DECL} {LEADER} {PLAYS},", "'' is no domino"),
        (f"{HANDS} {DECL} {LEADER} \x1b[31m64", "is no domino"),
        (f"{'6' * 900} {DECL} {LEADER} -", r"^'6{40}\.\.\.' is no domino"),
    ],
)
def test_hostile_text_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(zebfast.BadNotation, match=sentence) as caught:
        Game.from_text(text)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()
    deal = f"{HANDS} {DECL} {LEADER} -"
    with pytest.raises(zebfast.BadNotation, match=re.escape(f"position 1: {caught.value}")):
        zebfast.positions_from_text([deal, text])


@given(text=st.text(max_size=80) | st.text(alphabet="0123456,/-. fives", max_size=120))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_game_or_an_error_of_ours(text: str) -> None:
    ours = (
        zebfast.BadNotation,
        zebfast.ImpossibleDeal,
        zebfast.IllegalPlay,
        zebfast.ImpossiblePosition,
    )
    for read in (Game.from_text, zebfast.positions_from_text):
        with contextlib.suppress(*ours):
            read(text)  # type: ignore[operator]


def test_text_of_no_game_names_the_rule() -> None:
    first, *others = HANDS.split("/")
    with pytest.raises(zebfast.ImpossibleDeal, match="seat 1 holds 0 dominoes, not 7"):
        Game.from_text(f"{first}/-/{'/'.join(others[1:])} {DECL} {LEADER} -")
    with pytest.raises(zebfast.ImpossibleDeal, match="is held by seat 0 and by seat 1"):
        Game.from_text(f"{first}/{first}/{'/'.join(others[1:])} {DECL} {LEADER} -")
    with pytest.raises(zebfast.IllegalPlay, match=r"^play 2: seat \d may not play \d-\d; legal"):
        Game.from_text(f"{HANDS} {DECL} {LEADER} {PLAYS},{PLAYS}")
    with pytest.raises(zebfast.ImpossiblePosition, match=r"^position 0: .* is in two places"):
        zebfast.positions_from_text(f"{first}/{first}/{'/'.join(others[1:])} {DECL} {LEADER} -")
    with pytest.raises(zebfast.BadNotation, match=r"^position 0: seat 0 holds a domino twice"):
        zebfast.positions_from_text(f"64,46/-/-/- {DECL} {LEADER} -")
    with pytest.raises(zebfast.BadNotation, match=r"^position 0: 4 dominoes are on the table"):
        zebfast.positions_from_text(f"-/-/-/- {DECL} {LEADER} 00,10,11,20")
    for wrong in (b"bytes", None, 5):
        with pytest.raises(TypeError, match="a line of text is needed"):
            Game.from_text(wrong)  # type: ignore[arg-type]


@given(st.sets(st.integers(0, 27)))
def test_masks_and_dominoes(dominoes: set[int]) -> None:
    mask = zebfast.mask_of(dominoes)
    assert mask == sum(1 << d for d in dominoes)
    assert zebfast.dominoes_of(mask) == sorted(dominoes)
    for domino in dominoes:
        high, low = zebfast.DOMINOES[domino]
        assert zebfast.domino_id(low, high) == domino
        assert zebfast.domino_name(domino) == f"{high}-{low}"


def test_ids_of_no_domino_are_refused() -> None:
    for wrong in (-1, 28, 2**40):
        with pytest.raises(ValueError, match=f"domino {wrong}: ids run from 0 to 27"):
            zebfast.mask_of([1, wrong])
        with pytest.raises(ValueError, match=f"domino {wrong}: ids run from 0 to 27"):
            zebfast.domino_name(wrong)


def test_declarations_have_names() -> None:
    assert [decl.label for decl in zebfast.Declaration] == list(rules.DECLARATIONS)
    assert Game(*rules.deal(1, 0)).decl is zebfast.Declaration.FOURS
    assert f"{zebfast.Declaration.NO_TRUMP:d}" == "9"
