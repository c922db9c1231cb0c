"""What every way of carrying weights and examples must do; worker and learner know only this.

A back end is a pair of objects: one holds a namespace's weights, config and state, the other its
example files. All errors that a caller can do something about are ``ExchangeError`` (one sentence)
or ``OSError`` from the local file system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from zebfast.exchange.namespace import Namespace

StateDict = dict[str, torch.Tensor]
"""Plain weights: parameter name -> tensor on the CPU."""


class ExchangeError(RuntimeError):
    """One sentence: what is wrong with what was found, what was expected, what to do."""


class TransientError(ExchangeError):
    """The same call may well succeed later: keep what is staged and try again."""


class NamespaceBusy(ExchangeError):
    """Another learner holds this namespace."""


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


class WeightStore(Protocol):
    """Weights, config and state of one namespace."""

    @property
    def label(self) -> str:
        """Where this is, for people: a directory or a repository."""

    @property
    def namespace(self) -> Namespace: ...

    def read_state(self) -> dict[str, Any] | None:
        """The small state file, checked; None while the namespace has none."""

    def read_config(self) -> dict[str, Any] | None:
        """The model config; None while the namespace has none."""

    def pull(self, *, newer_than: int | None = None) -> Weights | None:
        """Weights, config and state that belong together.

        Reads the state first. None when the namespace has no weights, or none with a step above
        ``newer_than``. The weights are at least as new as the state returned with them.
        """

    def publish(
        self, state_dict: StateDict, config: Mapping[str, Any], state: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Publish one version; a reader sees the old one or the new one, never a mixture.

        Keys of the state already there that ``state`` does not name are kept. Returns the state as
        written (with ``weights_sha256``).
        """

    def update_state(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change keys of the state without touching the weights; returns the whole state."""


class ExampleStore(Protocol):
    """Example files of one namespace."""

    @property
    def label(self) -> str: ...

    def put(self, name: str, write: Callable[[Path], None]) -> None:
        """Add one file: ``write(path)`` must create ``path`` whole or not at all."""

    def list(self) -> list[str]:
        """Names of complete example files, oldest first by the time in the name."""

    def open(self, name: str) -> Path:
        """A local path from which the file can be read. FileNotFoundError if it has gone."""

    def set_aside(self, name: str, reason: str) -> None:
        """Move a bad file out of the listing, with its one-line reason beside it."""

    def delete(self, names: Iterable[str]) -> int:
        """Delete files for good; names that have gone already are fine. Returns how many."""
