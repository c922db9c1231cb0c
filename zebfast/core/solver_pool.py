"""Solvers side by side: one question about many positions, answered on several threads.

What asks between other work shares out all of that work: see `SolverPool.share`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.arrays import integers
from zebfast.core.solve import Solver, as_positions, check_positions
from zebfast.rules import N_DOMINOES

MAX_CHUNK = 256  # positions a thread takes at a time: some tenths of a second at most
CHUNKS_PER_THREAD = 8  # so that threads end at nearly the same time

#: Does one chunk of the rows, start to stop, with the solver given.
Chunk = Callable[[Solver, slice], None]


class SolverPool:
    """n_threads solvers that answer the questions of `Solver` about any number of positions.

    Answers do not depend on n_threads. Ctrl-C in the main thread returns within milliseconds and
    leaves the pool usable. Callers from several threads take turns. Close it, or use it as a
    context, to end its threads.

    Args:
        n_threads: how many; 1 works in the calling thread.
        table_bits: of each solver, 4..20.
    """

    def __init__(self, n_threads: int = 1, *, table_bits: int = 15) -> None:
        if n_threads < 1:
            raise ValueError(f"n_threads is {n_threads}, but must be 1 or more")
        self.n_threads = n_threads
        self._table_bits = table_bits
        self._nodes = 0  # of solvers that were given up
        self._solvers = [Solver(table_bits=table_bits) for _ in range(n_threads)]
        self._turn = threading.Lock()
        self._threads = ThreadPoolExecutor(n_threads, "solver") if n_threads > 1 else None

    def values(self, positions: np.ndarray) -> NDArray[np.int8]:
        """Points to come, team 0 minus team 1: int8 [n]. Raises ImpossiblePosition."""
        positions = as_positions(positions)
        out = np.empty(len(positions), np.int8)

        def chunk(solver: Solver, rows: slice) -> None:
            out[rows] = solver.values(positions[rows])

        self._answer(positions, chunk)
        return out

    def play_values(self, positions: np.ndarray) -> NDArray[np.int8]:
        """The same after each legal play: int8 [n, 28], NO_PLAY elsewhere.

        Raises ImpossiblePosition.
        """
        positions = as_positions(positions)
        out = np.empty((len(positions), N_DOMINOES), np.int8)

        def chunk(solver: Solver, rows: slice) -> None:
            out[rows] = solver.play_values(positions[rows])

        self._answer(positions, chunk)
        return out

    def at_least(self, positions: np.ndarray, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether team 0 takes at least so many points, int [n] or one for all, of those to come.

        bool [n]. Raises as `Solver.at_least` does.
        """
        positions = as_positions(positions)
        wanted = integers("points", points, (len(positions),))
        out = np.empty(len(positions), np.bool_)

        def chunk(solver: Solver, rows: slice) -> None:
            out[rows] = solver.at_least(positions[rows], wanted[rows])

        self._answer(positions, chunk)
        return out

    def share(self, n: int, work: Chunk, *, least: int = 1) -> None:
        """Have rows 0..n-1 of something done by the threads, each with its own solver.

        ``least`` rows at a time or more. The first error is raised when all threads have stopped.
        """
        with self._turn:
            if self._threads is None or n < 2 * least:
                work(self._solvers[0], slice(0, n))
            else:
                self._share(self._threads, n, work, least)

    @property
    def nodes(self) -> int:
        """Positions searched so far, by all solvers."""
        return self._nodes + sum(solver.nodes for solver in self._solvers)

    @property
    def nbytes(self) -> int:
        """Memory of all solvers in bytes."""
        return sum(solver.nbytes for solver in self._solvers)

    def close(self) -> None:
        """End the threads. The pool answers nothing afterwards."""
        if self._threads is not None:
            self._threads.shutdown()

    def __enter__(self) -> SolverPool:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self, positions: np.ndarray, chunk: Chunk) -> None:
        """Have every row answered by one of the solvers."""
        check_positions(positions)  # here, so that the error names the caller's row
        self.share(len(positions), chunk)

    def _share(self, threads: ThreadPoolExecutor, n: int, chunk: Chunk, least: int) -> None:
        """Let the threads take chunks until none is left; whatever goes wrong stops them all."""
        size = max(least, min(MAX_CHUNK, n // (self.n_threads * CHUNKS_PER_THREAD)))
        starts = iter(range(0, n, size))
        stopping = threading.Event()

        def work(solver: Solver) -> None:
            # next() on a range iterator holds the GIL: no start is taken twice.
            while not stopping.is_set() and (start := next(starts, None)) is not None:
                chunk(solver, slice(start, min(start + size, n)))

        futures = [threads.submit(work, solver) for solver in self._solvers]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stopping.set()
            for solver in self._replace_solvers():
                solver.interrupt()
            wait(futures)
            raise

    def _replace_solvers(self) -> list[Solver]:
        """Give the old solvers up: one that is idle when interrupted would end its next call."""
        old, self._nodes = self._solvers, self.nodes
        self._solvers = [Solver(table_bits=self._table_bits) for _ in range(self.n_threads)]
        return old
