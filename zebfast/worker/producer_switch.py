"""What a worker plays now: what it was told once, or what the run's state says by now."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from zebfast.exchange import ExchangeError
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.teaching import TeachingConfig
from zebfast.system.events import Waiting, emit
from zebfast.system.machine import usable_threads
from zebfast.system.retry import Once
from zebfast.worker.config import EvalAuxConfig, RecipeConfig, WorkerConfig
from zebfast.worker.network import SyncedNetwork
from zebfast.worker.opponent import Opponent
from zebfast.worker.options import NOTHING, Task, task_of
from zebfast.worker.producer import Producer
from zebfast.worker.producers import open_producer

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Work:
    producer: Producer
    config: SelfPlayConfig | EvalAuxConfig | TeachingConfig
    games_per_batch: int


class ProducerSwitch:
    """The producer at work; one that the state names is replaced when the state names another.

    Games that a replaced producer has begun and not given are the next one's to play.

    Args:
        network: the run's, which brings its state.
        seed: of all games.
        first_game: number of the first.
        opponent: of self-play.

    Raises:
        ExchangeError: the state names something that cannot be played.
    """

    def __init__(
        self,
        config: WorkerConfig,
        network: SyncedNetwork,
        *,
        seed: int,
        first_game: int,
        opponent: Opponent | None = None,
    ) -> None:
        self._config, self._network = config, network
        self._seed, self._next_game = seed, first_game
        self._work: _Work | None = None
        self._is_new = Once()
        self._opponent = opponent
        if not isinstance(config.producer, RecipeConfig):
            played = self._begin(config.producer, config.games_per_batch)
            _LOG.info(f"Playing on {played}")
        else:
            self.follow()

    @property
    def producer(self) -> Producer | None:
        """None while there is nothing to do."""
        return self._work.producer if self._work else None

    @property
    def games_per_batch(self) -> int:
        return self._work.games_per_batch if self._work else self._config.games_per_batch

    def follow(self) -> bool:
        """Do what the run's state says now. True where that is something else than before."""
        if not isinstance(self._config.producer, RecipeConfig):
            return False
        entry = self._network.read_producer()
        if entry is None:
            self._wait(
                f"{self._network.label} names no producer yet — waiting for a learner with a recipe"
            )
            return False
        task, mode = self._task(entry), str(entry["mode"])
        config, n_games = task.producer, task.games_per_batch or self._config.games_per_batch
        if self._work and (self._work.config, self._work.games_per_batch) == (config, n_games):
            return False
        self.close()
        if config is None:
            worker = self._config.worker_id
            self._wait(f"[{worker}] producer: {NOTHING}, the run has all its games")
            return True
        threads = usable_threads(task.threads)
        if threads is not None:
            self._network.evaluator.use_threads(threads)
        line = f"[{self._config.worker_id}] producer: {mode} on {self._begin(config, n_games)}"
        if self._is_new(line):
            _LOG.info(line)
        return True

    def close(self) -> None:
        """End the producer's threads; the next producer goes on behind its games."""
        if self._work:
            self._next_game = self._work.producer.next_game
            self._work.producer.close()
        self._work = None

    def _task(self, entry: dict[str, object]) -> Task:
        recipe = self._config.producer
        assert isinstance(recipe, RecipeConfig)
        try:
            return task_of(entry, recipe.machine, default_groups=recipe.default_groups)
        except ValueError as error:
            raise ExchangeError(
                f"the producer that {self._network.label} asks for cannot be used ({error}): "
                "correct the recipe, or start a worker of the learner's version"
            ) from error

    def _begin(
        self, config: SelfPlayConfig | EvalAuxConfig | TeachingConfig, games_per_batch: int
    ) -> str:
        """Play so from now on; on what and how, for people."""
        evaluator = self._network.evaluator
        producer = open_producer(
            config,
            evaluator,
            seed=self._seed,
            first_game=self._next_game,
            opponent=self._opponent,
        )
        self._work = _Work(producer, config, games_per_batch)
        return f"{evaluator.describe()}, {producer.describe()}"

    def _wait(self, text: str) -> None:
        if self._is_new(text):
            emit(Waiting(reason="producer", text=text))
