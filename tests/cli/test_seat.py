"""`zebfast eval --game marks` and `zebfast seat`: what they print and how they exit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zebfast.cli.main import cli


def zebfast(*arguments: object, data: bytes = b"") -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments)], input=data)


def test_whole_games_and_their_record(tmp_path: Path) -> None:
    record = tmp_path / "games.jsonl"
    result = zebfast("eval", "heuristic2", "vs", "random", "--game", "marks", "--n-games", 2,
                     "--record", record, "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["games"], found["rules"], found["illegal_a"]) == (2, "straight", 0)
    told = zebfast("replay", record).stdout
    assert told.startswith("replayed 2 games, ")
    assert told.endswith("all equal\n")
    text = zebfast("eval", "random", "vs", "random", "--game", "marks", "--n-deals", 1,
                   "--rules", "all_pass=force").stdout  # fmt: skip
    assert text.startswith("random against random: 2 whole games, ")
    assert "marks/game" in text


def test_our_seat_over_its_pipe_is_the_player_itself() -> None:
    program = f"ext:{sys.executable} -m zebfast seat heuristic2"
    result = zebfast("eval", program, "vs", "heuristic2", "--game", "marks", "--n-games", 2,
                     "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["marks_a_game"], found["illegal_a"]) == (0, 0)


def test_everyone_against_everyone() -> None:
    result = zebfast("eval", "--matrix", "rule+random", "jump+random", "--game", "marks",
                     "--n-games", 2)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Marks a game (row player less column player)" in result.stdout
    assert result.stderr.startswith("rule+random v jump+random: ")
    found = zebfast("eval", "--matrix", "rule+random", "jump+random", "--game", "marks",
                    "--n-games", 2, "--json")  # fmt: skip
    assert json.loads(found.stdout)["pairs"][0]["games"] == 2
    alone = zebfast("eval", "--matrix", "rule+random", "--game", "marks")
    assert (alone.exit_code, "two players or more" in alone.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("random", "vs"), 2, 'Expected two players with "vs" between them'),
        (("random", "vs", "nobody"), 2, "nobody"),
        (("random", "vs", "random", "--bid", "30"), 2, "expected none of"),
        (("random", "vs", "random", "--rules", "melo=own"), 2, "--rules: unknown key"),
        (("random", "vs", "ext:/no/such"), 1, "'ext:/no/such' does not start: No such file"),
        (("random", "vs", f"ext:{sys.executable} -c pass"), 1, "owes the answer to hello"),
    ],
)
def test_what_cannot_be_played(arguments: tuple[str, ...], code: int, words: str) -> None:
    result = zebfast("eval", *arguments, "--game", "marks")
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


def test_marks_has_options_of_its_own(tmp_path: Path) -> None:
    result = zebfast("eval", "random", "vs", "random", "--record", tmp_path / "x")
    assert result.exit_code == 2
    assert "belong to --game marks" in result.stderr


def test_a_seat_that_is_none() -> None:
    result = zebfast("seat", "nobody")
    assert result.exit_code == 2
    assert "nobody" in result.stderr
