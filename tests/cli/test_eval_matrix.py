"""`zebfast eval --matrix`: what it prints, writes, continues and refuses."""

import importlib.util
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from zebfast.arena.matrix_files import picture_size
from zebfast.cli.main import cli

PLAYERS = ("random", "heuristic", "heuristic2")


def matrix(*arguments: object, players: tuple[str, ...] = PLAYERS) -> Result:
    return CliRunner().invoke(cli, ["eval", "--matrix", *players, *map(str, arguments)])


def figures(text: str) -> dict[str, Any]:
    """A matrix as JSON without what depends on the machine or only a file has."""
    held = json.loads(text)
    for pair in held["pairs"]:
        for name in ("games_per_s", "seconds", "points"):
            pair.pop(name, None)
    return {name: value for name, value in held.items() if name not in ("format", "version")}


def test_json_agrees_with_matches() -> None:
    result = matrix("--n-deals", 50, "--seed", 4, "--bid", 31, "--json")
    assert result.exit_code == 0
    held = json.loads(result.stdout)
    assert (held["players"], held["n_deals"]) == (list(PLAYERS), 50)
    assert (held["seed"], held["bid"], held["complete"]) == (4, 31, True)
    for pair in held["pairs"]:
        arguments = [pair["player_a"], "vs", pair["player_b"], "--n-games", "100"]
        options = ["--seed", "4", "--bid", "31", "--json"]
        alone = CliRunner().invoke(cli, ["eval", *arguments, *options])
        assert {**json.loads(alone.stdout), "games_per_s": 0} == {**pair, "games_per_s": 0}


def test_text_shows_every_figure() -> None:
    result = matrix("--n-games", 100)
    assert result.exit_code == 0
    held = json.loads(matrix("--n-games", 100, "--json").stdout)
    blocks = result.stdout.split("\n\n")
    titles = [block.splitlines()[0] for block in blocks[1:]]
    assert [title.split(",")[0].split(" (")[0].split(":")[0] for title in titles] == [
        "Elo",
        "Won by points",
        "Won by contract",
        "Mean margin",
        "Pairings",
        "By points",
    ]
    first = held["pairs"][0]
    row, column = (line.split() for line in blocks[2].splitlines()[2:4])
    assert row[:4] == ["1", "random", "–", f"{100 * first['win_rate']:.1f}"]
    assert column[:3] == ["2", "heuristic", f"{100 * first['losses'] / 100:.1f}"]
    assert blocks[4].splitlines()[2].split()[3] == f"{first['mean_margin']:+.2f}"
    assert f"{held['elo']['ratings'][2]['elo']:+.0f}" in blocks[1].splitlines()[3]
    assert "of all contracts were made" in result.stdout
    assert "a tie half a win, 1 tie added to each pairing" in result.stdout
    assert len(max(result.stdout.splitlines(), key=len)) <= 100


def test_a_line_for_each_pairing_where_there_is_no_terminal() -> None:
    lines = matrix("--n-deals", 20).stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "[1/3] random vs heuristic",
        "[2/3] random vs heuristic2",
        "[3/3] heuristic vs heuristic2",
    ]


def test_a_bar_over_all_pairings_on_a_terminal() -> None:
    """The bar is on stderr only, and takes the place of the lines."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        command = ["-m", "zebfast", "eval", "--matrix", *PLAYERS, "--n-deals", "600", "--json"]
        process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=theirs
        )
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # how Linux says that nobody has the other end open any more
            while part := terminal.read(4096):
                seen += part
        assert json.loads(process.communicate()[0])["complete"]
    assert b"pairing 3 of 3" in seen
    assert b"3,600 of 3,600 games" in seen
    assert b"[3/3]" not in seen


def test_files(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    paths = {name: tmp_path / f"m.{name}" for name in ("csv", "png", "json")}
    options = ("--csv", paths["csv"], "--png", paths["png"], "--output", paths["json"])
    result = matrix("--n-deals", 20, *options, "--json")
    assert result.exit_code == 0
    assert len(paths["csv"].read_text().splitlines()) == 7
    assert image.imread(paths["png"]).shape[1::-1] == picture_size(3)
    assert figures(paths["json"].read_text()) == figures(result.stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.csv", "m.json", "m.png"]


def cut(path: Path, n_pairs: int) -> None:
    """Make a complete file one that was left after so many pairings."""
    held = json.loads(path.read_text())
    held |= {"complete": False, "elo": None, "pairs": held["pairs"][:n_pairs]}
    path.write_text(json.dumps(held))


@pytest.mark.parametrize("n_pairs", [0, 1, 3])
def test_resumed_is_uninterrupted(tmp_path: Path, n_pairs: int) -> None:
    path = tmp_path / "m.json"
    whole = matrix("--n-deals", 30, "--output", path, "--resume", "--json")
    assert whole.exit_code == 0
    if n_pairs < 3:
        cut(path, n_pairs)
    rest = matrix("--n-deals", 30, "--output", path, "--resume", "--json")
    assert figures(rest.stdout) == figures(whole.stdout) == figures(path.read_text())
    lines = rest.stderr.splitlines()
    assert lines[0].endswith(f"{n_pairs} of 3 pairings are there already.")
    assert len(lines) == 1 + 3 - n_pairs


def test_a_file_is_not_written_over_and_not_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    assert matrix("--n-deals", 5, "--output", path).exit_code == 0
    before = path.read_bytes()
    for options, words in (
        (("--n-deals", 5), "there already; continue it with --resume"),
        (("--n-deals", 6, "--resume"), "holds another matrix (n_deals: 5, not 6)"),
        (("--n-deals", 5, "--resume", "--seed", 1), "holds another matrix (seed: 0, not 1)"),
    ):
        result = matrix(*options, "--output", path)
        assert result.exit_code == 2
        assert words in result.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("players", "options", "words"),
    [
        ((), (), "--matrix needs two players or more, not 0"),
        (("random",), (), "--matrix needs two players or more, not 1"),
        (("random", "vs", "heuristic"), (), 'without "vs"'),
        (("random", "heuristic", "random"), (), "random is there twice"),
        (("eq:n=5", "eq:objective=points,n=5"), (), "eq:n=5 = eq:objective=points,n=5 is there"),
        (("random", "hueristic"), (), "did you mean 'heuristic'?"),
        (PLAYERS, ("--resume",), "add --output FILE"),
        (PLAYERS, ("--csv", "no/such/place.csv"), "no/such is no directory"),
        (PLAYERS, ("--csv", "same", "--png", "same"), "not the same one"),
        (PLAYERS, ("--n-deals", "2", "--n-games", "2"), "not both"),
    ],
)
def test_wrong_usage_exits_2(
    players: tuple[str, ...], options: tuple[str, ...], words: str
) -> None:
    result = matrix(*options, players=players)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_without_matplotlib_nothing_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    result = matrix("--png", tmp_path / "m.png", "--output", tmp_path / "m.json")
    assert result.exit_code == 1
    assert "pip install 'zebfast[plot]'" in result.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_keeps_what_was_finished(tmp_path: Path) -> None:
    """A pairing is played, the next would take minutes: exit code 130, the first is in the file."""
    path = tmp_path / "m.json"
    command = ["-m", "zebfast", "eval", "--matrix", *PLAYERS, "--output", str(path)]
    process = subprocess.Popen(
        [sys.executable, *command, "--n-deals", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        assert "[1/3] random vs heuristic" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    finally:
        watchdog.cancel()
    assert (process.returncode, out) == (130, "")
    assert "1 of 3 pairings are kept" in err
    assert err.splitlines()[-1] == "interrupted"
    held = json.loads(path.read_text())
    assert (held["complete"], held["elo"], len(held["pairs"])) == (False, None, 1)


def test_missing_weights_exit_1(tmp_path: Path) -> None:
    result = matrix(players=("random", f"zeb:source={tmp_path}/none.pt"))
    assert result.exit_code == 1
    assert "none.pt does not exist" in result.stderr
    assert result.stderr.count("\n") == 1
