"""`zebfast solve`: what it reads, prints and refuses, and how it exits."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from slow_solver import best_of, dominoes_of, random_position, slow_plays

from zebfast.cli.main import cli


def solve(*arguments: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, ["solve", *map(str, arguments)], input=stdin)


def as_record(position: np.void) -> dict[str, Any]:
    """A POSITION_DTYPE record as the file format has it."""
    return {
        "decl": int(position["decl"]),
        "remaining": [list(dominoes_of(int(mask))) for mask in position["hands"]],
        "leader": int(position["leader"]),
        "trick": position["table"][: position["n_table"]].tolist(),
    }


def answer(position: np.void) -> dict[str, Any]:
    """What the slow twin says, as it should be printed."""
    plays = slow_plays(position)
    seat = int(position["leader"] + position["n_table"]) & 3
    return {"v": best_of(plays, seat), "q": {str(d): v for d, v in plays.items()}}


@pytest.fixture(scope="module")
def positions() -> list[np.void]:
    rng = random.Random(6)
    return [random_position(rng, 1 + k % 3, k // 3 % 4)[0] for k in range(60)]


@pytest.fixture(scope="module")
def lines(positions: list[np.void]) -> list[dict[str, Any]]:
    return [as_record(position) for position in positions]


@pytest.fixture(scope="module")
def answers(positions: list[np.void]) -> list[dict[str, Any]]:
    return [answer(position) for position in positions]


def packed(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in records).encode()


def printed(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_prints_v_and_q_in_order(
    tmp_path: Path, lines: list[dict[str, Any]], answers: list[dict[str, Any]]
) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(packed(lines))
    for threads in (1, 2):
        result = solve(path, "--threads", threads)
        assert result.exit_code == 0
        assert result.stderr == ""
        assert printed(result) == answers
        for one in printed(result):
            assert [*one["q"]] == sorted(one["q"], key=int)


def test_batches_do_not_show(
    lines: list[dict[str, Any]], answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 7, 60):
        monkeypatch.setattr("zebfast.arena.io.positions.BATCH", size)
        assert printed(solve("-", stdin=packed(lines))) == answers
    result = solve("-", stdin=packed([*lines[:9], {"decl": 1}, *lines]))
    assert (result.exit_code, printed(result)) == (1, answers[:9])


def test_gzip_is_known_by_its_content(
    tmp_path: Path, lines: list[dict[str, Any]], answers: list[dict[str, Any]]
) -> None:
    path = tmp_path / "no-ending"
    path.write_bytes(gzip.compress(packed(lines)))
    assert printed(solve(path)) == answers
    assert printed(solve("-", stdin=path.read_bytes())) == answers
    path.write_bytes(path.read_bytes()[:-20])
    result = solve(path)
    assert result.exit_code == 1
    assert "gzip data" in result.stderr


def test_a_deal_gives_a_line_for_each_position(
    lines: list[dict[str, Any]], answers: list[dict[str, Any]]
) -> None:
    kind = lines[0]["decl"]
    same = [i for i, line in enumerate(lines) if line["decl"] == kind]
    inside = [{key: lines[i][key] for key in ("remaining", "leader", "trick")} for i in same]
    deal = {"decl": kind, "hands": "ignored", "positions": inside}
    result = solve("-", stdin=packed([lines[3], deal, {"decl": 1, "positions": []}, lines[4]]))
    assert result.exit_code == 0
    assert printed(result) == [answers[i] for i in (3, *same, 4)]


def test_empty_input_is_fine() -> None:
    for stdin in (b"", b"\n  \n"):
        result = solve("-", stdin=stdin)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


GOOD = {"decl": 9, "remaining": [[0, 1], [2, 3], [4, 5], [6, 7]], "leader": 0, "trick": []}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"decl": 10}, "Line 2 has 10 for 'decl'; expected a whole number 0 to 9."),
        ({"decl": None}, "Line 2 has null for 'decl'; expected a whole number 0 to 9."),
        ({"leader": -1}, "Line 2 has -1 for 'leader'; expected a whole number 0 to 3."),
        ({"remaining": [[1], [2]]}, "Line 2 has 2 entries in 'remaining'; expected 4."),
        ({"remaining": 7}, "Line 2 has no list 'remaining'."),
        ({"remaining": [[0, 0], [2], [4], [5]]}, "Line 2 has 0-0 twice in 'remaining[0]'."),
        ({"remaining": [[0], [2], [4], [28]]}, "Line 2 has 28 for 'remaining[3]'; expected"),
        ({"trick": None}, "Line 2 has no list 'trick'."),
        ({"trick": [20, 21, 22, 23]}, "Line 2 has 4 entries in 'trick'; the fourth finishes"),
        ({"trick": [7]}, "Line 2 is impossible: 3-1 is in two places."),
        ({"trick": [20]}, "Line 2 is impossible: seat 0 holds 2 dominoes but should hold 1: 2 "),
        (
            {"remaining": [[0], [15], [4, 5], [6, 7]], "trick": [16, 27]},
            "Line 2 is impossible: seat 1 played 6-6 although it holds 5-0 of the led suit: it",
        ),
        ({"positions": 3}, "Line 2 has no list 'positions'."),
        ({"positions": [3]}, "Line 2, position 0 is not a JSON object."),
        ({"positions": [GOOD, {**GOOD, "trick": [7]}]}, "Line 2, position 1 is impossible: 3-1 is"),
    ],
)
def test_a_bad_line_is_named(change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(packed([GOOD, {**GOOD, **change}, GOOD]))
    result = solve(path)
    assert result.exit_code == 1
    good_lines = 2 if "position 1" in sentence else 1
    assert len(printed(result)) == good_lines
    assert result.stderr.startswith(f"Error: {path}: {sentence}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("line", [b"[]\n", b"{\n", b"\xff\xfe\n", b"3\n"])
def test_a_line_that_is_no_object_is_named(line: bytes) -> None:
    result = solve("-", stdin=packed([GOOD]) + line)
    assert result.exit_code == 1
    assert len(printed(result)) == 1
    assert "Line 2 is not" in result.stderr


def test_usage_errors_exit_2(tmp_path: Path) -> None:
    assert solve(tmp_path / "absent.jsonl").exit_code == 2
    assert solve("-", "--threads", 0).exit_code == 2
    assert solve().exit_code == 2
    shown = solve("--help")
    assert shown.exit_code == 0
    assert "Example:" in shown.stdout


def test_check_compares_with_the_recorded_values(
    lines: list[dict[str, Any]], answers: list[dict[str, Any]]
) -> None:
    recorded = [{**line, **found} for line, found in zip(lines, answers, strict=True)]
    result = solve("--check", "-", stdin=packed(recorded))
    assert (result.exit_code, result.stdout) == (0, "solved 60 positions: all equal\n")
    only_v = [{**line, "v": found["v"]} for line, found in zip(lines, answers, strict=True)]
    assert solve("--check", "-", stdin=packed(only_v)).exit_code == 0
    right = recorded[31]["v"]
    recorded[31] = {**recorded[31], "v": right + 2}
    result = solve("--check", "-", stdin=packed(recorded))
    assert result.exit_code == 1
    assert result.stdout == (
        f"31 positions equal, then a difference: Line 32: v: expected {right}, found {right + 2}\n"
    )
    recorded[31] = {**recorded[31], "v": right, "q": {}}
    result = solve("--check", "--json", "-", stdin=packed(recorded))
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["positions"], found["equal"]) == (31, False)
    assert found["difference"].startswith("Line 32: q: expected {")


def test_check_needs_something_to_compare_with() -> None:
    result = solve("--check", "-", stdin=packed([GOOD]))
    assert result.exit_code == 1
    assert "Line 1 has neither v nor q to compare with" in result.stderr
    result = solve("--check", "-")
    assert result.exit_code == 1
    assert "holds no positions" in result.stderr


def test_the_recorded_positions_are_equal(shared_dir: Path) -> None:
    path = shared_dir / "golden/solver_positions.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    result = solve("--check", path)
    assert result.stdout == "solved 4,675 positions: all equal\n"
    assert result.exit_code == 0


def test_a_reader_that_leaves_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(packed([GOOD]) * 20_000)
    command = [sys.executable, "-m", "zebfast", "solve", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["q"]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1
