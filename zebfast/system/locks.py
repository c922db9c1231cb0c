"""One process at a time: a lock of the kernel's, which ends with the process however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zebfast.system.files import naming


@contextmanager
def hold_lock(path: Path, *, busy: Callable[[str], Exception]) -> Iterator[None]:
    """Hold the lock file at ``path`` (made with its directory if needed) while the context lasts.

    Args:
        path: a file for this purpose alone; it holds the owner's process id and is never removed
            (two processes could otherwise each lock a file of this name).
        busy: makes the exception to raise when another process has it, from that process's id.

    Raises:
        What ``busy`` returns, and OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise busy(handle.read(20).strip() or "unknown") from None
        except OSError as error:
            error.filename = str(path)
            raise
        with naming(path):
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
        yield


def lock_owner(path: Path) -> int | None:
    """Process id of who holds the lock file at ``path`` on this machine now; None if nobody does.

    The lock itself is tried, for an instant, only when the process that the file names is there:
    a look while nobody holds it must not be in the way of somebody who is just taking it.
    """
    try:
        with open(path, encoding="ascii") as handle:
            owner = int(handle.read(20))
            if _exists(owner):
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return owner
    except (OSError, ValueError):
        pass
    return None


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True
