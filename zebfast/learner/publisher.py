"""Publishing beside training: one push at a time, in its own thread, the newest request wins."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from zebfast.exchange import TransientError, WeightStore
from zebfast.system.background import BackgroundSender
from zebfast.system.events import Incident, emit
from zebfast.system.retry import Once, doubling

_LOG = logging.getLogger(__name__)
_MAX_PAUSE_SECONDS = 300.0


@dataclass(frozen=True)
class PublishRequest:
    """What one push says: keys of the state and, where there are new weights, these.

    The weights are on the CPU, and nobody changes them.
    """

    state: Mapping[str, Any]
    weights: Mapping[str, Tensor] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    def followed_by(self, newer: PublishRequest) -> PublishRequest:
        """One request for both: newer weights win, changes of the state alone go with it."""
        if newer.weights is not None:
            return newer
        return replace(self, state={**self.state, **newer.state})


class Publisher(BackgroundSender[PublishRequest]):
    """The thread. ``error`` is what has ended it: then nothing more will be published.

    Args:
        store: its namespace is held by the caller.
        push_seconds: least time between pushes.
        retry_seconds: pause after a passing failure; it doubles each time.
        squash_after: versions beyond which the store's history is forgotten; 0 = never.
    """

    def __init__(
        self,
        store: WeightStore,
        *,
        push_seconds: float,
        retry_seconds: float,
        squash_after: int,
    ) -> None:
        self.store = store
        self._squash_after = squash_after
        self._is_new_fault = Once()
        self._arrived: PublishRequest | None = None
        self._arrival = threading.Lock()
        super().__init__(
            self._push,
            name="publisher",
            failed=self._is_passing,
            retry=doubling(retry_seconds, longest=_MAX_PAUSE_SECONDS),
            rest=push_seconds,
            combine=PublishRequest.followed_by,
        )

    def arrived(self) -> PublishRequest | None:
        """The newest weights that have reached the store since this was last asked."""
        with self._arrival:
            arrived, self._arrived = self._arrived, None
            return arrived

    # --- in the thread ---

    def _push(self, request: PublishRequest) -> None:
        if request.weights is None:
            self.store.update_state(request.state)
        else:
            self.store.publish(dict(request.weights), request.config, request.state)
            with self._arrival:
                self._arrived = request
            self._compact()
        self._is_new_fault.over()

    def _is_passing(self, _request: PublishRequest, error: Exception) -> bool:
        if not isinstance(error, TransientError):
            raise error  # ends the thread, and the run with it
        text = f"  push error (will retry): {error}"
        if self._is_new_fault(text):
            emit(Incident(what="exchange", text=text))
        return True

    def _compact(self) -> None:
        try:
            if self._squash_after and (line := self.store.compact(self._squash_after)):
                _LOG.info(line)
        except TransientError as error:
            emit(Incident(what="exchange", text=f"  squash error (will retry): {error}"))
