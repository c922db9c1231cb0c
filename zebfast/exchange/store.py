"""What every way of carrying weights and examples must do; worker and learner know only this.

A back end is a pair of objects: one holds a namespace's weights, config and state, the other its
example files. All errors that a caller can do something about are ``ExchangeError`` (one sentence)
or ``OSError`` from the local file system; faults that pass, its own too, are ``TransientError``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from zebfast.exchange.names import Namespace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zebfast.exchange.heartbeat import Heartbeat

StateDict = dict[str, "NDArray[Any]"]
"""Plain weights: parameter name -> its numbers."""


@dataclass(frozen=True)
class Weights:
    """One published version: weights, the config they fit, and the state that announced them."""

    state_dict: StateDict
    config: dict[str, Any]
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Training cycles behind these weights."""
        return int(self.state.get("step", 0))

    @property
    def total_games(self) -> int:
        return int(self.state.get("total_games", 0))


@dataclass(frozen=True)
class Revision:
    """One version in a store's history: its id, unix seconds, and what its writer called it."""

    id: str
    unix_seconds: float
    title: str


class WeightStore(Protocol):
    """Weights, config and state of one namespace."""

    @property
    def label(self) -> str:
        """Where this is, for people: a directory or a repository."""

    @property
    def namespace(self) -> Namespace: ...

    def read_state(self) -> dict[str, Any] | None:
        """The small state file, checked; None while the namespace has none."""

    def whole(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """A state that was just read, with what it has in a file of its own: see ``LEDGER_KEYS``.

        Workers have no use for it, so it may be large.
        """

    def read_config(self) -> dict[str, Any] | None:
        """The model config; None while the namespace has none."""

    def pull(self, *, newer_than: int | None = None, revision: str | None = None) -> Weights | None:
        """Weights, config and state that belong together.

        Reads the state first. None when the namespace has no weights, or none with a step above
        ``newer_than``. The weights are at least as new as the state returned with them.
        ``revision`` asks for an earlier version; ExchangeError where the store keeps none.
        """

    def revisions(self, limit: int) -> list[Revision]:
        """The newest versions of this namespace, newest first; empty where none are kept."""

    def hold(self, owner: str, *, take_over: bool = False) -> AbstractContextManager[None]:
        """Be the only learner of this namespace while the context lasts.

        ``owner`` names this machine's learner of this namespace over restarts. ``take_over``
        dispossesses another one, which then fails at its next publish.

        Raises:
            NamespaceBusy: another learner holds it.
            ExchangeError and its kinds: a store that is far away could not be asked.
        """

    def compact(self, limit: int) -> str | None:
        """Forget history when it has more than ``limit`` versions; the line that announces it."""

    def publish(
        self, state_dict: StateDict, config: Mapping[str, Any], state: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Publish one version; a reader sees the old one or the new one, never a mixture.

        Keys of the state already there that ``state`` does not name are kept. Returns the state as
        written (with ``weights_sha256``).

        Raises:
            ExchangeError: it could not be read again, so nothing was replaced; TransientError where
                that may pass.
        """

    def update_state(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change keys of the state without touching the weights; returns the state as written."""


class ExampleStore(Protocol):
    """Example files of one namespace, and beside them the heartbeats of the workers that make them.

    A file that was ``put`` may wait on this machine's disk for its upload; ``close`` must be
    called by whoever puts, and what is left then is uploaded by the next store opened here.
    """

    @property
    def label(self) -> str: ...

    @property
    def local_dir(self) -> Path:
        """A directory of this machine for small files of a producer into this store."""

    def put(self, name: str, write: Callable[[Path], None]) -> None:
        """Add one file: ``write(path)`` must create ``path`` whole or not at all."""

    def list(self) -> list[str]:
        """Names of complete example files, oldest first by the time in the name."""

    def fetch(self, names: Sequence[str]) -> AbstractContextManager[Mapping[str, Path]]:
        """Local paths, by name, that can be read inside the context.

        Files that have gone, or that could not be had this time, are not in the mapping.
        """

    def quarantine(self, name: str, reason: str) -> None:
        """Take a bad file out of the listing, keeping it with its one-line reason."""

    def delete(self, names: Iterable[str]) -> int:
        """Delete files for good; names that have gone already are fine. Returns how many."""

    def archive(self, names: Iterable[str]) -> int:
        """Move files out of the listing, and keep them; how many. 0 where a store cannot do it."""

    def beat(self, heartbeat: Heartbeat) -> None:
        """Leave a worker's sign of life, in place of its last one.

        In a repository it goes with the next commit of examples, alone only when none came for an
        upload interval (``failed``: as soon as the interval allows); a newer one replaces one that
        still waits. Faults of the far side are said and never raised.

        Raises:
            TransientError, OSError: this machine's disk.
        """

    def heartbeats(self) -> dict[str, Heartbeat]:
        """The last sign of every worker, by its id; what is none is left out and said once.

        Raises:
            ExchangeError and its kinds, OSError.
        """

    def waiting(self) -> int:
        """Files put here that have not reached the store yet."""

    def close(self, grace: float) -> int:
        """Upload what waits, for at most ``grace`` seconds; how many files still wait."""

    def compact(self, limit: int) -> str | None:
        """Forget history when it has more than ``limit`` versions; the line that announces it."""
