"""`zebfast eval`: what it prints and how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zebfast.arena.players.specs import NETWORK_FORM, SEARCH_FORM, WORLDS_FORM
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
    assert found["contract_rate_low"] < found["contract_rate"] < found["contract_rate_high"]
    assert found["contract_wins"] == found["made"] + found["set_opponent"]
    assert found["bid"] == "random"


def test_table_and_rounding_note() -> None:
    result = evaluate("heuristic2", "vs", "heuristic", "--n-games", "1001")
    assert result.exit_code == 0
    assert "playing 1,002 games, because every deal is played both ways" in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["player", "heuristic2"]
    assert lines[2].split() == ["games", "1,002"]
    assert [line.split("  ")[0] for line in lines[3:12]] == [
        "won by points",
        "won, tied, lost",
        "margin",
        "won by contract",
        "bids",
        "made",
        "set",
        "made by both",
        "games/s",
    ]
    assert "a tie is not a win" in result.stdout
    assert "mostly measures defence" in lines[-1]


def test_a_fixed_bid() -> None:
    arguments = ("heuristic", "vs", "random", "--n-deals", "100", "--bid")
    low, high = (json.loads(evaluate(*arguments, bid, "--json").stdout) for bid in ("30", "42"))
    assert (low["bid"], high["bid"]) == (30, 42)
    assert low["made"] > high["made"]
    assert low["wins"] == high["wins"]
    assert "mostly measures defence" not in evaluate(*arguments, "36").stdout


def test_deals_and_games_are_two_ways_to_say_it() -> None:
    deals, games = (
        evaluate("random", "vs", "heuristic", *option)
        for option in (("--n-deals", "50"), ("--n-games", "100"))
    )
    assert deals.stdout.split("games/s")[0] == games.stdout.split("games/s")[0]


def test_every_seed_of_the_range_is_taken() -> None:
    seed = 2**64 - 1
    result = evaluate("random", "vs", "random", "--n-games", "2", "--seed", str(seed), "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["seed"] == seed


def test_threads_do_not_change_the_result() -> None:
    arguments = ("eq:n=3", "vs", "eq:n=2,objective=make", "--n-deals", "3", "--json", "--threads")
    one, three = (json.loads(evaluate(*arguments, n).stdout) for n in ("1", "3"))
    assert {**one, "games_per_s": 0} == {**three, "games_per_s": 0}
    assert one["player_a"] == "eq:n=3"


def test_help_shows_both_forms() -> None:
    text = " ".join(evaluate("--help").stdout.split())
    assert "zebfast eval zeb vs heuristic" in text
    assert "zebfast eval --matrix random heuristic heuristic2 --n-deals 2000" in text
    whole = text.replace(" ", "")  # the last form is longer than a line
    assert all(form in whole for form in (NETWORK_FORM, WORLDS_FORM, SEARCH_FORM))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), 'Expected two players with "vs" between them'),
        (("random", "random"), 'Expected two players with "vs"'),
        (("random", "against", "random"), 'Expected two players with "vs"'),
        (("rondom", "vs", "random"), "did you mean 'random'?"),
        (("random", "vs", "zeb:source=hf"), "this version cannot read"),
        (("random", "vs", "eq:n=0"), "expected a number of worlds, 1 to 10000"),
        (("random", "vs", "zeb:weights_name=x"), "weights_name but no source"),
        (("random", "vs", "random", "--bid", "29"), "'29' is no bid; expected 30 to 42, or random"),
        (("random", "vs", "random", "--bid", "high"), "'high' is no bid"),
        (("random", "vs", "random", "--n-deals", "2", "--n-games", "4"), "not both"),
        (("random", "vs", "random", "--png", "a.png"), "belong to --matrix"),
        (("random", "vs", "random", "--threads", "0"), "--threads"),
        (("random", "vs", "random", "--device", "gpu"), "--device gpu is not known"),
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
        "cli(['eval', 'random', 'vs', 'heuristic', '--n-deals', '1'], standalone_mode=False)\n"
        "cli(['eval', '--matrix', 'random', 'heuristic', '--n-deals', '1'], standalone_mode=0)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
