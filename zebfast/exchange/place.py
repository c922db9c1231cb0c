"""Where weights and examples are, and the back end that reaches each kind of place.

A place is a directory, a Hub repository or a bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zebfast.exchange.local import LocalExampleStore, LocalWeightStore
from zebfast.exchange.names import Namespace
from zebfast.exchange.store import ExampleStore, WeightStore
from zebfast.system.settings import check, setting

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
        attempts: tries of a call that failed for a passing reason.
        retry_seconds: it doubles each time.
        timeout: seconds until an answer of the Hub is given up.
    """

    state_dir: Path
    upload_interval: float = setting(
        240.0,
        "Seconds between uploads to the Hub; in directories files appear as batches end.",
        least=0,
    )
    attempts: int = setting(4, least=1)
    retry_seconds: float = setting(5.0, "First pause after a passing fault of the Hub.", above=0)
    timeout: float = setting(60.0, above=0)

    def __post_init__(self) -> None:
        check(self)


def open_weights(place: Place, namespace: Namespace, *, options: StoreOptions) -> WeightStore:
    """The weights of ``namespace`` at ``place``; nothing is read or created yet."""
    if place.path is not None:
        return LocalWeightStore(place.path, namespace)
    from zebfast.exchange.hub.weights import HubWeightStore

    return HubWeightStore(place.name, namespace, options=options)


def open_examples(place: Place, namespace: Namespace, *, options: StoreOptions) -> ExampleStore:
    """The example files of ``namespace`` at ``place``; nothing is read or created yet.

    Raises:
        ExchangeError: a place on the Hub that is not of the form owner/name.
    """
    if place.path is not None:
        return LocalExampleStore(place.path, namespace)
    from zebfast.exchange.hub import bucket, dataset, examples

    is_bucket = place.kind == "bucket"
    kind, folder = ("bucket", bucket.Folder) if is_bucket else ("dataset", dataset.Folder)
    local_dir = examples.example_directory(kind, place.name, namespace.stem, options)
    transport = folder(place.name, namespace.examples_prefix, options=options)
    return examples.RemoteExampleStore(transport, local_dir, options=options)
