"""The worker from top to bottom: weights, games, examples, newer weights, again.

Who plays the games is a producer's business; everything else is the same for all of them.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from zebfast import __version__
from zebfast.exchange import open_examples, open_weights, until_reached
from zebfast.system.events import BatchDone, emit
from zebfast.system.signals import ECHO_SECONDS, StopFlag, Stopped
from zebfast.worker.config import WorkerConfig
from zebfast.worker.example_writer import ExampleWriter, upload_at_end
from zebfast.worker.heartbeat import HeartbeatSender, beating
from zebfast.worker.network import SyncedNetwork, wait_for_network
from zebfast.worker.producer import Batch, Producer
from zebfast.worker.producer_switch import ProducerSwitch
from zebfast.worker.progress import SeedProgress, hold_worker_id

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BatchProgress:
    """What a watcher is told while a batch is under way."""

    batch: int
    games: int
    of_games: int


OnProgress = Callable[[BatchProgress], None]
#: The configuration to play with, once the network's own is known, and threads of the network where
#: they are to be others; says what it changes.
Settle = Callable[[WorkerConfig, Mapping[str, Any]], tuple[WorkerConfig, int | None]]


def work(
    config: WorkerConfig,
    *,
    on_progress: OnProgress | None = None,
    settle: Settle | None = None,
    threads: int | None = None,
) -> int:
    """Play and hand over batches of examples until told to stop. Returns the exit code.

    SIGINT, SIGTERM and SIGHUP end the batch at once, hand over the games that are finished and
    upload what waits for an upload, within limits. ``threads``: see `Evaluator.use_threads`.

    Raises:
        ExchangeError and its kinds, PolicyError, OSError, FloatingPointError: one sentence each.
    """
    opponent = config.opponent.open()  # before anything that may have to wait
    examples = open_examples(config.examples, config.namespace, options=config.stores)
    with StopFlag(echo=ECHO_SECONDS) as stop, ExitStack() as held:

        def begin() -> SeedProgress:
            with ExitStack() as own:
                path = own.enter_context(hold_worker_id(examples.local_dir, config.worker_id))
                progress = SeedProgress(path, config.seed)
                held.push(own.pop_all())
                return progress

        try:
            progress = until_reached(begin, stop, retry_seconds=config.stores.retry_seconds)
        except Stopped:
            return stop.exit_code
        held.enter_context(upload_at_end(examples, config))
        beats = held.enter_context(beating(examples, config))
        store = open_weights(config.weights, config.namespace, options=config.stores)
        beats.tell("waiting")
        try:
            with stop.interrupting():
                network = wait_for_network(store, config, stop, threads)
                if settle is not None:
                    config, others = settle(config, network.config)
                    if others is not None:
                        network.evaluator.use_threads(others)
        except Stopped:
            return stop.exit_code
        with closing(
            ProducerSwitch(
                config,
                network,
                seed=progress.seed,
                first_game=progress.next_game,
                opponent=opponent,
            )
        ) as switch:
            writer = ExampleWriter(examples, progress, config, stop)
            Worker(config, network, switch, writer, beats, stop).run(on_progress)
    return stop.exit_code


@dataclass
class Worker:
    """One run with a network that is there."""

    config: WorkerConfig
    network: SyncedNetwork
    switch: ProducerSwitch
    writer: ExampleWriter
    beats: HeartbeatSender
    stop: StopFlag
    total_games: int = 0
    _recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=4))

    def run(self, on_progress: OnProgress | None) -> None:
        """Batches until stopped or done; a recipe may leave nothing to do for a while."""
        number = 0
        self._tell()
        while not self.stop() and number != self.config.max_batches:
            producer = self.switch.producer
            if producer is None:
                self.stop.wait(self.config.poll_seconds)
            else:
                number += 1
                self._play_batch(number, producer, on_progress)
                if number % self.config.weight_sync_interval:
                    continue
            if self._follow():
                self._recent.clear()
                self._tell()

    def _follow(self) -> bool:
        """Take newer weights; True where something else is to be played from now on."""
        try:
            with self.stop.interrupting():
                self.network.sync(self.config.worker_id)
                return self.switch.follow()
        except Stopped:
            return False

    def _tell(self) -> None:
        """Say in the signs of life what is played now."""
        producer = self.switch.producer
        if producer is None:
            self.beats.tell("waiting")
        else:
            self.beats.tell("playing", source=producer.source, model_step=self.network.step)

    def _play_batch(self, number: int, producer: Producer, on_progress: OnProgress | None) -> None:
        wanted = self.switch.games_per_batch

        def on_step(n: int) -> None:
            if on_progress is not None:
                on_progress(BatchProgress(batch=number, games=n, of_games=wanted))

        batch = producer.play(wanted, should_stop=self.stop, on_step=on_step)
        self._recent.append((batch.finished, batch.seconds))
        n_games = len(batch.games)
        if not n_games:
            return
        self.writer.put(batch.games, self._metadata(batch, producer), next_game=producer.next_game)
        self.total_games += n_games
        emit(
            BatchDone(
                worker_id=self.config.worker_id,
                batch=number,
                games=n_games,
                examples=batch.n_examples,
                games_per_s=self.games_per_second,
                step=self.network.step,
                total_games=self.total_games,
                remark=batch.remark,
            )
        )
        self.beats.batch(
            number,
            total_games=self.total_games,
            games_per_s=round(self.games_per_second, 3),
            model_step=self.network.step,
        )

    @property
    def games_per_second(self) -> float:
        """Games finished a second over the last batches, those of later batches included."""
        seconds = sum(seconds for _, seconds in self._recent)
        return sum(finished for finished, _ in self._recent) / seconds if seconds else 0.0

    def _metadata(self, batch: Batch, producer: Producer) -> dict[str, Any]:
        n_games = len(batch.games)
        return {
            "worker_id": self.config.worker_id,
            "model_step": self.network.step,
            "n_games": n_games,
            "timestamp": time.time(),
            "source": producer.source,
            "weights_name": self.config.namespace.stem,
            "tokenizer": self.network.tokenizer,
            "seed": self.writer.progress.seed,
            "given_seed": self.writer.progress.is_given,
            "first_game": producer.next_game - n_games,
            **batch.facts,
            "seconds": round(batch.seconds, 3),
            "zebfast": __version__,
        }
