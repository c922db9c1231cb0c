"""How weights and examples travel between workers and the learner."""

from zebfast.exchange.errors import ExchangeError, NamespaceBusy, Say, TransientError
from zebfast.exchange.local import LocalExampleStore, LocalWeightStore, hold_namespace
from zebfast.exchange.namespace import Namespace
from zebfast.exchange.open import open_examples, open_weights
from zebfast.exchange.place import Place, StoreOptions
from zebfast.exchange.store import ExampleStore, Revision, StateDict, Weights, WeightStore

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
