"""Play values: packing, and files of games that carry them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zebfast.core.engine import GameBatch
from zebfast.core.observe import games_to_examples
from zebfast.core.records import (
    EXAMPLE_HAS_PLAY_VALUES,
    EXAMPLE_HAS_POINTS,
    EXAMPLE_HAS_POLICY,
    GAME_DTYPE,
)
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import BadExampleFile, write_native
from zebfast.selfplay.examples_pt import write_pt
from zebfast.selfplay.play_values import pack, unpack

N_GAMES = 3
METADATA = {
    "worker_id": "worker-0",
    "model_step": 3,
    "n_games": N_GAMES,
    "timestamp": 1_700_000_000.5,
    "source": "eq-exact",
}


@pytest.fixture
def games() -> np.ndarray:
    """Random games; every third ply that has two legal plays or more is labelled."""
    batch = GameBatch.deal(N_GAMES, seed=4)
    games = np.zeros(N_GAMES, GAME_DTYPE)
    games["hands"], games["decl"], games["leader"] = batch.hands, batch.decl, batch.leader
    for ply in range(28):
        legal = (batch.observe()["legal"][:, None] >> np.arange(7)) & 1
        open_rows = legal.sum(axis=1) > 1
        if ply % 3 == 0:
            labels = pack(np.full((N_GAMES, 7), ply), np.full((N_GAMES, 7), -1.0))
            games["policy"][:, ply] = np.where(open_rows[:, None] & (legal == 1), labels, 0)
        batch.play_random(seed=1)
    games["plays"] = batch.history
    return games


def test_packing_keeps_eighths_and_certainties() -> None:
    points, balance = np.arange(0, 337) / 8, np.linspace(-1, 1, 337)
    labels = pack(points, balance)
    assert labels.dtype == np.uint16
    assert (labels > 0).all()
    read_points, read_balance = unpack(labels)
    np.testing.assert_array_equal(read_points, points)
    np.testing.assert_allclose(read_balance, balance, atol=0.5 / 63 + 1e-6)
    assert unpack(pack(21, [-1, 0, 1]))[1].tolist() == [-1.0, 0.0, 1.0]  # one world: exact
    assert [a.tolist() for a in unpack(np.zeros(2, np.uint16))] == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("points", "balance"), [(-0.2, 0), (42.2, 0), (np.nan, 0), (21, 1.1), (21, -1.1), (21, np.nan)]
)
def test_what_cannot_be_is_not_packed(points: float, balance: float) -> None:
    with pytest.raises(ValueError, match="cannot be packed"):
        pack(points, balance)


def test_a_file_gives_its_labelled_decisions(tmp_path: Path, games: np.ndarray) -> None:
    path = tmp_path / "w_1_ab.safetensors"
    write_native(path, games, METADATA)
    read = read_examples(path)
    every = games_to_examples(games)
    labelled = every["policy"].any(axis=1)
    assert 0 < labelled.sum() < len(every)
    for field in ("obs", "policy", "value", "left", "partner"):
        np.testing.assert_array_equal(read.records[field], every[field][labelled], err_msg=field)
    assert (read.records["flags"] & EXAMPLE_HAS_PLAY_VALUES != 0).all()
    assert (read.records["flags"] & EXAMPLE_HAS_POINTS != 0).all()
    assert (read.records["flags"] & EXAMPLE_HAS_POLICY == 0).all()
    assert read.n_games == N_GAMES


def first_label(games: np.ndarray) -> np.ndarray:
    """The labels of the first decision that has some, as a view."""
    game, ply = np.argwhere(games["policy"].any(axis=2))[0]
    labels: np.ndarray = games["policy"][game, ply]
    return labels


def forget_one(games: np.ndarray) -> None:
    row = first_label(games)
    row[np.flatnonzero(row)[0]] = 0


def too_many_points(games: np.ndarray) -> None:
    row = first_label(games)
    row[row > 0] = 338 << 7


def too_sure(games: np.ndarray) -> None:
    row = first_label(games)
    row[row > 0] = 1 << 7 | 127


def weights_instead(games: np.ndarray) -> None:
    row = first_label(games)
    row[row > 0] = 100


def label_forced(games: np.ndarray) -> None:
    every = games_to_examples(games)["obs"]["legal"].reshape(N_GAMES, 28)
    game, ply = np.argwhere(np.bitwise_count(every) == 1)[0]
    games["policy"][game, ply] = np.where((int(every[game, ply]) >> np.arange(7)) & 1, 1 << 7, 0)


def forget_all(games: np.ndarray) -> None:
    games["policy"] = 0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (forget_one, "one for every legal play"),
        (too_many_points, "points from 0 to 42"),
        (too_sure, "balance from -1 to 1"),
        (weights_instead, "points from 0 to 42"),
        (label_forced, "two legal plays or more"),
        (forget_all, "no decision is labelled"),
    ],
)
def test_bad_labels_are_refused(
    tmp_path: Path, games: np.ndarray, damage: Callable[[np.ndarray], None], words: str
) -> None:
    damage(games)
    path = tmp_path / "w_1_ab.safetensors"
    write_native(path, games, METADATA)
    with pytest.raises(BadExampleFile, match=words) as caught:
        read_examples(path)
    assert "expected" in str(caught.value)


def test_the_documented_layout_has_no_play_values(tmp_path: Path, games: np.ndarray) -> None:
    path = tmp_path / "w_1_ab.pt"
    write_pt(path, games, METADATA)
    with pytest.raises(BadExampleFile, match="no usable source; expected selfplay-mcts or eval-eq"):
        read_examples(path)
