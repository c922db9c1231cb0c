"""Matrices on disk: continued, refused, and read by other programs."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zebfast.arena.matrix import Matrix, MatrixConfig
from zebfast.arena.matrix_files import (
    load_matrix,
    picture_size,
    save_csv,
    save_heatmap,
    save_matrix,
    shorten,
)
from zebfast.arena.records import RecordError

NAMES = ("weak", "strong", "zeb:source=a/quite/long/way/to/the/weights.pt")
CONFIG = MatrixConfig(players=NAMES, weights=(None, None, "ab12"), n_deals=40, seed=3)


def invented(n_pairs: int = 3) -> Matrix:
    """A matrix whose games nobody played."""
    rng = np.random.default_rng(1)
    matrix = Matrix(CONFIG)
    for pair in CONFIG.pairs[:n_pairs]:
        matrix.points[pair] = rng.integers(0, 43, size=(40, 2)).astype(np.uint8)
        matrix.seconds[pair] = 0.5
    return matrix


@pytest.mark.parametrize("n_pairs", [0, 2, 3])
def test_saved_and_loaded(tmp_path: Path, n_pairs: int) -> None:
    matrix, path = invented(n_pairs), tmp_path / "m.json"
    save_matrix(matrix, path)
    found = load_matrix(path, CONFIG)
    assert found.as_dict() == matrix.as_dict()
    assert found.missing == CONFIG.pairs[n_pairs:]
    assert all((found.points[pair] == matrix.points[pair]).all() for pair in matrix.points)
    held = json.loads(path.read_text())
    assert held["complete"] == (n_pairs == 3)
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (replace(CONFIG, players=(*NAMES[:2], "other")), "players: "),
        (replace(CONFIG, weights=(None, None, "cd34")), "weights: .*cd34"),
        (replace(CONFIG, n_deals=41), "n_deals: 40, not 41"),
        (replace(CONFIG, seed=4), "seed: 3, not 4"),
        (replace(CONFIG, bid=30), "bid: 'random', not 30"),
    ],
)
def test_another_matrix_is_refused(tmp_path: Path, config: MatrixConfig, words: str) -> None:
    path = tmp_path / "m.json"
    save_matrix(invented(1), path)
    with pytest.raises(RecordError, match=f"holds another matrix .*{words}") as caught:
        load_matrix(path, config)
    assert "\n" not in str(caught.value)


def damage(held: dict[str, Any], name: str, value: Any) -> None:
    (held if name in held else held["pairs"][0])[name] = value


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("format", "something", "is no matrix file"),
        ("version", 2, "version 2 of the matrix format"),
        ("pairs", 5, "damaged"),
        ("points", "no base 64", "damaged"),
        ("points", "AAAA", "damaged"),
        ("points", "eJxjAAAAAQAB", "does not hold 80 games"),  # one byte
        ("player_a", "nobody", "damaged"),
        ("player_a", NAMES[2], "does not come before"),
        ("seconds", None, "damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, value: Any, words: str) -> None:
    path = tmp_path / "m.json"
    save_matrix(invented(1), path)
    held = json.loads(path.read_text())
    damage(held, name, value)
    path.write_text(json.dumps(held))
    with pytest.raises(RecordError, match=words) as caught:
        load_matrix(path, CONFIG)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1]", b'{"a": 1}'])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match="is no matrix file"):
        load_matrix(path, CONFIG)


def test_impossible_points_are_refused(tmp_path: Path) -> None:
    matrix, path = invented(1), tmp_path / "m.json"
    matrix.points[0, 1][3, 1] = 43
    save_matrix(matrix, path)
    with pytest.raises(RecordError, match="a game with 43 points"):
        load_matrix(path, CONFIG)


def test_csv_has_every_ordered_pair(tmp_path: Path) -> None:
    matrix, path = invented(), tmp_path / "m.csv"
    save_csv(matrix, path)
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    assert [(row["player_a"], row["player_b"]) for row in rows] == [
        (NAMES[a], NAMES[b]) for a, b in pairs
    ]
    elo = {rating.player: rating.elo for rating in matrix.ratings}
    for row, (a, b) in zip(rows, pairs, strict=True):
        expected = matrix.result(a, b).as_dict()
        assert {name: row[name] for name in expected} == {k: str(v) for k, v in expected.items()}
        assert float(row["elo_a"]) == elo[NAMES[a]]
        assert float(row["elo_b"]) == elo[NAMES[b]]


def test_heat_map_is_a_picture_of_the_stated_size(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "m.png"
    save_heatmap(invented(), path)
    pixels = image.imread(path)
    width, height = picture_size(3)
    assert pixels.shape[:2] == (height, width)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]


@pytest.mark.parametrize("save", [save_csv, save_heatmap])
def test_no_table_of_half_a_matrix(tmp_path: Path, save: Any) -> None:
    with pytest.raises(ValueError, match="every pairing"):
        save(invented(2), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_long_names_keep_both_ends() -> None:
    assert shorten("random", 10) == "random"
    cut = shorten(NAMES[2], 20)
    assert len(cut) == 20
    assert cut.startswith("zeb:so")
    assert cut.endswith("weights.pt")
