"""The solver against its slow twin, the recorded positions, and the rules of what can be solved."""

from __future__ import annotations

import gzip
import json
import random
import threading
from pathlib import Path

import numpy as np
import pytest
from slow_solver import best_of, position_record, random_position, slow_plays

from zebfast.core.engine import GameBatch
from zebfast.core.solve import (
    NO_PLAY,
    ImpossiblePosition,
    Solver,
    SolverInterrupted,
    check_positions,
    points_to_come,
)

#: (unfinished tricks, how many random positions): 10,000 in all.
SIZES = ((1, 3000), (2, 3500), (3, 3450), (4, 50))


def to_play(positions: np.ndarray) -> np.ndarray:
    return (positions["leader"] + positions["n_table"]) & 3


@pytest.fixture(scope="module")
def small() -> np.ndarray:
    """Random positions of all sizes that the twin can do, mid-trick ones and all declarations."""
    rng = random.Random(42)
    found = [random_position(rng, tricks, k % 4) for tricks, n in SIZES for k in range(n)]
    return np.concatenate(found)


@pytest.fixture(scope="module")
def slow_q(small: np.ndarray) -> np.ndarray:
    """What the twin says of every play, int8 [n, 28]."""
    out = np.full((len(small), 28), NO_PLAY, np.int8)
    for i, position in enumerate(small):
        for domino, value in slow_plays(position).items():
            out[i, domino] = value
    return out


@pytest.fixture(scope="module")
def slow_v(small: np.ndarray, slow_q: np.ndarray) -> np.ndarray:
    """What the twin says of every position, int8 [n]."""
    rows = zip(slow_q, to_play(small), strict=True)
    return np.array(
        [best_of({d: int(v) for d, v in enumerate(q) if v != NO_PLAY}, seat) for q, seat in rows],
        np.int8,
    )


@pytest.fixture(scope="module")
def fresh() -> np.ndarray:
    """Positions of six random games, from the first play to the 20th."""
    games, found = GameBatch.deal(6, seed=5), []
    for _ in range(20):
        found.append(games.positions())
        games.play_random(seed=5)
    return np.concatenate(found)


def test_values_equal_the_twins(small: np.ndarray, slow_v: np.ndarray) -> None:
    assert len(small) == 10_000
    assert set(small["decl"]) == set(range(10))
    np.testing.assert_array_equal(Solver().values(small), slow_v)


def test_play_values_equal_the_twins(small: np.ndarray, slow_q: np.ndarray) -> None:
    np.testing.assert_array_equal(Solver().play_values(small), slow_q)


def test_every_threshold_agrees_with_the_twin(small: np.ndarray, slow_v: np.ndarray) -> None:
    solver = Solver()
    for rows in (slice(0, None, 40), slice(-50, None)):
        part = small[rows]
        own = (slow_v[rows] + points_to_come(part)) // 2
        for points in range(-1, 45):
            wanted = np.full(len(part), points)
            np.testing.assert_array_equal(solver.at_least(part, wanted), own >= points)


def test_the_recorded_positions(shared_dir: Path) -> None:
    path = shared_dir / "golden/solver_positions.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    positions, values, plays = [], [], []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for deal in map(json.loads, lines):
            for one in deal["positions"]:
                at = (one["remaining"], deal["decl"], one["leader"], one["trick"])
                positions.append(position_record(*at))
                values.append(one["v"])
                plays.append({int(d): v for d, v in one["q"].items()})
    batch, solver = np.concatenate(positions), Solver()
    assert len(batch) > 4000
    assert solver.values(batch).tolist() == values
    found = solver.play_values(batch)
    for row, wanted in zip(found, plays, strict=True):
        assert {d: v for d, v in enumerate(row.tolist()) if v != NO_PLAY} == wanted


def test_the_best_play_has_the_positions_value(fresh: np.ndarray) -> None:
    solver = Solver()
    values, plays = solver.values(fresh), solver.play_values(fresh).astype(int)
    team1 = to_play(fresh) % 2 == 1
    plays[plays == NO_PLAY] = -1000
    best = plays.max(1)
    plays[plays == -1000] = 1000
    np.testing.assert_array_equal(values, np.where(team1, plays.min(1), best))


def test_no_answer_depends_on_table_or_history(fresh: np.ndarray) -> None:
    wanted = Solver().values(fresh)
    wanted_q = Solver().play_values(fresh)
    middle = (wanted + points_to_come(fresh)) // 2
    order = np.random.default_rng(3).permutation(len(fresh))
    for table_bits in (4, 7, 12, 20):
        solver = Solver(table_bits=table_bits)
        np.testing.assert_array_equal(solver.values(fresh[order]), wanted[order])
        np.testing.assert_array_equal(solver.play_values(fresh[::-1]), wanted_q[::-1])
        assert solver.at_least(fresh, middle).all()
        assert not solver.at_least(fresh, middle + 1).any()
        np.testing.assert_array_equal(solver.values(fresh), wanted)


def test_a_repeated_position_costs_no_more(fresh: np.ndarray) -> None:
    solver = Solver()
    solver.values(fresh)
    once = solver.nodes
    solver.values(fresh)
    assert 0 < once <= solver.nodes <= 2 * once
    assert solver.nbytes < 8 << 20


def test_an_ended_deal_is_worth_nothing() -> None:
    ended = position_record([[], [], [], []], 3, 2)
    check_positions(ended)
    assert Solver().values(ended).tolist() == [0]
    assert (Solver().play_values(ended) == NO_PLAY).all()
    assert Solver().at_least(np.repeat(ended, 2), [0, 1]).tolist() == [True, False]


def test_positions_follow_the_games() -> None:
    games = GameBatch.deal(6, seed=9)
    games.play_random(seed=9, rows=[1, 2, 3])
    games.play_random(seed=9, rows=[2, 3])
    for _ in range(5):
        games.play_random(seed=9, rows=[3])
    positions = games.positions([3, 1, 0])
    assert positions["n_table"].tolist() == [3, 1, 0]
    np.testing.assert_array_equal(positions["hands"], games.held[[3, 1, 0]])
    np.testing.assert_array_equal(to_play(positions), games.to_play[[3, 1, 0]])
    np.testing.assert_array_equal(positions["table"][0], games.history[3, 4:7])
    assert positions["pad"].sum() == 0
    to_come = points_to_come(positions)
    np.testing.assert_array_equal(to_come, 42 - games.points[[3, 1, 0]].sum(1))
    with pytest.raises(IndexError):
        games.positions([6])


HAND = [[0, 1], [2, 3], [4, 5], [6, 7]]  # 0-0 1-0, 1-1 2-0, 2-1 2-2, 3-0 3-1


@pytest.mark.parametrize(
    ("position", "sentence"),
    [
        (position_record(HAND, 10, 0), "declaration 10: ids run from 0 to 9"),
        (position_record(HAND, 9, 4), "leader 4: seats run from 0 to 3"),
        (position_record(HAND, 9, 0, [8, 9, 10, 11]), "4 dominoes are on the table"),
        (position_record(HAND, 9, 0, [28]), "domino 28 is on the table; ids run from 0 to 27"),
        (position_record([[28], [0], [1], [2]], 9, 0), "seat 0 holds a domino above 27"),
        (position_record([[25], [0], [25], [2]], 9, 0), "6-4 is in two places"),
        (position_record([[], [0], [25], [2]], 9, 0, [25]), "6-4 is in two places"),
        (position_record([[], [], [1], [2]], 9, 0, [3, 3]), "2-0 is in two places"),
        (
            position_record([[0, 1], [2, 3], [4], [6, 7]], 9, 0),
            "seat 2 holds 1 domino but should hold 2: 2 tricks are unfinished",
        ),
        (
            position_record([[0, 1], [2, 3], [4, 5], [6, 7]], 9, 1, [8]),
            "seat 1 holds 2 dominoes but should hold 1: 2 tricks are unfinished and it has played",
        ),
        (
            position_record([[], [], [], []], 9, 1, [8]),
            "seat 0 holds 0 dominoes but should hold 1",
        ),
        (
            position_record([[20, 8], [24, 23], [26], [7]], 0, 2, [9, 17]),
            "seat 3 played 5-2 although it holds 3-1 of the led suit",
        ),
        (
            position_record([[24], [20], [23, 1], [7, 2]], 9, 0, [19, 8]),
            "seat 1 played 3-2 although it holds 5-5 of the led suit: it must follow",
        ),
    ],
)
def test_an_impossible_position_is_refused(position: np.ndarray, sentence: str) -> None:
    good = position_record(HAND, 9, 0)
    batch = np.concatenate([good, good, position])
    for refuse in (check_positions, Solver().values, Solver().play_values, points_to_come):
        with pytest.raises(ImpossiblePosition) as caught:
            refuse(batch)
        assert str(caught.value).startswith(f"position 2: {sentence}")


def test_wrong_arguments_are_refused() -> None:
    good = position_record(HAND, 9, 0)
    for bits in (3, 21):
        with pytest.raises(ValueError, match=r"must be 4 to 20"):
            Solver(table_bits=bits)
    with pytest.raises(TypeError, match="POSITION_DTYPE"):
        Solver().values(np.zeros(3))
    with pytest.raises(TypeError, match="POSITION_DTYPE"):
        check_positions(good[:, None])
    with pytest.raises(ValueError, match="shape"):
        Solver().at_least(good, [1, 2])
    with pytest.raises(TypeError, match="whole numbers"):
        Solver().at_least(good, [1.5])


def test_interrupt_ends_the_next_call_only(fresh: np.ndarray) -> None:
    solver = Solver()
    wanted = solver.values(fresh)
    solver.interrupt()
    with pytest.raises(SolverInterrupted, match=f"after 0 of {len(fresh)} positions"):
        solver.values(fresh)
    np.testing.assert_array_equal(solver.values(fresh), wanted)


def test_interrupt_from_another_thread(fresh: np.ndarray) -> None:
    solver = Solver()
    ended: list[str] = []

    def work() -> None:
        try:
            solver.values(np.tile(fresh, 2_000))
        except SolverInterrupted as error:
            ended.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    while solver.nodes == 0:  # the call is under way
        thread.join(0.001)
    with pytest.raises(RuntimeError, match="another thread"):
        solver.values(fresh)
    solver.interrupt()
    thread.join(30)
    assert len(ended) == 1
    assert len(solver.values(fresh)) == len(fresh)  # usable again
