"""How weights and examples travel between workers and the learner."""

from zebfast.exchange.base import (
    ExampleStore,
    ExchangeError,
    NamespaceBusy,
    Revision,
    Say,
    StateDict,
    TransientError,
    Weights,
    WeightStore,
)
from zebfast.exchange.local import LocalExampleStore, LocalWeightStore
from zebfast.exchange.lock import hold_namespace
from zebfast.exchange.namespace import Namespace
from zebfast.exchange.places import Place, StoreOptions, open_examples, open_weights

__all__ = [
    "ExampleStore",
    "ExchangeError",
    "LocalExampleStore",
    "LocalWeightStore",
    "Namespace",
    "NamespaceBusy",
    "Place",
    "Revision",
    "Say",
    "StateDict",
    "StoreOptions",
    "TransientError",
    "WeightStore",
    "Weights",
    "hold_namespace",
    "open_examples",
    "open_weights",
]
