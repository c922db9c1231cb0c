"""Files that appear whole or not at all: written beside their place, flushed, then renamed.

And what a disk may say on the way: which of its faults pass, and a file's name in every one.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_TEMPORARY_SUFFIX = ".tmp"
# What disks say, those of a network above all, of a moment and not of a file.
_PASSING = frozenset({
    errno.ESTALE, errno.EIO, errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT, errno.ENOTCONN,
    errno.EREMOTEIO, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH,
    errno.ECONNABORTED, errno.ECONNRESET,
})  # fmt: skip
# Where directories are not synced, on SMB and some FUSE mounts, or not even opened for it.
_NOT_SYNCED = frozenset({
    errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EPERM,
})  # fmt: skip


def is_passing(error: BaseException) -> bool:
    """Is this a fault of a disk that the same call may not meet again a little later?"""
    return isinstance(error, OSError) and error.errno in _PASSING


@contextmanager
def lasting_faults_suppressed() -> Iterator[None]:
    """What cannot be read is not there; but what only cannot be read now must not count as gone."""
    try:
        yield
    except OSError as error:
        if is_passing(error):
            raise


def fault_text(error: OSError) -> str:
    """What went wrong, and with which file, for people."""
    reason, name = error.strerror or str(error), error.filename
    if isinstance(name, str | bytes | os.PathLike):
        return f"{reason}: {os.fsdecode(name)!r}"
    return reason


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError from within that names no file, as of a read or a flush, this one's name."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            _name(error, path)
        raise


def _name(error: OSError, path: Path) -> None:
    if error.errno is not None:  # else the name would take the message's place
        error.filename = str(path)


@dataclass(frozen=True)
class FileMark:
    """What tells that a file is whole: its bytes, and their SHA-256 in hex."""

    size: int
    sha256: str


def file_mark(path: Path) -> FileMark:
    """Size and SHA-256 of a file. Raises OSError."""
    import hashlib  # loads OpenSSL

    with naming(path), open(path, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256")
        return FileMark(handle.tell(), digest.hexdigest())


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary neighbour of ``path`` for writing; it becomes ``path`` on a clean exit.

    The bytes and the directory entry are on the disk when this returns. On any exception (a full
    disk included) the temporary is removed and an older ``path`` is left as it was.

    Raises:
        OSError: as raised by the file system.
    """
    import secrets  # loads OpenSSL

    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY_SUFFIX}")
    try:
        with open(temporary, "xb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
            written = os.fstat(handle.fileno())
        try:
            os.replace(temporary, path)
        except FileNotFoundError:
            # A rename whose answer a disk of a network has lost is asked for again, and fails then.
            if not os.path.samestat(written, os.stat(path)):
                raise
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            _name(error, path)  # people know no temporaries
        raise
    sync_directory(path.parent)


def own_folder(path: Path) -> None:
    """Make a folder where others may write, too, and see that it is no way to somewhere else.

    Raises:
        OSError: it cannot be made, or a symbolic link is in its place.
    """
    path.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        text = "a symbolic link where a folder belongs; remove it"
        raise NotADirectoryError(errno.ENOTDIR, text, str(path))


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Write ``data`` as ``path``, whole or not at all. Raises OSError."""
    with atomic_file(path) as handle:
        handle.write(data)


def own_target(path: Path) -> Path:
    """Where a link at ``path`` leads that is this user's own; ``path`` itself where there is none.

    All other files that are replaced are replaced where they are, so that no link that somebody
    puts into a shared directory makes this program write elsewhere.
    """
    try:
        is_own = path.is_symlink() and path.lstat().st_uid == os.geteuid()
        return path.resolve() if is_own else path
    except (OSError, RuntimeError):  # a link to itself
        return path


def open_plain(path: Path, *, follow: bool = True) -> BinaryIO:
    """Open a file for reading that is a plain one: no pipe, which would be waited for.

    Args:
        follow: a symbolic link is as good as the file that it leads to.

    Raises:
        OSError: it cannot be opened, or is something else.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a plain file", str(path))
    return open(descriptor, "rb")


def read_plain(path: Path, most: int, *, follow: bool = True) -> bytes:
    """The bytes of a plain file; of one that has more than ``most``, no more than one too many.

    Raises:
        OSError: as ``open_plain``.
    """
    with naming(path), open_plain(path, follow=follow) as handle:
        return handle.read(most + 1)


def append_line(path: Path, line: bytes, *, sync: bool = False) -> None:
    """Append ``line``, which ends with a newline, in one piece. Raises OSError, also for a link.

    What a killed writer left of a line is ended first, so that it costs no other. ``sync`` sees
    the line onto the disk. After an error the line is not there, so that it can be tried again.
    """
    with naming(path), open(path, "ab+", buffering=0, opener=_not_through_links) as handle:
        end = handle.tell()
        if end:
            handle.seek(-1, os.SEEK_END)
            if handle.read(1) != b"\n":
                line = b"\n" + line
        try:
            left = memoryview(line)
            while left:
                left = left[handle.write(left) :]
            if sync:
                os.fsync(handle.fileno())
        except OSError:
            with suppress(OSError):
                handle.truncate(end)
            raise


def _not_through_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, in order; a line cut short or damaged is left out.

    Nothing where there is no file. Raises OSError.
    """
    if not path.exists():
        return
    with naming(path), open_plain(path) as handle:
        for line in handle:
            if (found := json_object(line)) is not None:
                yield found


def json_object(line: bytes) -> dict[str, Any] | None:
    """The object that a line of JSON is; None for one cut short, damaged or of another kind."""
    try:
        found = json.loads(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def sync_directory(directory: Path) -> None:
    """Make renames and removals in ``directory`` durable, where the disk can. Raises OSError."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            with naming(directory):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise


def remove_leftovers(directory: Path, is_own: Callable[[str], bool]) -> None:
    """Delete temporaries that a killed writer left in ``directory``.

    Args:
        is_own: told the name that a temporary was to get, says whether it may go. The caller must
            know (it holds a lock) that nobody alive writes the names it claims.
    """
    for entry in directory.iterdir() if directory.is_dir() else ():
        parts = entry.name.rsplit(".", 2)  # ".name", "hex", "tmp"
        is_temporary = entry.name.startswith(".") and entry.name.endswith(_TEMPORARY_SUFFIX)
        if is_temporary and len(parts) == 3 and is_own(parts[0][1:]):
            with suppress(OSError):
                entry.unlink()
