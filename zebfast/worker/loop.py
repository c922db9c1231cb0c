"""The worker from top to bottom: weights, games, examples, newer weights, again."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zebfast import __version__
from zebfast.exchange import (
    ExampleStore,
    ExchangeError,
    TransientError,
    Weights,
    WeightStore,
    open_examples,
    open_weights,
)
from zebfast.net.evaluator import Evaluator
from zebfast.net.v1 import NetConfig
from zebfast.selfplay.examples import (
    NATIVE_SUFFIX,
    PT_SUFFIX,
    SOURCE_SELFPLAY,
    example_name,
    write_native,
)
from zebfast.selfplay.games import SelfPlay, SelfPlayStats
from zebfast.system.signals import StopFlag
from zebfast.worker.config import WorkerConfig
from zebfast.worker.progress import SeedProgress, hold_worker_id

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class BatchProgress:
    """What a watcher is told while a batch is under way."""

    batch: int
    games: int
    of_games: int


def work(
    config: WorkerConfig,
    *,
    say: Say,
    on_progress: Callable[[BatchProgress], None] | None = None,
) -> int:
    """Play and hand over batches of examples until told to stop. Returns the exit code.

    SIGINT and SIGTERM end the batch at once and hand over the games that are finished.

    Raises:
        ExchangeError and its kinds, OSError, FloatingPointError: one sentence each.
    """
    examples = open_examples(config.examples, config.namespace, options=config.stores, say=say)
    with StopFlag() as stop, hold_worker_id(examples.home, config.worker_id) as path:
        progress = SeedProgress(path, config.seed)
        store = open_weights(config.weights, config.namespace, options=config.stores, say=say)
        weights = _wait_for_weights(store, config, stop, say)
        if weights is not None:
            Worker(config, store, examples, weights, progress, stop, say).run(on_progress)
    return stop.exit_code


def _wait_for_weights(
    store: WeightStore, config: WorkerConfig, stop: StopFlag, say: Say
) -> Weights | None:
    """The namespace's weights as soon as there are any; None when told to stop before that."""
    said = False
    while not stop():
        weights = store.pull()
        if weights is not None:
            say(
                f"Pulling weights from {store.label}: {store.namespace.weights_file} "
                f"(step {weights.step}, {weights.total_games:,} games)"
            )
            return weights
        if not said:
            say(
                f"No {store.namespace.weights_file} in {store.label} yet — waiting for the learner "
                "(zebfast-learn --checkpoint FILE publishes the first)"
            )
            said = True
        stop.wait(config.poll_seconds)
    return None


class Worker:
    """One run over loaded weights."""

    def __init__(
        self,
        config: WorkerConfig,
        store: WeightStore,
        examples: ExampleStore,
        weights: Weights,
        progress: SeedProgress,
        stop: StopFlag,
        say: Say,
    ) -> None:
        self.config, self.store, self.examples = config, store, examples
        self.progress, self.stop, self.say = progress, stop, say
        self.model_config, self.model_step = dict(weights.config), weights.step
        try:
            network = NetConfig.from_dict(weights.config)
            self.evaluator = Evaluator(
                network, weights.state_dict, device=config.device, dtype=config.dtype
            )
        except ValueError as error:
            raise ExchangeError(
                f"config and weights in {store.label} cannot be used ({error}): put back the "
                "config that these weights were published with"
            ) from error
        self.play = SelfPlay(
            self.evaluator,
            config=config.selfplay,
            seed=progress.seed,
            first_game=progress.next_game,
        )
        self.total_games = 0
        self._recent: deque[SelfPlayStats] = deque(maxlen=4)
        say(f"Playing on {self.evaluator.describe()}, {self.play.nbytes / 2**20:.0f} MiB of trees")

    def run(self, on_progress: Callable[[BatchProgress], None] | None) -> None:
        """Batches until stopped or done."""
        batch = 0
        while not self.stop() and batch != self.config.max_batches:
            batch += 1
            self._play_batch(batch, on_progress)
            if batch % self.config.weight_sync_interval == 0:
                self._sync_weights()

    def _play_batch(self, batch: int, on_progress: Callable[[BatchProgress], None] | None) -> None:
        wanted = self.config.games_per_batch
        step = self.model_step

        def on_step(n: int) -> None:
            if on_progress is not None:
                on_progress(BatchProgress(batch=batch, games=n, of_games=wanted))

        games, stats = self.play.play(wanted, should_stop=self.stop, on_step=on_step)
        self._recent.append(stats)
        if not len(games):
            return
        self._hand_over(games, stats, step)
        self.total_games += len(games)
        self.say(
            f"[{self.config.worker_id}] batch {batch}: {28 * len(games)} examples, "
            f"{self.games_per_second:.1f} games/s, step={step}, total_games={self.total_games}"
        )

    @property
    def games_per_second(self) -> float:
        """Games finished a second over the last batches, those of later batches included."""
        seconds = sum(stats.seconds for stats in self._recent)
        return sum(stats.finished for stats in self._recent) / seconds if seconds else 0.0

    def _hand_over(self, games: np.ndarray, stats: SelfPlayStats, step: int) -> None:
        """Put the batch into the example store; a full disk is waited out, nothing is dropped."""
        config = self.config
        suffix = NATIVE_SUFFIX if config.example_format == "native" else PT_SUFFIX
        metadata = self._metadata(games, stats, step)
        while True:
            name = example_name(config.worker_id, time.time(), suffix=suffix)
            try:
                self.progress.advance(self.play.next_game)
                self.examples.put(name, lambda path: self._write(path, games, metadata))
                return
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                if not full or self.stop():
                    raise
                self.say(
                    f"[{config.worker_id}] the disk of {self.examples.label} is full: "
                    f"{len(games)} games wait in memory; free some space, trying again every "
                    f"{config.disk_retry_seconds:g} s"
                )
            except TransientError as error:
                self.say(f"  upload error (will retry): {error}")
            self.stop.wait(config.disk_retry_seconds)

    def _write(self, path: Path, games: np.ndarray, metadata: dict[str, Any]) -> None:
        if self.config.example_format == "native":
            write_native(path, games, metadata)
        else:
            from zebfast.selfplay.examples_pt import write_pt

            write_pt(path, games, metadata, belief=True)

    def _metadata(self, games: np.ndarray, stats: SelfPlayStats, step: int) -> dict[str, Any]:
        search = self.config.selfplay.search
        return {
            "worker_id": self.config.worker_id,
            "model_step": step,
            "n_games": len(games),
            "timestamp": time.time(),
            "source": SOURCE_SELFPLAY,
            "weights_name": self.config.namespace.stem,
            "tokenizer": str(self.model_config.get("tokenizer", "v1")),
            "seed": self.progress.seed,
            "first_game": self.play.next_game - len(games),
            "n_simulations": search.n_simulations,
            "worlds": self.config.selfplay.worlds,
            "n_worlds": search.n_worlds,
            "exact_tricks": search.exact_tricks,
            "temperature": search.temperature,
            "noise_fraction": search.noise_fraction,
            "evaluations": stats.evaluations,
            "solved": stats.solved,
            "seconds": round(stats.seconds, 3),
            "zebfast": __version__,
        }

    def _sync_weights(self) -> None:
        """Swap newer weights in, if there are any; a passing fault keeps the old ones."""
        try:
            weights = self.store.pull(newer_than=self.model_step)
        except TransientError as error:
            self.say(f"  weight sync error (will retry): {error}")
            return
        if weights is None:
            return
        if dict(weights.config) != self.model_config:
            raise ExchangeError(
                f"{self.store.label} now holds a different network ({weights.config}) than this "
                f"worker started with ({self.model_config}): restart the worker"
            )
        self.evaluator.load(weights.state_dict)
        self.model_step = weights.step
        self.say(f"[{self.config.worker_id}] new weights: step {weights.step}")
