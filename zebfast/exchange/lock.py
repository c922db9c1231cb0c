"""One learner a namespace: a lock of the kernel's, which ends with the process however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zebfast.exchange.base import NamespaceBusy
from zebfast.exchange.namespace import Namespace
from zebfast.system.files import remove_leftovers


@contextmanager
def hold_namespace(directory: Path, namespace: Namespace) -> Iterator[None]:
    """Be the only learner of ``namespace`` in ``directory`` while the context lasts.

    The lock is the kernel's: it ends with the process, however that ends. Temporaries that a
    killed predecessor left under this namespace's names are removed.

    Raises:
        NamespaceBusy: another process holds it; the sentence gives its process id.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / namespace.lock_file, "a+", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read(20).strip() or "unknown"
            raise NamespaceBusy(
                f"namespace {namespace.stem!r} in {directory} already has a learner "
                f"(process {owner}): stop it first, or choose another --weights-name"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        remove_leftovers(
            directory,
            [
                namespace.weights_file,
                namespace.config_file,
                namespace.state_file,
                namespace.checkpoint_file,
                namespace.metrics_file,
            ],
        )
        yield
