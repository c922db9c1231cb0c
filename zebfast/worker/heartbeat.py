"""A worker's signs of life: when its phase changes, and after every batch."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from zebfast import __version__
from zebfast.exchange import ExampleStore, ExchangeError
from zebfast.exchange.heartbeat import Heartbeat, Phase
from zebfast.system.events import Incident, emit
from zebfast.system.retry import Once
from zebfast.worker.config import WorkerConfig

_SHORTEST_PAUSE = 10.0  # seconds between two of one phase: batches may take a tenth of a second


class HeartbeatSender:
    """Tells the example store how one worker fares. No fault of the store ever stops the worker."""

    def __init__(
        self,
        examples: ExampleStore,
        config: WorkerConfig,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._examples, self._device, self._clock = examples, config.device, clock
        self._is_new = Once()
        self._told = 0.0
        self._last = Heartbeat(
            worker_id=config.worker_id,
            unix=clock(),
            phase="starting",
            restarts=config.restarts,
            earlier_batches=config.earlier_batches,
            host=socket.gethostname(),
            version=__version__,
            process=secrets.token_hex(8),
        )

    def tell(self, phase: Phase, **facts: Any) -> None:
        """Be in this phase from now on; ``facts`` are fields of the heartbeat that have changed."""
        now, before = self._clock(), self._last.phase
        self._last = replace(self._last, phase=phase, unix=now, **facts)
        if phase == before and 0 <= now - self._told < _SHORTEST_PAUSE:
            return  # the next one says it, too
        self._told = now
        gpu, gpu_memory = gpu_facts(self._device)
        try:
            self._examples.beat(replace(self._last, gpu=gpu, gpu_memory=gpu_memory))
            self._is_new.over()
        except (ExchangeError, OSError) as error:
            text = f"  heartbeat error (will retry): {error}"
            if self._is_new(text):
                emit(Incident(what="exchange", text=text))

    def batch(self, number: int, **facts: Any) -> None:
        """Batch ``number`` of this start was handed over."""
        self.tell("playing", batch=number, last_batch=self._clock(), **facts)


@contextmanager
def beating(examples: ExampleStore, config: WorkerConfig) -> Iterator[HeartbeatSender]:
    """Signs of life from now on; whatever ends the context is the last of them."""
    beats = HeartbeatSender(examples, config)
    beats.tell("starting")
    try:
        yield beats
    except Exception as error:
        beats.tell("failed", error=str(error) or type(error).__name__)
        raise
    except BaseException:
        beats.tell("stopped")
        raise
    beats.tell("stopped")


def gpu_facts(device: str) -> tuple[str | None, float | None]:
    """Name of the GPU, and the most MB that torch has held on it; None without one."""
    if not device.startswith("cuda"):
        return None, None
    from zebfast.net.torch import runtime

    return runtime.gpu_facts(device)  # None of one that has failed: the worker itself says so
