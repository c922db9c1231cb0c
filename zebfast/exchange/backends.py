"""Where weights and examples can be, and the back end that reaches each kind of place."""

from __future__ import annotations

from zebfast.exchange.local import LocalExampleStore, LocalWeightStore
from zebfast.exchange.names import Namespace
from zebfast.exchange.place import Place, StoreOptions
from zebfast.exchange.store import ExampleStore, WeightStore


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
