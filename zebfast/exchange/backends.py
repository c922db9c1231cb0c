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
    """The example files of ``namespace`` at ``place``; nothing is read or created yet."""
    if place.path is not None:
        return LocalExampleStore(place.path, namespace)
    if place.kind == "bucket":
        from zebfast.exchange.hub.bucket import BucketExampleStore

        return BucketExampleStore(place.name, namespace, options=options)
    from zebfast.exchange.hub.dataset import HubExampleStore

    return HubExampleStore(place.name, namespace, options=options)
