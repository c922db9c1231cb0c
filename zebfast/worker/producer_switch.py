"""What a worker plays now: what it was told once, or what the run's state says by now."""

from __future__ import annotations

from dataclasses import dataclass

from zebfast.exchange import ExchangeError, Say
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.teaching import TeachingConfig
from zebfast.worker.config import EvalAuxConfig, RecipeConfig, WorkerConfig
from zebfast.worker.network import SyncedNetwork
from zebfast.worker.options import NOTHING, Task, task_of
from zebfast.worker.producer import Producer
from zebfast.worker.producers import open_producer


@dataclass(frozen=True)
class _Work:
    producer: Producer
    config: SelfPlayConfig | EvalAuxConfig | TeachingConfig
    games_per_batch: int


class Assignment:
    """The producer at work; one that the state names is replaced when the state names another.

    Games that a replaced producer has begun and not given are the next one's to play.

    Args:
        network: the run's, which brings its state.
        seed: of all games.
        first_game: number of the first.

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
        say: Say,
    ) -> None:
        self._config, self._network, self._say = config, network, say
        self._seed, self._next_game = seed, first_game
        self._work: _Work | None = None
        self._said = ""
        if not isinstance(config.producer, RecipeConfig):
            self._begin(config.producer, config.games_per_batch)
            say(f"Playing on {network.evaluator.describe()}, {self._describe()}")
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
        entry = self._network.read_producer(self._say)
        if entry is None:
            wait = (
                f"{self._network.label} names no producer yet — waiting for a learner with a recipe"
            )
            self._tell(wait)
            return False
        task, mode = self._task(entry), str(entry["mode"])
        config, n_games = task.producer, task.games_per_batch or self._config.games_per_batch
        if self._work and (self._work.config, self._work.games_per_batch) == (config, n_games):
            return False
        self.close()
        if config is None:
            self._tell(f"[{self._config.worker_id}] producer: {NOTHING}, the run has all its games")
            return True
        if task.threads is not None:
            import torch

            torch.set_num_threads(task.threads)
        self._begin(config, n_games)
        device = self._network.evaluator.describe()
        self._tell(f"[{self._config.worker_id}] producer: {mode} on {device}, {self._describe()}")
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
    ) -> None:
        producer = open_producer(
            config, self._network.evaluator, seed=self._seed, first_game=self._next_game
        )
        self._work = _Work(producer, config, games_per_batch)

    def _describe(self) -> str:
        assert self._work is not None
        return self._work.producer.describe()

    def _tell(self, line: str) -> None:
        if line != self._said:
            self._say(line)
        self._said = line
