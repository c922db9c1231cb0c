"""One learner a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zebfast.exchange.base import NamespaceBusy
from zebfast.exchange.namespace import Namespace
from zebfast.system.files import remove_leftovers
from zebfast.system.locks import hold_lock


@contextmanager
def hold_namespace(directory: Path, namespace: Namespace) -> Iterator[None]:
    """Be the only learner of ``namespace`` in ``directory`` while the context lasts.

    Temporaries that a killed predecessor left under this namespace's names are removed.

    Raises:
        NamespaceBusy: another process holds it; the sentence gives its process id.
    """
    names = {
        namespace.weights_file,
        namespace.config_file,
        namespace.state_file,
        namespace.checkpoint_file,
        namespace.metrics_file,
    }

    def busy(owner: str) -> NamespaceBusy:
        return NamespaceBusy(
            f"namespace {namespace.stem!r} in {directory} already has a learner "
            f"(process {owner}): stop it first, or choose another --weights-name"
        )

    with hold_lock(directory / namespace.lock_file, busy=busy):
        remove_leftovers(directory, names.__contains__)
        yield
