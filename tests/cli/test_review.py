"""`zebfast review` and `zebfast play` from the command line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from whole_games import GOLDEN

from zebfast.arena.analysis.read import read_games
from zebfast.arena.analysis.review import Reviewer
from zebfast.arena.analysis.steps import finished_hands, game_record, steps
from zebfast.cli.main import cli


def zebfast(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), input=given, catch_exceptions=False)


@pytest.fixture(scope="module")
def recorded() -> str:
    with gzip.open(GOLDEN, "rt", encoding="utf-8") as lines:
        return "".join(next(lines) for _ in range(3))


def test_a_recorded_game_is_looked_back_at(recorded: str, tmp_path: Path) -> None:
    file = tmp_path / "games.jsonl"
    file.write_text(recorded)
    told = zebfast("review", file, "--hand", 1, "--worlds", 16, "--mistakes", 3)
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith("hand 1: seat ")
    assert "With all hands open this deal was worth" in told.stdout
    assert "mistakes by what players could know, the worst first" in told.stdout
    assert "luck of the deals" in told.stdout
    found = json.loads(zebfast("review", file, "--hand", 1, "--worlds", 16, "--json").stdout)
    assert [hand["number"] for hand in found["hands"]] == [1]
    assert zebfast("review", "-", "--hand", 1, "--worlds", 16, given=recorded).exit_code == 0


@pytest.mark.parametrize(
    ("given", "arguments", "code", "words"),
    [
        ("", (), 1, "<stdin>: It is no game of 42"),
        ("straight\n0 - - - -", ("--hand", 1), 1, "no hand 1"),
        ("{}", (), 1, "Line 1"),
        (None, ("--game", 4), 1, "has 3 games; there is no 4"),
        (None, ("--network", "zob"), 2, "Unknown player 'zob'"),
        (None, ("--worlds", 0), 2, "--worlds"),
    ],
)
def test_what_cannot_be_looked_at(
    recorded: str, given: str | None, arguments: tuple[object, ...], code: int, words: str
) -> None:
    result = zebfast("review", "-", *arguments, given=recorded if given is None else given)
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


def test_steps_records_and_texts_are_one_game(recorded: str) -> None:
    for game in read_games(recorded):
        assert read_games(str(game)) == [game]
        assert finished_hands(game) is game
        record = game_record(game, ("a", "b", "c", "d"))
        [again] = read_games(json.dumps(record))
        assert str(again) == str(game)
        done = [(step.hand, step.phase, step.seat, step.value) for step in steps(game)]
        assert done == [(s.hand, s.phase, s.seat, s.value) for s in steps(again)]
        game.undo()
        assert len(finished_hands(game).results) == len(game.results)
        assert finished_hands(game).phase == "deal"


def test_the_parts_of_a_hand_add_up_to_its_points(recorded: str) -> None:
    """Exactly: the solver's losses telescope from the deal to the outcome."""
    reviewer, looked = Reviewer(None), 0
    for game in read_games(recorded):
        for hand in reviewer.hands(game):
            if hand.split is None or hand.result.bidder is None:
                continue
            side = hand.result.bidder % 2
            own, other = hand.result.points[side], hand.result.points[1 - side]
            assert own <= hand.split.points <= 42 - other
            assert hand.split.naming <= 0
            assert hand.split.bidders <= 0 <= hand.split.defenders
            if own + other == 42:
                assert hand.split.points == own
            looked += 1
    assert looked > 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--player", "nobody"), "nobody"),
        (("--port", "0"), "--port"),
        (("--port", "70000"), "--port"),
    ],
)
def test_what_cannot_be_served(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    result = zebfast("play", "--state", tmp_path, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
