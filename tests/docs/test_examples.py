"""The programs of examples/: each says what it does, runs, and imports nothing below the top."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pages import ROOT

import zebfast

PROGRAMS = sorted((ROOT / "examples").glob("*.py"))


def load(name: str) -> ModuleType:
    path = ROOT / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def test_there_are_four() -> None:
    assert [path.stem for path in PROGRAMS] == [
        "compare_players",
        "play_a_hand",
        "policies",
        "train_from_nothing",
    ]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_imports_nothing_below_the_top(path: Path) -> None:
    ours = [name for name in imported(path) if name.partition(".")[0] == "zebfast"]
    assert ours == ["zebfast"]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_has_help(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        load(path.stem).main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert f"python examples/{path.name}" in shown
    assert "--seed" in shown


def test_a_hand_is_played(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, one_torch_thread: None
) -> None:
    program = load("play_a_hand")
    answers: list[str] = []

    def answer(question: str) -> str:
        offered = re.findall(r"\d-\d", question)
        answers.append("?" if not answers else "nonsense" if len(answers) == 1 else offered[0])
        return answers[-1]

    monkeypatch.setattr("builtins.input", answer)
    program.main(["--seed", "3"])
    shown = capsys.readouterr().out
    assert re.search(r"\d-\d \d+%", shown)  # the advice that was asked for
    assert "'nonsense' is none of them" in shown
    assert len(answers) == 7 + 2
    assert shown.count(" took it; ") == 7
    assert shown.splitlines()[-1] in ("you won", "they won", "a tie")


def test_a_hand_is_played_by_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    program = load("play_a_hand")
    program.main(["--auto", "--opponents", "heuristic2"])
    ours, theirs = re.findall(r"you (\d+), they (\d+)", capsys.readouterr().out)[-1]
    assert int(ours) + int(theirs) == 42
    with pytest.raises(SystemExit) as stop:
        program.main(["--auto", "--opponents", "nobody"])
    assert stop.value.code == 2
    assert "Unknown player 'nobody'" in capsys.readouterr().err


@pytest.mark.parametrize("gone", [EOFError, KeyboardInterrupt])
def test_a_person_may_leave(gone: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(question: str) -> str:
        raise gone

    monkeypatch.setattr("builtins.input", answer)
    with pytest.raises(SystemExit, match="you left the table"):
        load("play_a_hand").main(["--seed", "3"])


def test_players_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    program = load("compare_players")
    program.main(["random", "random", "--deals", "20"])
    shown = capsys.readouterr().out
    low, high = map(float, re.findall(r"([\d.]+)%", shown)[-2:])  # of the interval, 95 apart
    assert low < high
    program.main(["heuristic", "random", "--deals", "60"])
    [share] = re.findall(r"scores ([\d.]+)% against random", capsys.readouterr().out)
    assert float(share) > 50
    with pytest.raises(SystemExit) as stop:
        program.main(["random", "random", "--deals", "1"])
    assert stop.value.code == 2


def test_an_interval_is_over_deals() -> None:
    program = load("compare_players")
    mean, low, high = program.interval(np.array([0.0, 1.0] * 200))
    assert mean == 0.5
    assert (low, high) == pytest.approx((0.451, 0.549), abs=1e-3)


def test_paired_games_of_equal_players_cancel(capsys: pytest.CaptureFixture[str]) -> None:
    """Against itself, a player that draws nothing loses in one game what it won in the other."""
    load("compare_players").main(["heuristic2", "heuristic2", "--deals", "5"])
    shown = capsys.readouterr().out
    assert "scores 50.0% against heuristic2 (95 %: 50.0% to 50.0%)" in shown
    assert "points a game: +0.00 (95 %: +0.00 to +0.00)" in shown


def test_policies_play_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    program = load("policies")
    program.main(["--games", "400", "--plain"])
    shown = capsys.readouterr().out
    shares = re.findall(r"(\w+) against (\w+): won ([\d.]+)% of 400", shown)
    assert [pair[:2] for pair in shares] == [("heuristic", "random"), ("heuristic2", "heuristic")]
    assert all(float(share) > 45 for _, _, share in shares)
    with pytest.raises(SystemExit) as stop:
        program.main(["--games", "1"])
    assert stop.value.code == 2


def test_a_network_learns(capsys: pytest.CaptureFixture[str], one_torch_thread: None) -> None:
    small = ["--games", "100", "--steps", "300", "--deals", "400", "--width", "64"]
    load("train_from_nothing").main(small)
    shown = capsys.readouterr().out
    [(before, after)] = re.findall(r"play: ([\d.]+)% before, ([\d.]+)% after", shown)
    assert float(after) > float(before) + 3
    assert "labelled" in shown


@pytest.mark.parametrize("option", ["--games", "--steps", "--width", "--deals"])
def test_nothing_is_too_few(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        load("train_from_nothing").main([option, "0"])
    assert stop.value.code == 2
    assert f"{option}: at least 1 is needed" in capsys.readouterr().err


def test_labels_are_for_the_side_to_play() -> None:
    """The best play by its label is the best one of its own side, against the mean of all."""
    program, solver = load("train_from_nothing"), zebfast.Solver()
    x, y, legal = program.labelled(3, 5, solver)
    assert x.shape == (3 * 28, program.FEATURES)
    assert np.where(legal, y, 0).sum(axis=1) == pytest.approx(0, abs=1e-4)
    hand = x[:, : program.N].astype(bool)
    assert (legal <= hand).all()
    assert (hand.sum(axis=1) == np.repeat([7, 6, 5, 4, 3, 2, 1], 12)).all()
    games, row = zebfast.GameBatch.deal(3, seed=5), 0
    while not games.over.all():
        values = solver.play_values(games.positions())
        for seat, exact in zip(games.to_play, values, strict=True):
            plays = np.flatnonzero(legal[row])
            assert (plays == np.flatnonzero(exact != zebfast.NO_PLAY)).all()
            best = max if seat % 2 == 0 else min
            assert exact[plays[y[row, plays].argmax()]] == best(exact[plays])
            row += 1
        games.play_random(seed=5)
