"""`zebfast eval`: what it prints and how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zebfast.cli.main import cli


def evaluate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["eval", *arguments])


def test_json_result() -> None:
    result = evaluate("heuristic", "vs", "random", "--n-games", "400", "--seed", "3", "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert (found["player_a"], found["player_b"], found["seed"]) == ("heuristic", "random", 3)
    assert found["wins"] + found["ties"] + found["losses"] == found["games"] == 400
    assert found["win_rate"] == found["wins"] / 400
    assert found["win_rate_low"] < found["win_rate"] < found["win_rate_high"]


def test_table_and_rounding_note() -> None:
    result = evaluate("heuristic2", "vs", "heuristic", "--n-games", "1001")
    assert result.exit_code == 0
    assert "playing 1,002 games, because every deal is played both ways" in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["player", "heuristic2"]
    assert lines[2].split() == ["games", "1,002"]
    assert "a tie is not a win" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), 'Expected two players with "vs" between them'),
        (("random", "random"), 'Expected two players with "vs"'),
        (("random", "against", "random"), 'Expected two players with "vs"'),
        (("rondom", "vs", "random"), "did you mean 'random'?"),
        (("random", "vs", "zeb:source=hf"), "this version cannot read"),
        (("random", "vs", "random", "--n-games", "0"), "--n-games"),
        (("random", "vs", "random", "--seed", "-1"), "--seed"),
        (("random", "vs", "random", "--n-gams", "2"), "--n-games"),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...], words: str) -> None:
    result = evaluate(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_missing_weights_exit_1(tmp_path: Path) -> None:
    result = evaluate("random", "vs", f"zeb:source={tmp_path}/none.pt")
    assert result.exit_code == 1
    assert "none.pt does not exist" in result.stderr
    assert result.stderr.count("\n") == 1


def test_plain_players_do_not_load_torch() -> None:
    code = (
        "import sys\n"
        "from zebfast.cli.main import cli\n"
        "cli(['eval', 'random', 'vs', 'heuristic', '--n-games', '2'], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
