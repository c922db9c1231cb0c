"""How weights and examples travel between workers and the learner."""

from zebfast.exchange.base import (
    ExampleStore,
    ExchangeError,
    NamespaceBusy,
    StateDict,
    TransientError,
    Weights,
    WeightStore,
)
from zebfast.exchange.local import LocalExampleStore, LocalWeightStore
from zebfast.exchange.lock import hold_namespace
from zebfast.exchange.namespace import Namespace

__all__ = [
    "ExampleStore",
    "ExchangeError",
    "LocalExampleStore",
    "LocalWeightStore",
    "Namespace",
    "NamespaceBusy",
    "StateDict",
    "TransientError",
    "WeightStore",
    "Weights",
    "hold_namespace",
]
