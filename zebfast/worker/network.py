"""The namespace's network as the learner last published it."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

from zebfast.exchange import ExchangeError, TransientError, Unusable, Weights, WeightStore
from zebfast.exchange.state import Torn
from zebfast.net.devices import open_evaluator
from zebfast.net.networks import Diverged, config_from_dict
from zebfast.system.events import Incident, Waiting, emit
from zebfast.system.retry import Once
from zebfast.system.signals import StopFlag, Stopped
from zebfast.worker.config import WorkerConfig

_CACHES_SECONDS = 75.0  # NFS believes for up to a minute what it has seen of a file
_LOG = logging.getLogger(__name__)


class SyncedNetwork:
    """An evaluator whose weights follow the store.

    Attributes:
        evaluator: keeps its identity when newer weights are swapped in.
        step: of the weights in it.
        config, tokenizer: of the network, as published.
        label: where it comes from, for people.

    Raises:
        ExchangeError: config and weights do not belong together, or are of no known network.
    """

    def __init__(
        self,
        store: WeightStore,
        weights: Weights,
        config: WorkerConfig,
        threads: int | None = None,
    ) -> None:
        self._store, self.label, self.step = store, store.label, weights.step
        self._lineage = weights.state.get("lineage")
        self.config = dict(weights.config)
        self.tokenizer = str(self.config.get("tokenizer", "v1"))
        self._producer: dict[str, Any] | None = None
        self._is_new = Once()
        try:
            network = config_from_dict(weights.config)
            self.evaluator = open_evaluator(
                network,
                weights.state_dict,
                device=config.device,
                dtype=config.dtype,
                threads=threads,
            )
        except Diverged as error:
            raise ExchangeError(f"the weights in {store.label}: {error}") from error
        except ValueError as error:
            raise ExchangeError(
                f"config and weights in {store.label} cannot be used ({error}): put back the "
                "config that these weights were published with"
            ) from error

    def read_producer(self) -> dict[str, Any] | None:
        """``producer`` of the run's state as it is now: what its workers are to play.

        None where the state names none; after a passing fault what it said before.

        Raises:
            ExchangeError: the state cannot be used.
        """
        try:
            entry = (self._store.read_state() or {}).get("producer")
        except TransientError as error:
            emit(Incident(what="exchange", text=f"  state cannot be read (will retry): {error}"))
        else:
            self._producer = entry if isinstance(entry, dict) else None
        return self._producer

    def sync(self, worker_id: str) -> None:
        """Swap newer weights in, if there are any; a passing fault keeps the old ones.

        So do weights that are no numbers. Newer are those of a higher step, and all of a namespace
        that was begun anew.

        Raises:
            ExchangeError: the namespace now holds another network.
        """
        try:
            weights = self._store.pull(newer_than=self.step)
            if weights is None and self._is_begun_anew():
                weights = self._store.pull()
        except (TransientError, Unusable) as error:
            emit(Incident(what="exchange", text=f"  weight sync error (will retry): {error}"))
            return
        if weights is None:
            return
        if dict(weights.config) != self.config:
            raise ExchangeError(
                f"{self._store.label} now holds a different network ({weights.config}) than this "
                f"worker started with ({self.config}): restart the worker"
            )
        try:
            self.evaluator.load(weights.state_dict)
        except Diverged as error:
            text = f"  the weights of step {weights.step} in {self._store.label}: {error}; playing "
            text += f"on with those of step {self.step}"
            if self._is_new(text):
                emit(Incident(what="diverged", text=text))
            return
        self.step, self._lineage = weights.step, weights.state.get("lineage")
        _LOG.info(f"[{worker_id}] new weights: step {weights.step}")

    def _is_begun_anew(self) -> bool:
        """Is it another lineage by now, of which no step says how new it is?"""
        lineage = (self._store.read_state() or {}).get("lineage")
        return None not in (lineage, self._lineage) and lineage != self._lineage


def wait_for_network(
    store: WeightStore, config: WorkerConfig, stop: StopFlag, threads: int | None = None
) -> SyncedNetwork:
    """The namespace's network as soon as there is one.

    Passing faults are waited out without end; each is said once. For as long as a disk of a network
    may show one file newer than the other, so are weights that may be torn from their state.
    ``threads``: as `open_evaluator`.

    Raises:
        Stopped: told to, before there was one.
        ExchangeError: what is there cannot be used, or access is refused.
    """
    is_new, torn_since = Once(), math.inf
    while True:
        if stop():
            raise Stopped
        try:
            weights = store.pull()
        except (TransientError, Torn) as error:
            if isinstance(error, Torn):
                torn_since = min(torn_since, time.monotonic())
                if time.monotonic() - torn_since > _CACHES_SECONDS:
                    raise
            text = f"  weights cannot be read yet (will retry): {error}"
            news: Incident | Waiting = Incident(what="exchange", text=text)
            pause = config.stores.retry_seconds
        else:
            if weights is not None:
                _LOG.info(
                    f"Pulling weights from {store.label}: {store.namespace.weights_file} "
                    f"(step {weights.step}, {weights.total_games:,} games)"
                )
                return SyncedNetwork(store, weights, config, threads)
            text = (
                f"No {store.namespace.weights_file} in {store.label} yet — waiting for the learner "
                "(zebfast-learn --checkpoint FILE publishes the first)"
            )
            news, pause = Waiting(reason="weights", text=text), config.poll_seconds
        if is_new(text):
            emit(news)
        stop.wait(pause)
