"""Where weights and examples can be, and the back end that reaches each kind of place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zebfast.exchange.base import ExampleStore, Say, WeightStore
from zebfast.exchange.local import LocalExampleStore, LocalWeightStore
from zebfast.exchange.namespace import Namespace

Kind = Literal["directory", "model", "dataset", "bucket"]


@dataclass(frozen=True)
class Place:
    """A directory, or a repository or bucket of the Hugging Face Hub.

    ``name`` is the directory's path, or ``owner/name``. Examples in a ``dataset`` that does not
    exist are looked for in the model repository of that name, where the published ones lie.
    """

    kind: Kind
    name: str

    @classmethod
    def directory(cls, path: Path) -> Place:
        return cls("directory", str(path))

    @property
    def path(self) -> Path | None:
        """The directory; None for a place on the Hub."""
        return Path(self.name) if self.kind == "directory" else None

    def __str__(self) -> str:
        return self.name if self.kind == "directory" else f"{self.kind} {self.name}"


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """How a back end behaves; directories need only ``state_dir``, and not even that.

    Attributes:
        state_dir: this machine's own files: spools, copies of refused files, locks.
        upload_interval: seconds between commits of example files.
        attempts, retry_seconds: tries of a call that failed for a passing reason, and the pause
            before the second; it doubles each time.
        timeout: seconds until an answer of the Hub is given up.
    """

    state_dir: Path
    upload_interval: float = 240.0
    attempts: int = 4
    retry_seconds: float = 5.0
    timeout: float = 60.0


def open_weights(
    place: Place, namespace: Namespace, *, options: StoreOptions, say: Say
) -> WeightStore:
    """The weights of ``namespace`` at ``place``; nothing is read or created yet."""
    if place.path is not None:
        return LocalWeightStore(place.path, namespace)
    from zebfast.exchange.hub_weights import HubWeightStore

    return HubWeightStore(place.name, namespace, options=options, say=say)


def open_examples(
    place: Place, namespace: Namespace, *, options: StoreOptions, say: Say
) -> ExampleStore:
    """The example files of ``namespace`` at ``place``; nothing is read or created yet."""
    if place.path is not None:
        return LocalExampleStore(place.path, namespace, say)
    if place.kind == "bucket":
        from zebfast.exchange.hub_bucket import BucketExampleStore

        return BucketExampleStore(place.name, namespace, options=options, say=say)
    from zebfast.exchange.hub_examples import HubExampleStore

    return HubExampleStore(place.name, namespace, options=options, say=say)
