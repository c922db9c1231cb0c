"""Labelled games: each a function of its number alone, and equal to the slow twin's game."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slow_labelling import SlowTeaching
from slow_tree import HashedEvaluator
from world_games import contract_starts, play_out

from zebfast.core.labelling import LabelledGames
from zebfast.core.options import TeachingOptions
from zebfast.core.records import GAME_DTYPE
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import write_native
from zebfast.selfplay.play_values import unpack
from zebfast.selfplay.teaching import Teaching, TeachingConfig


def config(**changes: Any) -> TeachingConfig:
    return TeachingConfig(**{"n_parallel_games": 4, "explore": 0.2, **changes})


def games_of(n: int, *, calls: tuple[int, ...] = (), first_game: int = 0, **how: Any) -> bytes:
    teaching = Teaching(HashedEvaluator(), config=config(**how), seed=77, first_game=first_game)
    return b"".join(teaching.play(k)[0].tobytes() for k in (calls or (n,)))


@pytest.mark.parametrize(
    "how",
    [
        {"teacher": "exact", "label_share": 0.05},
        {"teacher": "exact", "label_share": 0.03, "n_worlds": 3},
        {"teacher": "rollout", "exact_tricks": 0, "temperature": 0.5},
        {"teacher": "rollout", "exact_tricks": 2, "label_share": 0.7},
        {"teacher": "rollout", "exact_tricks": 3, "label_share": 0.1, "n_worlds": 4},
        {"teacher": "rollout", "exact_tricks": 7, "temperature": 0.0, "label_share": 0.05},
    ],
)
def test_games_and_labels_equal_the_twin(how: dict[str, Any]) -> None:
    settings = config(**how)
    games, stats = Teaching(HashedEvaluator(), config=settings, seed=3).play(6, lookahead=False)
    n_labels = 0
    for number, game in enumerate(games):
        twin = SlowTeaching(number, 3, settings)
        assert game["plays"].tolist() == twin.plays
        np.testing.assert_array_equal(game["policy"], twin.labels)
        n_labels += twin.n_labels
    assert stats.labels == n_labels > 0


@pytest.mark.parametrize(
    "how",
    [
        {"teacher": "exact", "label_share": 0.05, "n_worlds": 3},
        {"teacher": "rollout", "exact_tricks": 2, "label_share": 0.7},
    ],
)
def test_labels_of_contracts_equal_the_twin(how: dict[str, Any]) -> None:
    """They say how often it is made, and stop where that is decided."""
    settings, starts = config(**how), contract_starts(range(6))
    given = LabelledGames(3, options=settings, seed=3, given=True)
    given.begin(starts)
    games, n_labels = play_out(given), 0
    for number, game in enumerate(games):
        twin = SlowTeaching(number, 3, settings, start=starts[number])
        assert game["plays"].tolist() == twin.plays
        np.testing.assert_array_equal(game["policy"], twin.labels)
        assert game["contract"] == starts["contract"][number]
        n_labels += twin.n_labels
    assert given.counts()["labels"] == n_labels > 0


@pytest.mark.parametrize(
    "how",
    [{"teacher": "exact", "label_share": 0.05}, {"teacher": "rollout", "label_share": 0.5}],
)
def test_same_bytes_for_any_threads_and_any_split(how: dict[str, Any]) -> None:
    want = games_of(30, n_parallel_games=1, n_groups=1, **how)
    assert len(want) == 30 * GAME_DTYPE.itemsize
    assert games_of(30, n_parallel_games=16, n_groups=1, **how) == want
    assert games_of(30, n_parallel_games=37, n_groups=3, calls=(1, 9, 20), **how) == want
    part = games_of(10, n_parallel_games=8, n_groups=2, first_game=20, **how)
    assert part == want[20 * GAME_DTYPE.itemsize :]


def test_rollouts_that_the_game_shows_are_not_played_again() -> None:
    """Favourites all the way: the play that was made is known at the next decision."""
    how = {"teacher": "rollout", "exact_tricks": 0}
    greedy = Teaching(HashedEvaluator(), config=config(temperature=0.0, explore=0.0, **how), seed=5)
    games, stats = greedy.play(8, lookahead=False)
    labels = games["policy"]
    plays = int((labels > 0).sum())
    decisions = int((labels > 0).any(axis=2).sum())
    assert stats.labels == decisions
    # The first decision of a game plays them all; every later one leaves the favourite out.
    assert stats.rollouts == plays - (decisions - 8)


def test_a_swap_of_weights_forgets_what_the_old_ones_showed() -> None:
    how = {"teacher": "rollout", "exact_tricks": 0, "temperature": 0.0, "explore": 0.0}
    rollouts = []
    for version in (1, 2):
        evaluator = HashedEvaluator()
        teaching = Teaching(evaluator, config=config(n_groups=1, **how), seed=5)
        teaching.play(1)
        evaluator.version = version
        rollouts.append(teaching.play(7)[1].rollouts)
    assert rollouts[1] > rollouts[0]


def test_exact_labels_are_those_of_the_deal(tmp_path: Path) -> None:
    """A file of them is read back as decisions, and the best play is worth what the solver says."""
    games, stats = Teaching(HashedEvaluator(), config=config(label_share=0.3), seed=9).play(5)
    path = tmp_path / "w_1_ab.safetensors"
    metadata = {
        "worker_id": "w",
        "model_step": 0,
        "n_games": 5,
        "timestamp": 1,
        "source": "eq-exact",
    }
    write_native(path, games, metadata)
    read = read_examples(path)
    assert len(read.records) == (games["policy"].any(axis=2)).sum()
    points, balance = unpack(read.records["policy"])
    known = read.records["policy"] > 0
    assert (np.sign(points - 21)[known] == balance[known]).all(), "one world: a certain result"
    assert stats.solver_calls >= stats.labels > 0


def test_numbers_that_are_not_finite_are_refused() -> None:
    class Broken(HashedEvaluator):
        def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
            super().evaluate(obs, out)
            out[0, 3] = np.nan

    with pytest.raises(FloatingPointError, match="observation 0 is not finite"):
        Teaching(Broken(), config=config(), seed=1).play(2)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"teacher": "oracle"}, "expected one of exact, rollout"),
        ({"label_share": 0.0}, "label_share is 0.0"),
        ({"explore": 1.5}, "explore is 1.5"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"n_worlds": -1}, "n_worlds is -1"),
        ({"exact_tricks": 8}, "exact_tricks is 8"),
        ({"n_groups": 5}, "n_groups is 5"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        config(**changes)


def test_engine_refuses_what_it_cannot_do() -> None:
    games = LabelledGames(2, options=TeachingOptions(teacher="rollout"), seed=1)
    assert games.room == 14
    assert games.nbytes > 0
    with pytest.raises(ValueError, match="must hold 14 records"):
        games.select(np.zeros(3, GAME_DTYPE))
    for wrong in ({"teacher": "oracle"}, {"n_worlds": -1}):
        with pytest.raises(ValueError, match="expected"):
            TeachingOptions(**wrong)
    for wrong in ({"n_games": 0}, {"stride": 0}):
        with pytest.raises(ValueError, match="must be"):
            LabelledGames(**{"n_games": 2, "options": TeachingOptions(), "seed": 1, **wrong})
