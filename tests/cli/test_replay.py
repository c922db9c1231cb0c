"""`zebfast replay`: what it prints and how it exits."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from zebfast import rules
from zebfast.cli.main import cli


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["replay", *map(str, arguments)])


def record() -> dict[str, Any]:
    """A game in which every seat plays its lowest legal domino."""
    hands, decl, leader = rules.deal(5, 0)
    position = rules.Position(hands, decl, leader)
    plays = []
    while not position.over:
        seat, legal, before = position.to_play, position.legal(), sum(position.points)
        position.play(legal[0])
        slots = [hands[seat].index(domino) for domino in legal]
        trick = {"winner": position.to_play, "points": sum(position.points) - before}
        plays.append(
            {
                "seat": seat,
                "domino": legal[0],
                "slot": slots[0],
                "legal_slots": slots,
                "trick": trick if len(position.plays) % 4 == 0 else None,
            }
        )
    points = position.points
    return {"hands": hands, "decl": decl, "bidder": leader, "plays": plays, "points": points}


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_every_recorded_game_is_equal(rules_games_path: Path) -> None:
    result = replay(rules_games_path)
    assert result.exit_code == 0
    assert result.stdout == "replayed 1,500 games, 42,000 plays: all equal\n"
    assert result.stderr == ""


def test_json_summary(tmp_path: Path) -> None:
    path = write(tmp_path / "g.jsonl", record(), record())
    result = replay(path, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "file": str(path),
        "games": 2,
        "plays": 56,
        "equal": True,
        "difference": None,
    }


@pytest.fixture
def different(tmp_path: Path) -> Path:
    """A file whose third line has one wrong legal set."""
    wrong = record()
    wrong["plays"][0]["legal_slots"].pop()
    return write(tmp_path / "g.jsonl", record(), record(), wrong)


def test_first_difference_exits_1(different: Path) -> None:
    result = replay(different)
    assert result.exit_code == 1
    assert result.stdout == (
        "2 games, 56 plays equal, then a difference: line 3, play 0: legal slots: "
        "expected [0, 1, 2, 3, 4, 5, 6] (Python rules), found [0, 1, 2, 3, 4, 5]\n"
    )


def test_first_difference_as_json(different: Path) -> None:
    result = replay("--json", different)
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["equal"], found["games"]) == (False, 2)
    assert found["difference"] == {
        "line": 3,
        "ply": 0,
        "referee": "Python rules",
        "what": "legal slots",
        "expected": [0, 1, 2, 3, 4, 5, 6],
        "found": [0, 1, 2, 3, 4, 5],
    }


def test_what_is_wrong_is_told_and_the_others_are_replayed(tmp_path: Path) -> None:
    with gzip.open(Path(__file__).parent.parent / "golden" / "full_games.jsonl.gz") as lines:
        games = [json.loads(next(lines)) for _ in range(4)]
    good = json.dumps(games[3])
    played = [hand for hand in games[0]["hands"] if "award" in hand]
    played[0]["award"][1] += 1
    called = games[1]["hands"][0]
    called["bids"][0][1] = 200
    games[2]["hands"][0]["dealer"] = 7
    path = tmp_path / "g.jsonl"
    path.write_text("\n".join([good, *map(json.dumps, games[:3]), "{", good]) + "\n")
    result = replay(path)
    assert result.exit_code == 1
    assert result.stdout.startswith("2 games, ")
    assert f"equal, then a difference: line 2, hand {played[0]['no']}: award" in result.stdout
    assert result.stdout.endswith("; 3 lines cannot be replayed\n")
    told = result.stderr.splitlines()
    assert len(told) == 3
    assert f"{path}: Line 3 is illegal by the Python rules: hand 1: seat " in told[0]
    assert "may not call 200" in told[0]
    assert "Line 4, hand 1 has 7 for 'dealer'" in told[1]
    assert "Line 5 is not valid JSON" in told[2]
    found = json.loads(replay(path, "--json").stdout)
    assert (found["games"], found["equal"], found["broken_lines"]) == (2, False, 3)
    many = write(tmp_path / "many.jsonl", *[{}] * 30)
    assert replay(many).stderr.splitlines()[-1].endswith(": 10 lines more.")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no games"),
        (b"\n\n", "holds no games"),
        (b"{}", "Line 1 has no list 'hands'"),
        (b"\x1f\x8bnonsense", "gzip data after line 0 is damaged"),
    ],
)
def test_no_recorded_games(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "g.jsonl"
    path.write_bytes(content)
    result = replay(path)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.startswith(f"Error: {path}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    result = replay(tmp_path / "none.jsonl")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_standard_input_is_read() -> None:
    data = (json.dumps(record()) + "\n").encode()
    result = CliRunner().invoke(cli, ["replay", "-", "--json"], input=data)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {
        "file": "<stdin>", "games": 1, "plays": 28, "equal": True, "difference": None
    }  # fmt: skip


def test_whole_games(repo_root: Path) -> None:
    path = repo_root / "tests" / "golden" / "full_games.jsonl.gz"
    result = replay(path)
    assert result.stdout == "replayed 42 games, 556 hands, 11,380 plays: all equal\n"
    assert json.loads(replay(path, "--json").stdout) == {
        "file": str(path), "games": 42, "hands": 556, "plays": 11380, "equal": True,
        "difference": None,
    }  # fmt: skip


def test_a_difference_in_a_whole_game_names_the_hand(tmp_path: Path) -> None:
    with gzip.open(Path(__file__).parent.parent / "golden" / "full_games.jsonl.gz") as lines:
        game = json.loads(next(lines))
    hand = next(hand for hand in game["hands"] if "award" in hand)
    hand["award"][1] += 1
    result = replay(write(tmp_path / "g.jsonl", game), "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["difference"]
    assert (found["hand"], found["ply"], found["what"]) == (hand["no"], None, "award")
