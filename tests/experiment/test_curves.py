"""The picture of a run: written whatever the metrics hold, and it shows them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from zebfast.experiment.curves import plot_curves

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
N_PANELS = 4


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def cycle(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "train/policy_loss": 2 - 0.1 * step,
        "train/value_loss": 0.5,
        "train/belief_acc": 0.3 + 0.01 * step,
        "stats/total_games": 64 * step,
        "stats/optimizer_steps": 100 * step,
    }


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


def test_panels_without_data_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    said: list[str] = []
    real = Axes.text

    def text(self: Axes, x: float, y: float, words: str, **more: Any) -> Any:
        said.append(words)
        return real(self, x, y, words, **more)

    monkeypatch.setattr(Axes, "text", text)
    rows = [{k: v for k, v in cycle(1).items() if k != "train/belief_acc"}]
    metrics = write(tmp_path / "metrics.jsonl", rows)
    metrics.write_text(metrics.read_text() + '{"step": 2, "train/pol')  # cut short by a kill
    assert plot_curves(metrics, tmp_path / "curves.png", title="x") == 2
    assert said == ["no data"] * 2
