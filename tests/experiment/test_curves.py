"""The picture of a run: written whatever the metrics hold, and it shows them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from zebfast.experiment.curves import plot_curves
from zebfast.learner.recipe import parse_recipe

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
N_PANELS = 9
Lines = dict[tuple[str, str], list[tuple[float, float]]]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def cycle(step: int, *, eval_aux: bool = True) -> dict[str, Any]:
    row: dict[str, Any] = {
        "step": step,
        "train/belief_acc": 0.3 + 0.01 * step,
        "train/policy_top1_accuracy": 0.5,
        "stats/total_games": 64 * step,
        "stats/eval_aux_games": 0,
        "stats/optimizer_steps": 100 * step,
        "stats/replay_buffer_selfplay": 1792 * step,
        "stats/replay_buffer_eval_aux": 56 * eval_aux,
        "stats/selfplay_mix_ratio": 1 - 0.05 * eval_aux,
        "stats/eval_aux_mix_ratio": 0.05 * eval_aux,
        "stats/replay_reuse": 2.0,
        "stats/eval_aux_replay_reuse": None,
    }
    for loss in ("policy", "value", "belief"):
        row |= {f"train/{loss}_loss": 2 - 0.1 * step, f"train/selfplay_{loss}_loss": 2.0}
        if eval_aux:
            row[f"train/eval_aux_{loss}_loss"] = 3.0
    return row


def rating(step: int) -> dict[str, Any]:
    row: dict[str, Any] = {"step": step}
    for name in ("random", "heuristic"):
        row |= {f"eval/vs_{name}_win_rate": 0.5, f"eval/vs_{name}_low": 0.4}
        row[f"eval/vs_{name}_high"] = 0.6
    return row


def pixels(path: Path) -> tuple[int, int]:
    """Width and height from the header of a PNG file."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_whole_run(tmp_path: Path) -> None:
    rows = [cycle(step) for step in range(1, 11)] + [rating(10)]
    metrics, png = write(tmp_path / "metrics.jsonl", rows), tmp_path / "curves.png"
    assert plot_curves(metrics, png, title="A run") == N_PANELS
    width, height = pixels(png)
    assert width > 800
    assert height > 500
    empty = tmp_path / "empty.png"
    assert plot_curves(tmp_path / "absent.jsonl", empty, title="A run") == 0
    assert pixels(empty) == (width, height)
    assert png.stat().st_size > empty.stat().st_size > 5_000


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Points by title of the panel and legend, of everything that is plotted."""
    from matplotlib.axes import Axes

    found: Lines = {}
    real = Axes.plot

    def plot(self: Axes, xs: Any, ys: Any, **more: Any) -> Any:
        found[self.get_title(), more["label"]] = list(zip(xs, ys, strict=True))
        return real(self, xs, ys, **more)

    monkeypatch.setattr(Axes, "plot", plot)
    return found


def test_what_is_drawn_over_what(tmp_path: Path, lines: Lines) -> None:
    """Losses by source over cycles; ratings over games, also where only the cycle names them."""
    rows = [cycle(1), cycle(2), rating(2), cycle(3), rating(3) | {"stats/total_games": 200}]
    metrics = write(tmp_path / "metrics.jsonl", rows)
    assert plot_curves(metrics, tmp_path / "curves.png", title="x") == N_PANELS
    won = "share of games won, 95 % intervals"
    assert lines[won, "against random"] == [(128, 0.5), (200, 0.5)]
    for title in ("policy loss (cross-entropy)", "value loss (squared error)"):
        assert lines[title, "batches"] == [(1, 1.9), (2, 1.8), (3, 1.7)]
        assert lines[title, "self-play"] == [(1, 2.0), (2, 2.0), (3, 2.0)]
        assert lines[title, "eval-aux"] == [(1, 3.0), (2, 3.0), (3, 3.0)]
    assert lines["mix of the batches", "eval-aux"] == [(1, 0.05), (2, 0.05), (3, 0.05)]
    assert lines["examples in the replay buffers", "self-play"][-1] == (3, 3 * 1792)
    assert ("draws of the average example", "eval-aux") not in lines


def test_without_the_second_source_nothing_of_it_is_drawn(tmp_path: Path, lines: Lines) -> None:
    metrics = write(tmp_path / "metrics.jsonl", [cycle(n, eval_aux=False) for n in (1, 2)])
    plot_curves(metrics, tmp_path / "curves.png", title="x")
    titles = {title for title, legend in lines if legend == "eval-aux"}
    assert not {title for title in titles if "loss" in title}


def test_panels_without_data_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    said: list[str] = []
    real = Axes.text

    def text(self: Axes, x: float, y: float, words: str, **more: Any) -> Any:
        said.append(words)
        return real(self, x, y, words, **more)

    monkeypatch.setattr(Axes, "text", text)
    rows = [{k: v for k, v in cycle(1).items() if "belief" not in k}]
    metrics = write(tmp_path / "metrics.jsonl", rows)
    metrics.write_text(metrics.read_text() + '{"step": 2, "train/pol')  # cut short by a kill
    assert plot_curves(metrics, tmp_path / "curves.png", title="x") == N_PANELS - 2
    assert said == ["no data"] * 2  # no ratings, no beliefs


RECIPE = """
name = "two"
[[stages]]
name = "exact"
until_games = 320
producer = { mode = "exact" }
lr = 1e-3
lr_end = 1e-4
reuse = 2.0
[[stages]]
name = "rollout"
until_games = 6400
producer = { mode = "rollout" }
lr = 1e-3
lr_end = 1e-4
reuse = 2.0
"""


def test_a_run_after_a_recipe_shows_its_arena_and_stages(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.axes import Axes

    marks: list[tuple[float, str]] = []
    monkeypatch.setattr(
        Axes, "text", lambda _self, x, _y, text, **_more: marks.append((x, text.strip()))
    )
    rows = []
    for step in range(1, 11):
        rows.append(cycle(step) | {"stats/minutes": 0.5 * step, "train/play_loss": 0.1})
        if step % 5 == 0:
            arena = {"win_rate": 0.5 + 0.01 * step, "low": 0.4, "high": 0.7}
            arena |= {"contract_rate": 0.52, "contract_low": 0.5, "contract_high": 0.54}
            rows.append({"step": step, **{f"eval/vs_random_{k}": v for k, v in arena.items()}})
    metrics = write(tmp_path / "metrics.jsonl", rows)
    parsed = parse_recipe(RECIPE)
    plot_curves(metrics, tmp_path / "curves.png", title="A run", recipe=parsed)
    strength = [points for (_, legend), points in lines.items() if legend == "against random"]
    assert strength == [[(320, 0.55), (640, 0.6)]], "the second of the two panels, over games"
    [by_contract] = [v for (_, legend), v in lines.items() if legend.endswith("by contract")]
    assert by_contract == [(320, 0.52), (640, 0.52)]
    assert lines["games counted", "games"][-1] == (5.0, 640)
    assert lines["play loss (squared error)", "batches"][0] == (1, 0.1)
    assert (0.5, "exact") in marks, "over minutes"
    assert (2.5, "rollout") in marks
    assert (320, "rollout") in marks, "over games"
