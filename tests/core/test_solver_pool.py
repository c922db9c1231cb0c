"""Solvers on several threads: the same answers, and an end when Ctrl-C asks for one."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from zebfast.core.engine import GameBatch
from zebfast.core.solve import ImpossiblePosition, Solver, points_to_come
from zebfast.core.solver_pool import MAX_CHUNK, SolverPool


@pytest.fixture(scope="module")
def positions() -> np.ndarray:
    """700 positions of random games with five tricks left or fewer, shuffled."""
    games, found = GameBatch.deal(50, seed=8), []
    for ply in range(22):
        if ply >= 8:
            found.append(games.positions())
        games.play_random(seed=8)
    return np.random.default_rng(1).permutation(np.concatenate(found))


@pytest.fixture(params=[1, 2, 5])
def pool(request: pytest.FixtureRequest) -> Iterator[SolverPool]:
    with SolverPool(request.param, table_bits=8) as pool:
        yield pool


def test_answers_do_not_depend_on_threads(pool: SolverPool, positions: np.ndarray) -> None:
    alone = Solver()
    wanted = alone.values(positions)
    middle = (wanted + points_to_come(positions)) // 2 + np.arange(len(positions)) % 2
    for part in (slice(None), slice(0, 3), slice(5, 6), slice(0, 0), slice(None, None, -1)):
        some = positions[part]
        np.testing.assert_array_equal(pool.values(some), wanted[part])
        np.testing.assert_array_equal(pool.play_values(some), alone.play_values(some))
        reached = pool.at_least(some, middle[part])
        np.testing.assert_array_equal(reached, np.arange(len(positions))[part] % 2 == 0)


def test_every_row_is_answered_once_whatever_the_chunks(positions: np.ndarray) -> None:
    many = np.tile(positions[:2], 5 * MAX_CHUNK)
    wanted = np.tile(Solver().values(positions[:2]), 5 * MAX_CHUNK)
    with SolverPool(3) as pool:
        np.testing.assert_array_equal(pool.values(many), wanted)
        for n in range(60):
            np.testing.assert_array_equal(pool.values(many[:n]), wanted[:n])


def test_nodes_and_bytes_add_up(positions: np.ndarray) -> None:
    with SolverPool(2) as two:
        assert two.nodes == 0
        two.values(positions)
        assert two.nodes > 0
        assert two.nbytes == 2 * Solver().nbytes


def test_errors_name_the_callers_row(pool: SolverPool, positions: np.ndarray) -> None:
    wrong = positions.copy()
    wrong["decl"][601] = 99
    with pytest.raises(ImpossiblePosition, match=r"^position 601: declaration 99"):
        pool.values(wrong)
    with pytest.raises(ValueError, match="shape"):
        pool.at_least(positions, [1, 2, 3])
    with pytest.raises(ValueError, match="1 or more"):
        SolverPool(0)
    assert len(pool.values(positions)) == len(positions)


def test_a_failing_chunk_stops_the_others(
    positions: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    class Broken(Solver):
        def values(self, positions: np.ndarray) -> np.ndarray:
            calls.append(len(positions))
            raise MemoryError("none left")

    monkeypatch.setattr("zebfast.core.solver_pool.Solver", Broken)
    with SolverPool(2) as pool:
        with pytest.raises(MemoryError, match="none left"):
            pool.values(positions)
        assert len(calls) <= 2


def test_callers_take_turns(positions: np.ndarray) -> None:
    wanted = Solver().values(positions)
    found: list[np.ndarray] = []
    with SolverPool(2) as pool:
        threads = [
            threading.Thread(target=lambda: found.append(pool.values(positions))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 4
    for one in found:
        np.testing.assert_array_equal(one, wanted)


HOURS_OF_WORK = """
    import sys
    import numpy as np
    from zebfast.core.engine import GameBatch
    from zebfast.core.solver_pool import SolverPool

    positions = np.tile(GameBatch.deal(1000, seed=1).positions(), 1000)
    pool = SolverPool({n_threads})
    few = positions[:50]
    before = pool.values(few)
    try:
        print("started", flush=True)
        pool.values(positions)
    except KeyboardInterrupt:
        assert (pool.values(few) == before).all(), "the pool is not usable"
        print("interrupted", flush=True)
        sys.exit(130)
"""


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_a_huge_batch(n_threads: int) -> None:
    program = textwrap.dedent(HOURS_OF_WORK.format(n_threads=n_threads))
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.3)  # so that it is most likely at work; the result is the same if it is not
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, err = process.communicate(timeout=60)
        seconds = time.monotonic() - start
    assert (process.returncode, out, err) == (130, "interrupted\n", "")
    assert seconds < 30  # of hours; about 0.1 on a quiet machine
