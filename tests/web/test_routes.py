"""What browsers may ask of tables, and what they are told, byte for byte."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tables import COMPUTER, HERE, LINK, Site, serving
from web_server import Client

from zebfast.rules import RuleSet
from zebfast.web.play import room as rooms
from zebfast.web.play.table import Table


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("state")) as found:
        yield found


def _state(client: Client, table: str, seat: int | str = 0) -> dict[str, Any]:
    answer = client.get(f"/api/table/{table}?seat={seat}")
    assert answer.status == 200, answer.body
    return dict(answer.json)


def _until_turn(client: Client, table: str, seat: int = 0) -> dict[str, Any]:
    """Wait until a person is asked, or the hand is over."""
    ends = time.monotonic() + 20
    while True:
        view = _state(client, table, seat)
        if view["to_act"] in (seat, None):
            return view
        assert time.monotonic() < ends, view
        time.sleep(0.005)


def _choose(view: dict[str, Any]) -> str:
    """30 where it may be bid, else the first thing."""
    return "30" if "30" in view["legal"] else str(view["legal"][0])


def _play_hand(client: Client, table: str, seat: int = 0) -> dict[str, Any]:
    """To the end of the hand."""
    while True:
        view = _until_turn(client, table, seat)
        if view["to_act"] is None:
            return view
        act = {"seat": seat, "at": view["version"], "phase": view["phase"], "value": _choose(view)}
        assert client.post(f"/api/table/{table}/act", act).status == 200


def test_a_whole_game_over_http_is_what_the_rules_say(site: Site, tmp_path: Path) -> None:
    table = site.new(rules={"target": 2})
    while True:
        view = _play_hand(site.owner, table)
        assert len(view["open"]) == 4
        if view["phase"] == "over":
            break
        assert site.owner.post(f"/api/table/{table}/next", {"at": view["version"]}).status == 200
    assert max(view["marks"]) >= 2
    text = site.owner.get(f"/api/table/{table}/record")
    assert text.headers["content-disposition"].endswith('.txt"')
    assert text.body.decode().startswith("target=2\n")
    record = site.owner.get(f"/api/table/{table}/record?form=json")
    assert json.loads(record.body)["marks"] == view["marks"]
    for sent in (text.body, record.body):
        answer = site.owner.post("/api/import", {"text": sent.decode()})
        assert answer.status == 200, answer.body
        again = site.owner.get(f"/api/table/{answer.json['id']}/hands").json
        assert again["marks"] == view["marks"]
        assert again["results"] == view["results"]


def test_a_seat_by_link_sees_and_does_its_own_alone(site: Site) -> None:
    table = site.new(HERE, COMPUTER, LINK, COMPUTER)
    guest = site.guest(table, 2)
    view = _state(guest, table, 2)
    assert (view["own"], view["is_owner"], len(view["hand"])) == ([2], False, 7)
    assert site.owner.get(f"/api/table/{table}?seat=2").status == 403
    assert guest.get(f"/api/table/{table}?seat=0").status == 403
    assert _state(guest, table, "")["hand"] == []
    for path in ("/", "/api/lobby", "/api/lobby/events"):
        assert guest.get(path).status == 403
    for what, sent in (
        ("remove", {}), ("settings", {"hints": True}),
        ("act", {"seat": 0, "phase": "call", "value": "pass"}),
    ):  # fmt: skip
        assert guest.post(f"/api/table/{table}/{what}", sent).status == 403
    assert guest.post("/api/tables", {}).status == 403
    other = site.new()
    for asked in (f"/api/table/{other}", f"/api/table/{other}/record", "/api/table/nosuchtable"):
        assert guest.get(asked).status == 403
    assert Client(site.port).get(f"/join/{table}/not-the-key").status == 403
    assert Client(site.port).get(f"/api/table/{table}").status == 403
    assert guest.post(f"/api/table/{table}/settings", {"pace": "fast"}).status == 200


def test_two_windows_of_a_seat_do_not_act_twice(site: Site) -> None:
    table = site.new()
    view = _until_turn(site.owner, table)
    act = {"seat": 0, "at": view["version"], "phase": "call", "value": "pass"}
    first, second = (site.owner.post(f"/api/table/{table}/act", act) for _ in range(2))
    assert first.status == 200
    assert second.status == 409
    assert "gone on meanwhile" in second.json["error"]
    other = site.owner.post(f"/api/table/{table}/act", act | {"phase": "over", "value": "64"})
    assert other.status == 409
    assert "gone on meanwhile" in other.json["error"], "whatever it asked for"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 403),
        ({"seat": 1}, 403),
        ({"seat": "0"}, 403),
        ({"seat": 0}, 400),
        ({"seat": 0, "phase": "play", "value": "64"}, 409),
        ({"seat": 0, "phase": "call", "value": "a lot"}, 400),
        ({"seat": 0, "phase": "call", "value": "29"}, 400),
        ({"seat": 0, "phase": "call", "value": "294"}, 422),
        ({"seat": 0, "phase": "call", "value": "x" * 300}, 400),
        ({"seat": 0, "phase": "call", "value": 30}, 400),
    ],
)
def test_bad_acts_get_a_sentence(site: Site, sent: dict[str, Any], status: int) -> None:
    table = site.new()
    _until_turn(site.owner, table)
    answer = site.owner.post(f"/api/table/{table}/act", sent)
    assert answer.status == status, answer.body
    assert answer.json["error"].endswith(".")


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"seats": [HERE] * 3},
        {"seats": [HERE] * 3 + ["x"]},
        {"seats": [HERE] * 3 + [{"kind": "computer", "name": "", "player": "zeb:source=x"}]},
        {"seats": [HERE] * 4, "rules": []},
        {"seats": [HERE] * 4, "rules": {"target": 0}},
        {"seats": [HERE] * 4, "rules": {"marks": 3}},
        {"seats": [HERE] * 4, "rules": {"scoring": "points", "nello": "own"}},
        {"seats": [HERE] * 4, "pace": "hasty"},
    ],
)  # fmt: skip
def test_bad_tables_get_a_sentence(site: Site, sent: dict[str, Any]) -> None:
    answer = site.owner.post("/api/tables", sent)
    assert answer.status == 400, answer.body
    assert answer.json["error"].endswith(".")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no text of a game"),
        ("", "no game of 42"),
        ("straight\n0 - - - -", "nothing to look back at"),
        ("straight\n0 x y z -", "hand 1"),
        ("melo=own\n0 - - - -", "melo"),
        ("{}", "Line 1"),
        ('{"hands": [1]}', "Line 1"),
    ],
)
def test_imports_that_are_no_game_get_a_sentence(site: Site, text: Any, words: str) -> None:
    answer = site.owner.post("/api/import", {"text": text})
    assert answer.status in (400, 422), answer.body
    assert words in answer.json["error"]


def test_hints_are_for_tables_that_have_them_and_for_ones_own_turn(site: Site) -> None:
    table = site.new()
    view = _until_turn(site.owner, table)
    refused = site.owner.get(f"/api/table/{table}/hint?seat=0")
    assert (refused.status, "no hints" in refused.json["error"]) == (403, True)
    assert site.owner.post(f"/api/table/{table}/settings", {"hints": True}).status == 200
    bids = site.owner.get(f"/api/table/{table}/hint?seat=0").json
    assert bids["what"] == "Bid"
    assert "come true as often as they say" in bids["sentences"][-1]
    assert bids["columns"] == [call for call in view["legal"] if call not in ("pass", "84")]
    while view["phase"] != "play" or len(view["legal"]) < 2:
        view = _until_turn(site.owner, table)
        if view["to_act"] is None:
            site.owner.post(f"/api/table/{table}/next", {})
            continue
        if view["phase"] == "play" and len(view["legal"]) > 1:
            break
        act = {"seat": 0, "at": view["version"], "phase": view["phase"], "value": _choose(view)}
        site.owner.post(f"/api/table/{table}/act", act)
    plays = site.owner.get(f"/api/table/{table}/hint?seat=0").json
    assert sorted(option["domino"] for option in plays["options"]) == sorted(view["legal"])
    for name, chances in plays["belief"]["dominoes"]:
        assert name not in view["hand"]
        assert sum(chances) == pytest.approx(1, abs=0.01)


def test_a_hand_is_reviewed_when_it_is_over_and_not_before(site: Site) -> None:
    table = site.new()
    _until_turn(site.owner, table)
    assert site.owner.get(f"/api/table/{table}/review?hand=1").status == 404
    assert site.owner.get(f"/api/table/{table}/record").status == 409
    while _play_hand(site.owner, table)["results"][-1]["made"] is None:
        site.owner.post(f"/api/table/{table}/next", {})
    view = _state(site.owner, table)
    number = len(view["results"])
    found = site.owner.get(f"/api/table/{table}/review?hand={number}").json
    split = found["split"]
    parts = sum(split[name] for name in ("deal", "naming", "bidders", "defenders"))
    assert parts == split["points"]
    assert found["dealt"] == view["open"]
    site.owner.post(f"/api/table/{table}/next", {})
    _until_turn(site.owner, table)
    saved = site.owner.get(f"/api/table/{table}/record").body.decode()
    assert len(saved.strip().splitlines()) == 1 + number + 1  # rules, hands, what is to be dealt
    assert saved.endswith(" - - - -\n")
    everything = site.owner.get(f"/api/table/{table}/review").json
    assert [hand["number"] for hand in everything["hands"]] == list(range(1, number + 1))


def test_what_cannot_be_kept_does_not_happen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    table = site.new()
    view = _until_turn(site.owner, table)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    act = {"seat": 0, "at": view["version"], "phase": "call", "value": "pass"}
    with monkeypatch.context() as patch:
        patch.setattr("zebfast.web.play.store.write_atomic", full)
        refused = site.owner.post(f"/api/table/{table}/act", act)
        assert refused.status == 507
        assert "could not be saved: No space left" in refused.json["error"]
        assert _state(site.owner, table) == view
    assert site.owner.post(f"/api/table/{table}/act", act).status == 200


def test_tables_are_listed_and_removed_and_bounded(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = site.new()
    file = site.folder / f"{table}.table.json"
    assert file.exists()
    assert table in [each["id"] for each in site.owner.get("/api/lobby").json["tables"]]
    assert site.owner.post(f"/api/table/{table}/remove", {}).status == 200
    assert not file.exists()
    assert site.owner.get(f"/api/table/{table}").status == 404
    monkeypatch.setattr(rooms, "MAX_TABLES", len(site.room))
    seats = {"seats": [HERE, COMPUTER, COMPUTER, COMPUTER]}
    answer = site.owner.post("/api/tables", seats)
    assert (answer.status, "remove some" in answer.json["error"]) == (503, True)


def test_house_contracts_are_played_at_the_table(site: Site) -> None:
    rules = {"nello": "own", "sevens": 1, "plunge": 2, "opening_marks": 2, "all_pass": "force"}
    table = site.new(HERE, HERE, HERE, HERE, rules=rules)
    wanted, seen = ["nello", "sevens", "fives"], []
    while wanted:
        view = _state(site.owner, table, "")
        if view["to_act"] is None:
            site.owner.post(f"/api/table/{table}/next", {})
            continue
        seat = view["to_act"]
        view = _state(site.owner, table, seat)
        value = view["legal"][0]
        if view["phase"] == "call" and view["bid"] is None:
            value = "42"
        elif view["phase"] == "declare":
            value = wanted.pop(0)
            seen.append(value)
        act = {"seat": seat, "at": view["version"], "phase": view["phase"], "value": value}
        answer = site.owner.post(f"/api/table/{table}/act", act)
        assert answer.status == 200, answer.body
    assert seen == ["nello", "sevens", "fives"]


def test_a_player_that_fails_says_so_and_is_asked_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise ZeroDivisionError("of this test")

    monkeypatch.setattr(rooms, "RETRY_SECONDS", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(site.room.players, "choose", fail)
        table = site.new(COMPUTER, COMPUTER, HERE, COMPUTER)
        ends = time.monotonic() + 20
        while "computer player failed" not in _state(site.owner, table, 2)["trouble"]:
            if _state(site.owner, table, 2)["to_act"] == 2:
                table = site.new(COMPUTER, COMPUTER, HERE, COMPUTER)
            assert time.monotonic() < ends
    view = _until_turn(site.owner, table, 2)
    assert view["trouble"] == ""


def test_computers_play_on_by_themselves_and_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path, ("random",)) as site:
        robots = [COMPUTER | {"player": "random"}] * 4
        table = site.new(*robots, rules={"target": 1})
        game = Table.new(
            RuleSet(), site.room.find(table).table.seats, pace="calm", hints=False, now=0.0
        )
        assert game.thinker == "random"
    with serving(tmp_path, ("random",)) as site:
        ends = time.monotonic() + 30
        while (view := _state(site.owner, table, ""))["winner"] not in (0, 1):
            assert time.monotonic() < ends, view
            time.sleep(0.02)


def test_no_answer_before_the_end_holds_a_hidden_hand_or_the_seed(site: Site) -> None:
    """Byte for byte of all that an owner and a guest can ask while a hand is played."""
    table = site.new(HERE, COMPUTER, LINK, COMPUTER)
    guest = site.guest(table, 2)
    hidden = site.room.find(table).table
    hands = hidden.game.dealt
    told: list[bytes] = []
    ends = time.monotonic() + 30
    while not any(b'"open":' in body for body in told):
        assert time.monotonic() < ends, "the hand did not end"
        for client, own in ((site.owner, 0), (guest, 2)):
            paths = (f"?seat={own}", "", "/links", "/hint", "/hands", "/review", "/record")
            seen = [client.get(f"/api/table/{table}{path}").body for path in paths]
            view = json.loads(seen[0])
            # The hand may have ended on the way, and what came after that may show it.
            seen.append(client.get(f"/api/table/{table}").body)
            told += seen
            if any(b'"open":' in body for body in seen):
                break
            assert not any(_shows(body, hands, {0, 1, 2, 3} - {own}) for body in seen), seen
            assert not any(_shows(body, hands, {own}) for body in seen[1:]), seen
            if view["to_act"] == own:
                act = {"seat": own, "phase": view["phase"], "value": _choose(view)}
                client.post(f"/api/table/{table}/act", act)
    assert len(told) > 40
    key = next(seat.key for seat in hidden.seats if seat.key)
    for body in told:
        assert str(hidden.seed).encode() not in body
    assert any(key.encode() in body for body in told)  # the owner's, to hand on
    assert _shows(site.owner.get(f"/api/table/{table}?seat=0").body, hands, {1})


def _shows(body: bytes, hands: list[list[int]], seats: set[int]) -> bool:
    """Whether two neighbours of a hand as it was dealt stand side by side, in any way we write."""
    from zebfast.rules import DOMINOES

    body = re.sub(rb'"legal":\["pass",[^]]*\]', b"", body)  # bids look like dominoes
    for seat in seats:
        names = ["{}{}".format(*DOMINOES[domino]) for domino in hands[seat]]
        for one, two in pairwise(names):
            if re.search(rf'"{one}","{two}"|\b{one},{two}\b'.encode(), body):
                return True
        if ",".join(map(str, hands[seat][:3])).encode() in body:
            return True
    return False
