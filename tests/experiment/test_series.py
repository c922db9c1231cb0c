"""The picture of a long run is that of all its rows, from a few buckets that grow with it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zebfast.experiment import series
from zebfast.experiment.series import Buckets, Cursor, Curves
from zebfast.learner.metrics import read_metrics

LOSS, GAMES = "train/policy_loss", "stats/total_games"
WANTED = frozenset({LOSS, GAMES})


def _row(step: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "time": 10.0 * step, GAMES: 100 * step, **more}


def _slow(rows: list[dict[str, Any]], name: str, width: int) -> dict[str, list[Any]]:
    """Buckets of a metric as they are defined."""
    found: dict[str, list[Any]] = {"i": [], "mean": [], "low": [], "high": []}
    for begin in range(0, len(rows), width):
        values = [row[name] for row in rows[begin : begin + width] if row.get(name) is not None]
        if values:
            found["i"].append(begin // width)
            found["mean"].append(sum(values) / len(values))
            found["low"].append(min(values))
            found["high"].append(max(values))
    return found


@given(
    st.lists(st.one_of(st.none(), st.integers(-1000, 1000)), min_size=1, max_size=200),
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_buckets_are_those_of_all_rows_however_they_came(
    losses: list[int | None], pieces: list[int]
) -> None:
    rows = [_row(step, **{LOSS: loss}) for step, loss in enumerate(losses)]
    buckets, begin = Buckets(WANTED, n_buckets=8), 0
    while begin < len(rows):
        size = pieces[begin % len(pieces)]
        buckets.add(rows[begin : begin + size])
        begin += size
    assert buckets.n_rows == len(rows)
    assert buckets.width == max(1, 2 ** math.ceil(math.log2(len(rows) / 8)))
    found, slow = buckets.part()["series"], _slow(rows, LOSS, buckets.width)
    if not slow["i"]:
        assert LOSS not in found
        return
    assert found[LOSS]["i"] == slow["i"]
    assert found[LOSS]["mean"] == pytest.approx(slow["mean"], rel=1e-5, abs=1e-9)
    if buckets.width > 1:
        assert found[LOSS]["low"] == slow["low"]
        assert found[LOSS]["high"] == slow["high"]
    xs = buckets.part()["x"]["step"]
    lasts = [min(at + buckets.width, len(rows)) - 1 for at in range(0, len(rows), buckets.width)]
    assert xs == lasts


def test_games_are_carried_and_speed_is_over_a_minute(tmp_path: Path) -> None:
    buckets = Buckets(WANTED)
    buckets.add([_row(step) for step in range(1, 31)])
    buckets.add([{"step": 30, "time": 305.0, "eval/vs_random_win_rate": 0.6}])
    part = buckets.part()
    assert part["x"][GAMES][-1] == 3000
    assert set(part["series"]["speed/self-play"]["mean"]) == {10.0}
    assert part["series"]["speed/self-play"]["i"] == list(range(6, 30))
    assert part["series"]["eval/vs_random_win_rate"]["i"] == [30]


def test_the_number_of_metrics_is_bounded() -> None:
    buckets = Buckets(WANTED)
    for number in range(1000):
        buckets.add([{"step": number, f"eval/vs_{number}_win_rate": 0.5, "other": 1.0}])
    assert len(buckets.names) == 128
    assert "other" not in buckets.names


def _write(path: Path, rows: list[dict[str, Any]], mode: str = "a") -> None:
    with open(path, mode, encoding="utf-8") as handle:
        handle.writelines(json.dumps(row) + "\n" for row in rows)


def test_a_part_and_what_comes_after_it_are_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    _write(path, [_row(step, **{LOSS: 1.0 / step}) for step in range(1, 400)])
    curves, seen = Curves(path, None), None
    shown: dict[str, dict[int, Any]] = {}
    for begin in range(400, 3000, 300):
        curves.read(1.0)
        part, seen = curves.part_after(seen)
        if part["from"] == 0:
            shown = {}
        for name, told in part["series"].items():
            own = shown.setdefault(name, {})
            for at in [at for at in own if at >= part["from"]]:
                del own[at]
            own.update(zip(told["i"], told["mean"], strict=True))
        _write(path, [_row(step, **{LOSS: 1.0 / step}) for step in range(begin, begin + 300)])
    whole, _ = curves.part_after(None)
    assert seen is not None
    for name, told in whole["series"].items():
        assert shown[name] == dict(zip(told["i"], told["mean"], strict=True))
    again, _ = curves.part_after(seen)
    assert again["n"] - again["from"] <= 1
    other, _ = curves.part_after(Cursor([99, 1, 1], 10))
    assert other["from"] == 0


def test_bad_rows_are_counted_and_a_rewritten_file_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    _write(path, [_row(1, **{LOSS: 2.0}), _row(2, **{LOSS: None})])
    with open(path, "a", encoding="utf-8") as handle:
        handle.write('no JSON\n[]\n{"step": "x"}\n{"step": 3, "time": 1e400, "ti')
    curves = Curves(path, None)
    curves.read(1.0)
    assert (curves.n_rows, curves.n_bad) == (2, 3)
    assert [row["step"] for row in curves.newest_rows()] == [1, 2], "the newest loss is kept"
    key = curves.part_after(None)[0]["key"]
    beside = tmp_path / "beside"
    _write(beside, [_row(step) for step in range(5)])
    beside.replace(path)
    curves.read(1.0)
    assert (curves.n_rows, curves.n_bad) == (5, 0)
    assert curves.part_after(None)[0]["key"] != key


def test_a_long_file_is_seen_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "_SAMPLE_FROM", 10_000)
    monkeypatch.setattr(series, "_PIECE", 500)
    monkeypatch.setattr("zebfast.system.follow.BLOCK", 5000)
    path = tmp_path / "metrics.jsonl"
    _write(path, [_row(step, **{LOSS: 1.0}) for step in range(5000)])
    curves = Curves(path, None)
    curves.read(0.0)
    first, seen = curves.part_after(None)
    assert curves.is_sampled
    assert 0 < curves.share_read < 0.1
    assert (first["x"]["step"][0], first["x"]["step"][-1]) == pytest.approx((0, 4999), abs=20)
    assert curves.newest_rows()[-1]["step"] == 4999
    _write(path, [_row(5000)])
    curves.read(0.0)
    assert curves.newest_rows()[-1]["step"] == 5000, "what is new is seen at once"
    while curves.follower.is_behind:
        curves.read(1.0)
    whole, _ = curves.part_after(seen)
    assert (curves.is_sampled, whole["from"], curves.n_rows) == (False, 0, 5001)
    assert whole["x"]["step"][-1] == 5000


def test_a_row_whose_cycle_is_no_number_of_this_world_is_none(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": {10**400}}}\n{{"step": 1, "{LOSS}": {10**400}}}\n')
    curves = Curves(path, None)
    curves.read(1.0)
    assert (curves.n_rows, curves.n_bad) == (1, 1)
    assert read_metrics(path) == [{"step": 1}]
