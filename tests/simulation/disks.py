"""Disks that fail: what simulated processes do with files goes through here.

The files are real ones below a directory of the run; each folder directly below that is a disk, of
one machine or shared. Before each operation of a simulated process it is asked whether the process
lives, dies just now, or meets a fault. What is not synced is remembered, so that a loss of power
can take it back: names without a sync of their directory, contents without one of their file.
"""

from __future__ import annotations

import builtins
import fcntl
import io
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.simulation.kernel import Kernel, Killed, Process

TRASH = ".unsynced"  # files that a loss of power may bring back
_REAL = {name: getattr(os, name) for name in (
    "open", "close", "fsync", "replace", "rename", "unlink", "remove", "rmdir", "mkdir", "link",
    "scandir", "listdir", "stat", "lstat", "fstat",
)}  # fmt: skip
_OPEN, _FLOCK, _RMTREE, _COPY = builtins.open, fcntl.flock, shutil.rmtree, shutil.copyfile


@dataclass
class Trouble:
    """A fault of a disk for some time: operations of these kinds fail with a probability.

    ``part``: only of paths that hold this text.
    """

    disk: str
    error: int
    until: float
    kinds: frozenset[str]
    share: float = 1.0
    part: str = ""


@dataclass
class _Change:
    """A change of a directory that is not durable yet, and how it is taken back."""

    directory: str
    undo: Callable[[], None]


@dataclass
class _Journal:
    changes: list[_Change] = field(default_factory=list)
    written: dict[str, int] = field(default_factory=dict)  # paths of files: size that is synced


class Disks:
    """All disks below ``root``.

    Attributes:
        die_at: of processes that are to be killed at an operation: how many are left to it.
        troubles: that there are now.
        watch: told of each name that a file gets, after it got it.
        pause: chance that another task goes on before an operation.
        loses_power: are unsynced changes remembered at all?
    """

    def __init__(self, root: Path, kernel: Kernel, rng: random.Random) -> None:
        self.root, self.kernel, self.rng = str(root), kernel, rng
        (root / TRASH).mkdir()
        self.die_at: dict[Process, int] = {}
        self.troubles: list[Trouble] = []
        self.watch: Callable[[Process, str], None] = lambda process, path: None
        self.pause = 0.0
        self.loses_power = False
        self.n_operations = self.n_faults = 0
        self._prefix = self.root + "/"
        self._journals: dict[str, _Journal] = {}
        self._paths: dict[int, str] = {}  # of open descriptors that may be synced
        self._n_trash = 0

    # --- for faults ---

    def lose_power(self, disk: str) -> int:
        """What was not synced may be gone, be empty, or be half there; how much was changed."""
        journal, rng = self._journals.pop(disk, _Journal()), self.rng
        cut: dict[str, bool] = {}
        n = 0
        for change in reversed(journal.changes):
            # Of one directory the newest changes go; how many, chance decides.
            if change.directory not in cut:
                cut[change.directory] = True
            elif cut[change.directory] and rng.random() < 0.4:
                cut[change.directory] = False
            if cut[change.directory]:
                change.undo()
                n += 1
        for path, synced in journal.written.items():
            try:
                size = _REAL["stat"](path).st_size
            except OSError:
                continue
            if size > synced and rng.random() < 0.7:
                os.truncate(path, rng.choice((synced, rng.randint(synced, size))))
                n += 1
        return n

    def peek(self, path: str) -> bytes:
        """What a file holds, as one who looks from outside sees it: no disk's trouble is met."""
        with _OPEN(path, "rb") as handle:
            return bytes(handle.read())

    # --- before each operation ---

    def _enter(self, kind: str, path: str) -> Process | None:
        """Whose operation this is; None outside of the simulation. Raises Killed and OSError."""
        task = self.kernel.current
        if task is None:
            return None
        process = task.process
        if process.dead:
            raise Killed
        self.n_operations += 1
        left = self.die_at.get(process)
        if left is not None and kind not in ("read", "list"):
            self.die_at[process] = left - 1
            if left <= 0:
                del self.die_at[process]
                self.kernel.kill(process)
                raise Killed
        if self.pause and self.rng.random() < self.pause:
            self.kernel.block(self.rng.random())
        if self.troubles:
            self._meet(kind, path)
        return process

    def _meet(self, kind: str, path: str) -> None:
        disk = self._disk(path)
        for trouble in tuple(self.troubles):
            if trouble.until <= self.kernel.now:
                self.troubles.remove(trouble)
            elif (
                trouble.disk == disk and kind in trouble.kinds and trouble.part in path
                and self.rng.random() < trouble.share
            ):  # fmt: skip
                self.n_faults += 1
                raise OSError(trouble.error, os.strerror(trouble.error), path)

    def _disk(self, path: str) -> str:
        return path[len(self._prefix) :].split("/", 1)[0]

    def is_ours(self, path: Any) -> bool:
        if type(path) is not str:
            if not isinstance(path, os.PathLike):
                return False
            path = os.fspath(path)
        return bool(path.startswith(self._prefix))

    # --- what is not durable yet ---

    def _keep(self, path: str) -> str:
        """Another name of a file, under which a loss of power finds it again."""
        self._n_trash += 1
        kept = f"{self.root}/{TRASH}/{self._n_trash}"
        _REAL["link"](path, kept)
        return kept

    def _changed(self, path: str, undo: Callable[[], None]) -> None:
        journal = self._journals.setdefault(self._disk(path), _Journal())
        journal.changes.append(_Change(os.path.dirname(path), undo))

    def _synced_directory(self, path: str) -> None:
        journal = self._journals.get(self._disk(path + "/"))
        if journal is not None:
            journal.changes = [each for each in journal.changes if each.directory != path]

    def _written(self, path: str, synced: int) -> None:
        self._journals.setdefault(self._disk(path), _Journal()).written[path] = synced

    # --- the operations ---

    def open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not self.is_ours(file):
            return _OPEN(file, mode, *args, **kwargs)
        path = os.fspath(file)
        writes = any(letter in mode for letter in "wxa+")
        if self._enter("open" if writes else "read", path) is None:
            return _OPEN(path, mode, *args, **kwargs)
        if not writes:
            handle = _OPEN(path, mode, *args, **kwargs)
            self._paths[handle.fileno()] = path
            return handle
        is_new = self.loses_power and not os.path.exists(path)
        handle = _OPEN(path, mode, *args, **kwargs)
        self._paths[handle.fileno()] = path
        if self.loses_power:
            if is_new:
                self._changed(path, lambda: _quietly(_REAL["unlink"], path))
            self._written(path, handle.tell() if "a" in mode else 0)
        return Handle(self, handle, path)

    def os_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: Any = None) -> int:
        if dir_fd is not None or not self.is_ours(path):
            return int(_REAL["open"](path, flags, mode, dir_fd=dir_fd))
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        self._enter("open" if writes else "read", os.fspath(path))
        number = int(_REAL["open"](path, flags, mode))
        self._paths[number] = os.fspath(path)
        return number

    def fsync(self, number: Any) -> None:
        number = number if isinstance(number, int) else number.fileno()
        path = self._paths.get(number)
        if path is None:
            _REAL["fsync"](number)
            return
        if self._enter("sync", path) is None or not self.loses_power:
            return
        if os.path.isdir(path):
            self._synced_directory(path)
        else:
            journal = self._journals.get(self._disk(path))
            if journal is not None:
                journal.written.pop(path, None)

    def replace(self, source: Any, target: Any, **kwargs: Any) -> None:
        if not self.is_ours(target):
            _REAL["replace"](source, target, **kwargs)
            return
        source, target = os.fspath(source), os.fspath(target)
        process = self._enter("rename", target)
        if process is not None and self.loses_power and os.path.isdir(source):
            _REAL["replace"](source, target)
            self._changed(target, lambda: _quietly(_REAL["replace"], target, source))
        elif process is not None and self.loses_power:
            old = self._keep(target) if os.path.exists(target) else None
            moved = self._keep(source)

            def forget() -> None:
                if old:
                    _quietly(_REAL["replace"], old, target)
                else:
                    _quietly(_REAL["unlink"], target)

            _REAL["replace"](source, target)
            self._changed(target, forget)
            self._changed(source, lambda: _quietly(_REAL["link"], moved, source))
            written = self._journals[self._disk(target)].written
            if source in written:
                written[target] = written.pop(source)
            else:
                written.pop(target, None)
        else:
            _REAL["replace"](source, target)
        if process is not None:
            self.watch(process, target)

    def unlink(self, path: Any, *, dir_fd: Any = None) -> None:
        if dir_fd is not None or not self.is_ours(path):
            _REAL["unlink"](path, dir_fd=dir_fd)
            return
        path = os.fspath(path)
        process = self._enter("unlink", path)
        if process is not None and self.loses_power and not path.endswith(".lock"):
            kept = self._keep(path)
            _REAL["unlink"](path)
            self._changed(path, lambda: _quietly(_REAL["link"], kept, path))
        else:
            _REAL["unlink"](path)

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: Any = None) -> None:
        if dir_fd is None and self.is_ours(path):
            process = self._enter("open", os.fspath(path))
            _REAL["mkdir"](path, mode)
            if process is not None and self.loses_power:
                name = os.fspath(path)
                self._changed(name, lambda: _quietly(_REAL["rmdir"], name))
        else:
            _REAL["mkdir"](path, mode, dir_fd=dir_fd)

    def rmdir(self, path: Any, *, dir_fd: Any = None) -> None:
        if dir_fd is None and self.is_ours(path):
            self._enter("unlink", os.fspath(path))
        _REAL["rmdir"](path, dir_fd=dir_fd)

    def link(self, source: Any, target: Any, **kwargs: Any) -> None:
        if self.is_ours(target):
            path = os.fspath(target)
            process = self._enter("open", path)
            _REAL["link"](source, target, **kwargs)
            if process is not None and self.loses_power:
                self._changed(path, lambda: _quietly(_REAL["unlink"], path))
        else:
            _REAL["link"](source, target, **kwargs)

    def scandir(self, path: Any = ".") -> Any:
        if self.is_ours(path):
            self._enter("list", os.fspath(path))
        return _REAL["scandir"](path)

    def listdir(self, path: Any = ".") -> list[str]:
        if self.is_ours(path):
            self._enter("list", os.fspath(path))
            return sorted(_REAL["listdir"](path))
        return list(_REAL["listdir"](path))

    def flock(self, handle: Any, operation: int) -> None:
        number = handle if isinstance(handle, int) else handle.fileno()
        task = self.kernel.current
        if task is None:
            _FLOCK(number, operation)
            return
        if task.process.dead:
            raise Killed
        _FLOCK(number, operation)
        task.process.locks.append((handle, number))

    def rmtree(self, path: Any, ignore_errors: bool = False, **kwargs: Any) -> None:
        """File by file, so that a kill can come in between."""
        if not self.is_ours(path):
            _RMTREE(path, ignore_errors, **kwargs)
            return
        try:
            for entry in sorted(self.scandir(path), key=lambda each: str(each.name)):
                if entry.is_dir(follow_symlinks=False):
                    self.rmtree(entry.path, ignore_errors)
                else:
                    self.unlink(entry.path)
            self.rmdir(path)
        except OSError:
            if not ignore_errors:
                raise

    def copyfile(self, source: Any, target: Any, **kwargs: Any) -> Any:
        if not (self.is_ours(source) or self.is_ours(target)):
            return _COPY(source, target, **kwargs)
        with self.open(source, "rb") as read, self.open(target, "wb") as written:
            written.write(read.read())
        return target

    def usage(self, path: Any) -> Any:
        """As shutil.disk_usage; half full."""
        return shutil._ntuple_diskusage(1 << 40, 1 << 39, 1 << 39)  # type: ignore[attr-defined]

    def unlock(self, process: Process) -> None:
        """A process has ended: the kernel takes its locks away."""
        for handle, number in process.locks:
            if isinstance(handle, int) or not handle.closed:
                with suppress(OSError):  # it has closed it
                    _FLOCK(number, fcntl.LOCK_UN)
        process.locks.clear()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The functions of Python that these stand in for are these while the context lasts."""
        with (
            patch.multiple(
                os, open=self.os_open, fsync=self.fsync, replace=self.replace, rename=self.replace,
                unlink=self.unlink, remove=self.unlink, mkdir=self.mkdir, rmdir=self.rmdir,
                link=self.link, scandir=self.scandir, listdir=self.listdir,
            ),
            patch.object(builtins, "open", self.open),
            patch.object(io, "open", self.open),
            patch.object(fcntl, "flock", self.flock),
            patch.multiple(shutil, rmtree=self.rmtree, copyfile=self.copyfile),
        ):  # fmt: skip
            yield


class Handle:
    """A file that is written: what is written is on the disk at once, though not durable."""

    def __init__(self, disks: Disks, handle: Any, path: str) -> None:
        self._disks, self._handle, self._path = disks, handle, path

    def write(self, data: Any) -> int:
        try:
            self._disks._enter("write", self._path)
        except BaseException:
            if len(data) and self._disks.rng.random() < 0.5:  # a part of it has got there
                self._handle.write(data[: self._disks.rng.randrange(len(data))])
                self._handle.flush()
            raise
        n = self._handle.write(data)
        self._handle.flush()
        return int(n)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)


def _quietly(action: Callable[..., None], *paths: Any) -> None:
    with suppress(OSError):
        action(*paths)
