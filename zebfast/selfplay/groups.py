"""Groups of games on threads of their own: the trees of one, while another's leaves are evaluated.

The games of a group are an engine's. Where the evaluator is a network of the core it asks that
itself, for some milliseconds at a time without Python. Else it runs the games to where they need
one, with the GIL released, and the evaluator releases it inside its kernels (or waits for its
device). The games are the same either way. Group k of K
plays the games k, k + K, k + 2K, ... of the seed; since a game depends on nothing but its own
number, groups, threads and batch sizes change when games are finished, never what happens in them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from zebfast.core.records import GAME_DTYPE, OBS_DTYPE
from zebfast.selfplay.stats import SelfPlayStats, StepClock
from zebfast.system.settings import SettingError

if TYPE_CHECKING:
    from zebfast.core.network import Network

MOST_PARALLEL = 1 << 16  # games at once
SLICE_SECONDS = 0.03  # that games run in C before someone looks whether they should go on
_ALL = 1 << 62  # more games than there will ever be


class BatchEvaluator(Protocol):
    """What says of observations what a network would; called from several threads at once.

    `net.evaluator.Evaluator` is the one with a network. One whose weights can change has a number
    ``version`` that changes with them. One that asks a network of the core, whose answers hang on
    nothing but each observation, has it as ``core``: loops in C then ask that instead.
    """

    def evaluate(self, obs: np.ndarray, evals: np.ndarray) -> None:
        """OBS_DTYPE [B] -> float32 [B, 8]: seven priors by slot, value for the observer."""


def check_groups(n_groups: int, n_parallel_games: int) -> None:
    """SettingError where a group would have no game."""
    if n_groups > n_parallel_games:
        raise SettingError(
            f"n_groups is {n_groups} and n_parallel_games {n_parallel_games}: expected a game for "
            "each group"
        )


class Engine(Protocol):
    """Games side by side, every so many of a sequence: SelfPlayForest, LabelledGames."""

    def allow(self, limit: int) -> None: ...
    def select(self, obs: np.ndarray, /) -> int: ...
    def update(self, evals: np.ndarray, /) -> None: ...
    def run(
        self,
        network: Network,
        obs: np.ndarray,
        evals: NDArray[np.float32],
        *,
        seconds: float,
        until: int,
    ) -> tuple[bool, dict[str, float]]: ...
    @property
    def waiting(self) -> int: ...
    def clear_cache(self) -> None: ...
    def take(self) -> np.ndarray: ...
    def counts(self) -> dict[str, int]: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def room(self) -> int: ...


def core_of(evaluator: BatchEvaluator) -> Network | None:
    """The network of the core that it asks just now, if it does."""
    core: Network | None = getattr(evaluator, "core", None)
    return core


def _version(evaluator: BatchEvaluator) -> int:
    """A number that changes with the weights, where they can change."""
    return getattr(evaluator, "version", 0)


class _Group:
    """One engine with its buffers; used by one thread at a time."""

    def __init__(self, engine: Engine, evaluator: BatchEvaluator) -> None:
        self.engine = engine
        self.evaluator = evaluator
        self.obs = np.zeros(engine.room, OBS_DTYPE)
        self.evals = np.zeros((engine.room, 8), np.float32)
        self.finished: list[np.ndarray] = []
        self.limit = 0
        self.n_finished = 0  # games taken from the engine since the start
        self.clock = StepClock()
        self.batches = 0

    def allow(self, limit: int) -> None:
        """Let games be started below this number; a smaller one than before changes nothing."""
        self.limit = max(self.limit, limit)
        self.engine.allow(self.limit)

    def step(self, wanted: int) -> bool:
        """Play on for a moment. False when all allowed games are finished.

        ``wanted``: games whose end is the end of the step; if they are finished, none is.
        """
        core = core_of(self.evaluator)
        if core is None:
            return self._ask_once()
        until = wanted if wanted > self.n_finished else _ALL
        self.clock.run()
        more, spent = self.engine.run(
            core, self.obs, self.evals, seconds=SLICE_SECONDS, until=until
        )
        self.clock.ran(spent)
        self.batches += int(spent["batches"])
        self._take()
        if n := self.engine.waiting:  # an answer was no number: the evaluator has the sentence
            self._evaluate(n)
        return more

    def _ask_once(self) -> bool:
        """Ask the network once, and apply it."""
        clock = self.clock
        clock.step()
        n = self.engine.select(self.obs)
        self._take()
        clock.lap("trees")
        if n == 0:
            return False
        self._evaluate(n)
        self.batches += 1
        return True

    def _evaluate(self, n: int) -> None:
        self.evaluator.evaluate(self.obs[:n], self.evals[:n])
        self.clock.lap("evaluator")
        self.engine.update(self.evals[:n])
        self.clock.lap("trees")

    def _take(self) -> None:
        games = self.engine.take()
        if len(games):
            self.finished.append(games)
            self.n_finished += len(games)

    def stats(self) -> SelfPlayStats:
        """Totals since the start; games and wall time are the caller's to say."""
        counts, clock = self.engine.counts(), self.clock
        return SelfPlayStats(
            finished=counts.pop("games"),
            batches=self.batches,
            tree_seconds=clock.wall["trees"],
            evaluator_seconds=clock.wall["evaluator"],
            thread_seconds=clock.thread,
            thread_cpu_seconds=clock.thread_cpu,
            sampled_seconds=sum(clock.sampled.values()),
            sampled_tree_seconds=clock.sampled["trees"],
            sampled_evaluator_seconds=clock.sampled["evaluator"],
            **counts,
        )

    def hand_over(self, n: int) -> np.ndarray:
        """The next n finished games (fewer if there are not as many)."""
        games = np.concatenate([*self.finished, np.zeros(0, GAME_DTYPE)])
        self.finished = [games[n:]]
        return games[:n]


class GroupedGames:
    """An endless sequence of games, taken in order of their number.

    Args:
        evaluator: values leaves; its weights may be swapped between calls of ``play``, and then
            its ``version``, if it has one, is another.
        open_engine: called with a number of games side by side, ``first_game`` and ``stride``.
        n_parallel: games that all groups play at once, together.
        n_groups: group k of K plays the games first_game + k, first_game + k + K, ...
        first_game: number of the first game.
    """

    def __init__(
        self,
        evaluator: BatchEvaluator,
        open_engine: Callable[..., Engine],
        *,
        n_parallel: int,
        n_groups: int,
        first_game: int,
    ) -> None:
        self.next_game = first_game
        self._first_game = first_game
        self._n_parallel = n_parallel
        self._evaluator = evaluator
        self._version = _version(evaluator)
        # Kept from call to call, because evaluators keep buffers and captured graphs by thread;
        # they end when this object does.
        self._threads = ThreadPoolExecutor(n_groups, thread_name_prefix="selfplay")
        self._groups = []
        for k in range(n_groups):
            n_side_by_side = len(range(k, n_parallel, n_groups))
            engine = open_engine(n_side_by_side, first_game=first_game + k, stride=n_groups)
            self._groups.append(_Group(engine, evaluator))

    @property
    def nbytes(self) -> int:
        """Memory of the games in bytes."""
        return sum(group.engine.nbytes for group in self._groups)

    def play(
        self,
        n_games: int,
        *,
        should_stop: Callable[[], bool] | None = None,
        on_step: Callable[[int], None] | None = None,
        lookahead: bool = True,
    ) -> tuple[np.ndarray, SelfPlayStats]:
        """Play until the next n_games in order are finished.

        Games beyond them are already under way by then (``lookahead``), so that the batches of
        leaves stay full; they are handed over by later calls.

        Args:
            should_stop: asked at every step; True = return the games finished in order so far.
            on_step: called from the first group's thread after each of its steps with the number
                of games of this call that are finished.
            lookahead: False = start no game beyond the n_games (for a single, bounded run).

        Returns:
            GAME_DTYPE [n_games] (fewer only when stopped) and the counts of this call.

        Raises:
            FloatingPointError: the evaluator returned a number that is not finite.
        """
        if n_games < 1:
            raise ValueError(f"n_games is {n_games}, but must be 1 or more")
        began, before = time.perf_counter(), self._stats()
        self._forget_old_weights()
        done = self.next_game - self._first_game
        ahead = self._n_parallel if lookahead else 0
        for k, group in enumerate(self._groups):
            group.allow(self._share(done + n_games + ahead, k))
        self._run(done, n_games, should_stop or (lambda: False), on_step)
        games = self._collect(done, n_games)
        self.next_game += len(games)
        done_here = SelfPlayStats(games=len(games), seconds=time.perf_counter() - began)
        return games, self._stats() - before + done_here

    def close(self) -> None:
        """End the threads, which otherwise end with this object; no game is played afterwards."""
        self._threads.shutdown()

    def _forget_old_weights(self) -> None:
        """Empty the caches if the evaluator has other weights than at the call before."""
        if (version := _version(self._evaluator)) != self._version:
            self._version = version
            for group in self._groups:
                group.engine.clear_cache()

    def _stats(self) -> SelfPlayStats:
        return sum((group.stats() for group in self._groups), SelfPlayStats())

    def _share(self, n: int, k: int) -> int:
        """How many of the first n games belong to group k."""
        return len(range(k, n, len(self._groups)))

    def _run(
        self,
        done: int,
        n_games: int,
        should_stop: Callable[[], bool],
        on_step: Callable[[int], None] | None,
    ) -> None:
        groups = self._groups
        wanted = [self._share(done + n_games, k) for k in range(len(groups))]
        failed = threading.Event()

        def complete() -> bool:
            return all(g.n_finished >= w for g, w in zip(groups, wanted, strict=True))

        def run(k: int) -> None:
            groups[k].clock.start()
            try:
                while not (complete() or failed.is_set() or should_stop()):
                    if not groups[k].step(wanted[k]):
                        return
                    if k == 0 and on_step is not None:
                        on_step(self._in_order(done, n_games))
            except BaseException:
                failed.set()
                raise
            finally:
                groups[k].clock.stop()

        futures = [self._threads.submit(run, k) for k in range(len(groups))]
        try:
            for future in futures:
                future.result()
        except BaseException:  # Ctrl-C lands here: let the groups stop before it goes on
            failed.set()
            wait(futures)
            raise

    def _in_order(self, done: int, n_games: int) -> int:
        """Games of this call that are finished without a gap before them."""
        n_groups = len(self._groups)
        gaps = (k + n_groups * group.n_finished for k, group in enumerate(self._groups))
        return min(min(gaps) - done, n_games)

    def _collect(self, done: int, n_games: int) -> np.ndarray:
        """Interleave what the groups finished; game i of the sequence belongs to group i mod K."""
        n = self._in_order(done, n_games)
        games = np.zeros(n, GAME_DTYPE)
        for k, group in enumerate(self._groups):
            at = [i for i in range(n) if (done + i) % len(self._groups) == k]
            games[at] = group.hand_over(len(at))
        return games
