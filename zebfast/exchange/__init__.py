"""How weights and examples travel between workers and the learner; what is in them is not known.

``open_weights`` and ``open_examples`` give a store for a place; ``store`` says what every store
does (``local`` and ``hub`` are the two kinds), ``names`` what files are called; ``mirror`` keeps
the learner's saved states far away.
"""

from zebfast.exchange.backends import open_examples, open_weights
from zebfast.exchange.errors import (
    ExchangeError,
    NamespaceBusy,
    Patience,
    TransientError,
    Unusable,
    passing_faults,
    until_reached,
)
from zebfast.exchange.local import LocalExampleStore, LocalWeightStore, hold_namespace
from zebfast.exchange.names import (
    NATIVE_SUFFIX,
    PT_SUFFIX,
    Namespace,
    Serial,
    example_name,
    new_session,
    parse_example_name,
    serial_of,
)
from zebfast.exchange.place import Place, StoreOptions
from zebfast.exchange.store import ExampleStore, Revision, StateDict, Weights, WeightStore

__all__ = [
    "NATIVE_SUFFIX",
    "PT_SUFFIX",
    "ExampleStore",
    "ExchangeError",
    "LocalExampleStore",
    "LocalWeightStore",
    "Namespace",
    "NamespaceBusy",
    "Patience",
    "Place",
    "Revision",
    "Serial",
    "StateDict",
    "StoreOptions",
    "TransientError",
    "Unusable",
    "WeightStore",
    "Weights",
    "example_name",
    "hold_namespace",
    "new_session",
    "open_examples",
    "open_weights",
    "parse_example_name",
    "passing_faults",
    "serial_of",
    "until_reached",
]
