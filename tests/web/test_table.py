"""A table by itself: what may be done, taken back, kept, and seen."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from zebfast.rules import RuleSet, deal
from zebfast.web.answers import Refused
from zebfast.web.play import views
from zebfast.web.play.store import StateInUse, Store, opened, table_bytes
from zebfast.web.play.table import BadTable, Seat, Table, seat_of

PERSON, ROBOT = Seat("Ann"), Seat("zeb", "random")
ALONE = (PERSON, ROBOT, ROBOT, ROBOT)


def _table(seats: tuple[Seat, ...] = ALONE, rule_set: RuleSet | None = None) -> Table:
    return Table.new(rule_set or RuleSet(), seats, pace="instant", hints=False, now=1.0)


def _legal(table: Table) -> list[int]:
    game = table.game
    return [*game.legal_calls(), *map(int, game.legal_declarations()), *game.legal_plays()]


def _go(table: Table, rng: random.Random, until: str) -> None:
    """Random acts until the phase, or the next hand where it is ``deal``."""
    while table.game.phase not in (until, "over"):
        if table.between_hands:
            table.next_hand()
            continue
        assert table.game.seat is not None
        table.act(table.game.seat, rng.choice(_legal(table)))


@pytest.mark.parametrize("rules", ["straight", "all_pass=force,early_end=false", "auction=drop30"])
def test_a_saved_table_is_the_same_at_every_moment(rules: str) -> None:
    rng, table = random.Random(5), _table(rule_set=RuleSet.from_text(rules))
    for _ in range(200):
        again = Table.from_json(json.loads(table_bytes(table)))
        assert again == table
        if table.game.over:
            break
        if table.between_hands:
            table.next_hand()
        else:
            assert table.game.seat is not None
            table.act(table.game.seat, rng.choice(_legal(table)))


def test_what_is_not_allowed_is_one_sentence_and_changes_nothing() -> None:
    table = _table()
    before = table_bytes(table)
    seat = table.game.seat
    assert seat is not None
    for act in (
        lambda: table.act((seat + 1) % 4, 30),
        lambda: table.act(seat, 29),
        lambda: table.act(seat, 84 + 42),
        table.next_hand,
        table.end_hand,
        lambda: table.undo(frozenset({0})),
        lambda: table.change(pace="hasty"),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.sentence.endswith(".")
    assert table_bytes(table) == before
    with pytest.raises(Refused, match="no kind of seat"):
        seat_of("ghost", "x", "", 0)
    assert seat_of("here", "  A\n<b>  c ", "", 2) == Seat("A<b> c")
    assert seat_of("computer", "", "zeb", 1).name == "West"


def test_alone_one_takes_back_to_ones_own_last_act_and_never_past_an_open_hand() -> None:
    rng, table = random.Random(1), _table()
    _go(table, rng, "play")
    while table.game.phase == "play":
        acts = table.acts()
        own = [i for i, seat in enumerate(acts) if seat == 0]
        assert table.undoable(frozenset({0})) == (len(acts) - own[-1] if own else 0)
        if len(own) > 3 and table.game.seat == 0:
            view = table.game.seen_by(0)
            table.act(0, rng.choice(_legal(table)))
            if table.game.phase == "play":
                table.undo(frozenset({0}))
                assert table.game.seen_by(0) == view
                table.act(0, rng.choice(_legal(table)))
        else:
            assert table.game.seat is not None
            table.act(table.game.seat, rng.choice(_legal(table)))
    assert table.hands_open
    assert table.undoable(frozenset({0})) == 0


def test_among_people_only_what_nobody_has_answered_is_taken_back() -> None:
    table = _table((PERSON, ROBOT, Seat("Ben", key="k"), ROBOT))
    rng = random.Random(2)
    _go(table, rng, "play")
    seen = set()
    while table.game.phase == "play":
        seat = table.game.seat
        assert seat is not None
        table.act(seat, rng.choice(_legal(table)))
        if not table.hands_open:
            seen.add((seat, table.undoable(frozenset({0}))))
    assert {n for seat, n in seen if seat == 0} == {1}
    assert {n for seat, n in seen if seat != 0} == {0}


def _dealt(table: Table, hands: list[list[int]]) -> Table:
    """The same table with other dominoes in the hands."""
    game = type(table.game)(table.game.rule_set, shaker=table.game.shaker)
    game.deal(hands)
    return replace(table, game=game)


def test_tables_that_differ_in_hidden_hands_look_the_same() -> None:
    table = _table()
    hands = deal(11, 0)[0]
    rest = [domino for seat in (1, 2, 3) for domino in hands[seat]]
    rng, compared = random.Random(3), 0
    for _ in range(20):
        rng.shuffle(rest)
        other = [hands[0], *(sorted(rest[7 * i : 7 * i + 7]) for i in range(3))]
        one, two = _dealt(table, hands), _dealt(table, other)
        own = frozenset({0})
        while one.game.phase != "deal":
            for seat in (0, None):
                assert views.view(one, seat, own) == views.view(two, seat, own)
                compared += 1
            seat = one.game.seat
            assert seat is not None
            both = [value for value in _legal(one) if value in _legal(two)]
            if not both:
                break
            value = rng.choice(both)
            one.act(seat, value)
            two.act(seat, value)
            if one.game.phase != two.game.phase:
                break
    assert compared > 200
    assert "open" not in views.view(table, 0, own)


def test_the_hands_are_shown_once_the_hand_is_over() -> None:
    table = _table()
    _go(table, random.Random(4), "deal")
    assert views.view(table, 0, frozenset({0}))["open"] == [
        views.dominoes(hand) for hand in table.game.dealt
    ]
    assert len(views.summary(table)["seats"]) == 4


@pytest.mark.parametrize(
    "spoilt",
    ["", "[]", "null", '{"v":2}', '{"v":1}', "[" * 9000, '{"v":1,"seats":[["a"]],"id":"x"}',
     "SEED", "GAME", "PACE", "ID"],
)  # fmt: skip
def test_a_file_that_is_no_table_is_left_alone(tmp_path: Path, spoilt: str) -> None:
    good, other = _table(), _table()
    store = Store(tmp_path)
    store.save(good.id, table_bytes(good))
    path = tmp_path / f"{other.id}.table.json"
    found = other.as_json()
    for key, value in {"SEED": ("seed", "x"), "GAME": ("game", "straight"), "PACE": ("pace", 3),
                       "ID": ("id", "../../x")}.items():  # fmt: skip
        if spoilt == key:
            found[value[0]] = value[1]
            spoilt = json.dumps(found)
    path.write_text(spoilt)
    assert store.load() == [good]
    [sentence] = store.refused
    assert sentence.startswith(path.name)
    assert path.read_text() == spoilt


def test_one_server_a_directory_and_its_address_stays(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as store:
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        first = store.address()
        store.keep_address(first)
        assert (tmp_path / "state" / "address.json").stat().st_mode & 0o077 == 0
        with pytest.raises(StateInUse, match="use that one"), opened(tmp_path / "state"):
            pass
    with opened(tmp_path / "state") as store:
        assert store.address() == first
        (tmp_path / "state" / "address.json").write_text('{"port": "x"}')
        assert store.address().token != first.token
    with pytest.raises(BadTable, match="version 7"):
        Table.from_json({"v": 7})
