"""One process at a time: a lock of the kernel's, which ends with the process however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zebfast.system.files import naming

#: What disks say that have no locks: some of a network, and those whose lock service is down.
_LOCKLESS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


@contextmanager
def hold_lock(
    path: Path,
    *,
    busy: Callable[[str], Exception],
    lockless: Callable[[str], object] | None = None,
) -> Iterator[bool]:
    """Hold the lock file at ``path`` (made with its directory if needed) while the context lasts.

    Gives whether it is really held: on a disk without locks it is not, where that may be.

    Args:
        path: a file for this purpose alone; it holds the owner's process id and is never removed
            (two processes could otherwise each lock a file of this name).
        busy: makes the exception to raise when another process has it, from that process's id.
        lockless: told in a sentence that the disk has no locks, where the caller can do without;
            else that is an OSError.

    Raises:
        What ``busy`` returns, and OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="ascii", opener=_open_own) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise busy(handle.read(20).strip() or "unknown") from None
        except OSError as error:
            error.filename = str(path)
            if lockless is None or error.errno not in _LOCKLESS:
                raise
            lockless(f"the disk of {path.parent} keeps no locks ({error.strerror})")
            yield False
            return
        with naming(path):
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
        yield True


def _open_own(path: str, flags: int) -> int:
    """Open a lock file and nothing that stands for it: what is behind a link is somebody else's."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            error.strerror = "a symbolic link where a lock file belongs; remove it"
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no plain file where a lock file belongs; remove it", path)
    return descriptor


def lock_owner(path: Path) -> int | None:
    """Process id of who holds the lock file at ``path`` on this machine now; None if nobody does.

    The lock itself is tried, for an instant, only when the process that the file names is there:
    a look while nobody holds it must not be in the way of somebody who is just taking it.
    """
    try:
        with open(path, encoding="ascii", opener=_open_own) as handle:
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
