"""Self-play in full swing from the start, so that a short look tells what a long run would.

Fresh games are all at their first play, and plays differ: the first ones send most leaves to the
network, the last ones hardly any. A trial therefore begins its games one after another, plays them
with a constant evaluator until they are at all stages, and only then looks.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from zebfast.benchmark.tuning import Setting
from zebfast.benchmark.workload import SEED
from zebfast.core.observe import uniform_evaluate
from zebfast.rules import N_PLIES
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig
from zebfast.selfplay.groups import BatchEvaluator, core_of
from zebfast.selfplay.stats import SelfPlayStats

if TYPE_CHECKING:
    from zebfast.core.network import Network

_WAVES = 32  # in which the games begin
_SEARCHES = 22  # of a game's 28 plays, the others being forced; only their spread depends on it
_STEPS = 4  # between two looks at how far the games are

#: Parts of the time that a group's thread spends, in the order of the report.
PARTS = ("network", "trees", "python", "waiting")


class _Switch:
    """The constant evaluator until it is turned over to another."""

    def __init__(self, evaluator: BatchEvaluator) -> None:
        self._evaluator = evaluator
        self.on = False

    @property
    def version(self) -> int:
        """As evaluators have it; what the constant one said must not be remembered."""
        return int(getattr(self._evaluator, "version", 1)) if self.on else 0

    @property
    def core(self) -> Network | None:
        """The network of the other, if that has one in the core."""
        return core_of(self._evaluator) if self.on else None

    def evaluate(self, obs: np.ndarray, evals: np.ndarray) -> None:
        """See BatchEvaluator."""
        if self.on:
            self._evaluator.evaluate(obs, evals)
        else:
            uniform_evaluate(obs, evals)


class Trial:
    """Games of one configuration that are at all stages when the constructor returns.

    Args:
        evaluator: see SelfPlay.
        config: what to look at.
        seed: of all games.
        patience: seconds after which the games that have not begun then begin all at once.
    """

    def __init__(
        self,
        evaluator: BatchEvaluator,
        *,
        config: SelfPlayConfig,
        seed: int,
        patience: float = 2.0,
    ) -> None:
        self.config = config
        self._switch = _Switch(evaluator)
        self._play = SelfPlay(self._switch, config=config, seed=seed)
        self._spread(time.perf_counter() + patience)
        self._switch.on = True

    def run(self, seconds: float) -> SelfPlayStats:
        """Go on for so long, and at least one step of every group."""
        ends = time.perf_counter() + seconds
        done: list[SelfPlayStats] = []
        while not done or time.perf_counter() < ends:
            done.append(self._go(self.config.n_parallel_games, until=ends, lookahead=True))
        return reduce(add, done)

    def _spread(self, ends: float) -> None:
        """Begin the games in waves, each when those before are a part of a game further."""
        searches, goal = 0, 0.0
        for wave in range(1, _WAVES + 1):
            begun = max(1, self.config.n_parallel_games * wave // _WAVES)
            goal += begun * _SEARCHES / _WAVES
            while searches < goal and begun > self._play.next_game:
                stats = self._go(begun - self._play.next_game, steps=_STEPS, lookahead=False)
                searches += stats.searches
                if time.perf_counter() >= ends:
                    return
                if not stats.batches:
                    break

    def _go(
        self, n_games: int, *, until: float = 0.0, steps: int = 1, lookahead: bool
    ) -> SelfPlayStats:
        asked: Counter[int] = Counter()  # by thread, which has one group after the other at most

        def enough() -> bool:
            thread = threading.get_ident()
            asked[thread] += 1
            if asked[thread] <= steps or time.perf_counter() < until:
                return False
            asked[thread] = 0
            return True

        return self._play.play(n_games, should_stop=enough, lookahead=lookahead)[1]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be tuned.

    Attributes:
        network: config of the network, as it is published.
        weights: by name.
        name: of the network, for people.
        selfplay: how to search; its games and groups are the default's, a setting says others.
        device, dtype: where and in what precision the network runs.
    """

    network: Mapping[str, Any]
    weights: Mapping[str, Any]
    name: str
    selfplay: SelfPlayConfig
    device: str
    dtype: str


class Trials:
    """The games of every setting of a job that is still in the running."""

    def __init__(self, job: Job) -> None:
        from zebfast.net.devices import open_evaluator
        from zebfast.net.networks import config_from_dict

        config = config_from_dict(job.network)
        self._evaluator = open_evaluator(config, job.weights, device=job.device, dtype=job.dtype)
        self._selfplay = job.selfplay
        self._open: dict[Setting, Trial] = {}

    def look(self, setting: Setting, seconds: float) -> SelfPlayStats:
        """Play on; the first look at a setting begins its games. MemoryError if there is none."""
        self._evaluator.use_threads(setting.threads)
        try:
            if setting not in self._open:
                config = replace(
                    self._selfplay,
                    n_parallel_games=setting.n_parallel_games,
                    n_groups=setting.n_groups,
                )
                self._open[setting] = Trial(self._evaluator, config=config, seed=SEED)
                self._open[setting].run(0)  # the first step pays for buffers
            return self._open[setting].run(seconds)
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # of torch, for a GPU
                raise
            raise MemoryError(str(error)) from None

    def drop(self, setting: Setting) -> None:
        """Give the memory of a setting's games back."""
        self._open.pop(setting, None)
        gc.collect()


def time_shares(stats: SelfPlayStats, *, on_gpu: bool) -> dict[str, float]:
    """Counts a game, and the shares of PARTS in the time of the groups' threads.

    A thread off the core is waiting: for the other groups, for what else runs on the machine. On a
    GPU all of the evaluator's time is the network's.
    """
    trees, network = stats.tree_cpu_seconds, stats.evaluator_cpu_seconds
    spent = {"trees": trees, "python": max(stats.thread_cpu_seconds - trees - network, 0.0)}
    spent["network"] = stats.evaluator_seconds if on_gpu else network
    spent["waiting"] = max(stats.thread_seconds - sum(spent.values()), 0.0)
    total = sum(spent.values())
    games = max(stats.plays, 1) / N_PLIES
    return {
        "simulations_per_game": stats.simulations / games,
        "evaluations_per_game": stats.evaluations / games,
        "solved_per_game": stats.solved / games,
        "tree_nanoseconds_per_simulation": 1e9 * trees / max(stats.simulations, 1),
        **{f"{part}_share": spent[part] / total for part in PARTS},
    }
