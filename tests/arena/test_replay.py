"""Recorded games: what is read, what is refused, and what counts as a difference."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from zebfast import rules
from zebfast.arena.io.json_lines import Difference, RecordingError
from zebfast.arena.io.replay import (
    MAX_LINE_BYTES,
    parse_game,
    read_games,
    replay_game,
)


def record(game: int = 0, *, shuffle: bool = False) -> dict[str, Any]:
    """A random game as the file format has it; `shuffle` puts the hands in no order."""
    rng = random.Random(game)
    hands, decl, leader = rules.deal(77, game)
    position = rules.Position(hands, decl, leader)
    if shuffle:
        hands = [rng.sample(hand, 7) for hand in hands]
    plays: list[dict[str, Any]] = []
    while not position.over:
        seat, legal, before = position.to_play, position.legal(), sum(position.points)
        domino = rng.choice(legal)
        position.play(domino)
        trick = {"winner": position.to_play, "points": sum(position.points) - before}
        plays.append(
            {
                "seat": seat,
                "domino": domino,
                "slot": hands[seat].index(domino),
                "legal_slots": sorted(map(hands[seat].index, legal)),
                "trick": trick if len(position.plays) % 4 == 0 else None,
            }
        )
    points = list(position.points)
    return {"hands": hands, "decl": decl, "bidder": leader, "plays": plays, "points": points}


def replayed(changed: dict[str, Any], line: int = 4) -> Difference | None:
    return replay_game(parse_game(json.dumps(changed).encode(), line))


@pytest.mark.parametrize("shuffle", [False, True])
def test_games_by_the_rules_are_equal(shuffle: bool) -> None:
    assert all(replayed(record(game, shuffle=shuffle)) is None for game in range(40))


def test_wrong_seat() -> None:
    game = record()
    seat = game["plays"][9]["seat"]
    game["plays"][9]["seat"] = (seat + 1) % 4
    found = replayed(game)
    assert found is not None
    assert (found.line, found.ply, found.what) == (4, 9, "seat")
    assert (found.expected, found.found) == (seat, (seat + 1) % 4)


@pytest.mark.parametrize("how", ["missing", "added", "repeated"])
def test_wrong_legal_set(how: str) -> None:
    game = record()
    legal = game["plays"][4]["legal_slots"]  # six slots: the second trick is led
    absent = next(slot for slot in range(7) if slot not in legal)
    changed = {"missing": legal[:-1], "added": [absent, *legal], "repeated": [*legal, legal[0]]}
    game["plays"][4]["legal_slots"] = changed[how]
    found = replayed(game)
    assert found is not None
    assert (found.ply, found.what, found.expected) == (4, "legal slots", legal)
    assert found.found == sorted(changed[how])


def test_wrong_slot() -> None:
    game = record()
    slot = game["plays"][5]["slot"]
    game["plays"][5]["slot"] = (slot + 1) % 7
    found = replayed(game)
    assert found is not None
    assert (found.ply, found.what, found.expected) == (5, "slot", slot)


@pytest.mark.parametrize("key", ["winner", "points"])
def test_wrong_trick(key: str) -> None:
    game = record()
    trick = dict(game["plays"][11]["trick"])
    game["plays"][11]["trick"][key] = (trick[key] + 1) % 4
    found = replayed(game)
    assert found is not None
    assert (found.ply, found.what, found.expected) == (11, "trick", trick)
    assert str(found).startswith("line 4, play 11: trick: expected {'winner'")


def test_trick_recorded_too_early_or_not_at_all() -> None:
    early, missing = record(), record()
    early["plays"][2]["trick"] = {"winner": 0, "points": 1}
    missing["plays"][3]["trick"] = None
    first, second = replayed(early), replayed(missing)
    assert first is not None
    assert second is not None
    assert (first.ply, first.expected) == (2, None)
    assert (second.ply, second.found) == (3, None)


def test_wrong_points() -> None:
    game = record()
    points = list(game["points"])
    game["points"] = points[::-1] if points[0] != points[1] else [points[0] + 1, points[1]]
    found = replayed(game)
    assert found is not None
    assert (found.ply, found.what, found.expected) == (None, "points", points)
    assert "line 4, at the end: points" in str(found)


def test_illegal_plays_name_line_play_and_rule() -> None:
    game = next(game for game in map(record, range(50)) if len(game["plays"][1]["legal_slots"]) < 7)
    play = game["plays"][1]
    slot = next(s for s in range(7) if s not in play["legal_slots"])
    play.update(slot=slot, domino=game["hands"][play["seat"]][slot])
    with pytest.raises(RecordingError, match=r"Line 4, play 1 is illegal.*legal plays are"):
        replayed(game)


def test_a_domino_from_another_hand_is_illegal() -> None:
    game = record()
    game["plays"][0]["domino"] = game["hands"][(game["plays"][0]["seat"] + 1) % 4][0]
    with pytest.raises(RecordingError, match="Line 4, play 0 is illegal"):
        replayed(game)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"hands": "x"}, "has no list 'hands'"),
    ({"hands": [[0] * 7] * 3}, "has 3 entries in 'hands'; expected 4"),
    ({"hands": [[0] * 6] * 4}, r"has 6 entries in 'hands\[0\]'; expected 7"),
    ({"hands": [[28] * 7] * 4}, r"has 28 for 'hands\[0\]'; expected a whole number 0 to 27"),
    ({"hands": [[0, 1, 2, 3, 4, 5, 6]] * 4}, "impossible deal: domino 0-0 is held by seat 0 and"),
    ({"decl": 10}, "has 10 for 'decl'; expected a whole number 0 to 9"),
    ({"decl": True}, "has true for 'decl'"),
    ({"decl": 1.0}, "has 1.0 for 'decl'"),
    ({"bidder": None}, "has null for 'bidder'"),
    ({"bidder": "x" * 99}, r"has \"x{36}\.\.\. for 'bidder'"),
    ({"plays": []}, "has 0 entries in 'plays'; expected 28"),
    ({"plays": [0] * 28}, "Line 4, play 0 is not a JSON object"),
    ({"plays": [{}] * 28}, "Line 4, play 0 has no list 'legal_slots'"),
    ({"plays": [{"legal_slots": [0] * 8}] * 28}, "lists 8 legal slots"),
    ({"plays": [{"legal_slots": [7]}] * 28}, "has 7 for 'legal_slots'|has null for 'seat'"),
    ({"plays": [{"legal_slots": [], "trick": 3}] * 28}, "neither null nor an object"),
    ({"points": [42]}, "has 1 entries in 'points'; expected 2"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES, ids=[words for _, words in CHANGES])
def test_malformed_records_get_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordingError, match=words) as caught:
        replayed(record() | change)
    assert str(caught.value).startswith("Line 4")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "Line 9 is not valid JSON"),
        (b"\xff\xfe{}", "Line 9 is not valid JSON"),
        (b"[" * 200_000, "Line 9 is not valid JSON"),
        (b"9" * 9_000, "Line 9 is not"),
        (b"[1]", "Line 9 is not a JSON object"),
    ],
)
def test_lines_that_are_no_json(line: bytes, words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        parse_game(line, 9)


@pytest.mark.parametrize("packed", [False, True])
def test_files_plain_and_gzipped(tmp_path: Path, packed: bool) -> None:
    lines = [json.dumps(record(game)) for game in range(3)]
    data = "\n\n".join(lines).encode()
    path = tmp_path / "games"
    path.write_bytes(gzip.compress(data) if packed else data)
    games = list(read_games(path))
    assert [game.line for game in games] == [1, 3, 5]
    assert all(replay_game(game) is None for game in games)


def test_damaged_gzip(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join(json.dumps(record(g)) for g in range(50)).encode())
    path = tmp_path / "games.jsonl.gz"
    for data in (
        whole[: len(whole) // 2],
        whole[:40] + b"\0" * 40 + whole[80:],
        whole[:-8] + b"x" * 8,
    ):
        path.write_bytes(data)
        with pytest.raises(RecordingError):
            list(read_games(path))


def test_endless_line(tmp_path: Path) -> None:
    path = tmp_path / "games.jsonl"
    path.write_bytes(b" " * (MAX_LINE_BYTES + 2))
    with pytest.raises(RecordingError, match="Line 1 is longer than"):
        list(read_games(path))
