"""A disk that fails: calls on files whose path matches raise OSError, as often as a rule says.

``DiskFaults`` does it in this process, the fixture ``disk_faults`` for one test. A program that is
started with ``environment(...)`` does it to itself from its first line on (forkserver). What is
patched is what Python code calls, so that C code beneath, torch's say, sees the disk as it is.

``DiskFaults.lag`` makes a directory look for a while as it was: what another machine's caches show
of a disk of a network.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import json
import os
import random
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VARIABLE = "ZEBFAST_TEST_DISK_FAULTS"
#: What passes on disks of a network, and on those that are just going under.
PASSING = (errno.ESTALE, errno.EIO, errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT, errno.ENOTCONN,
           errno.EREMOTEIO)  # fmt: skip
#: By the name that rules have for it: the module and name of each function that is patched.
#: ``open`` is of files; ``list`` of directories; ``sync`` and ``sync_directory`` are fsync.
CALLS: dict[str, tuple[tuple[Any, str], ...]] = {
    "open": ((builtins, "open"), (io, "open"), (os, "open")),
    "list": ((os, "scandir"), (os, "listdir")),
    "stat": ((os, "stat"), (os, "lstat")),
    "rename": ((os, "replace"), (os, "rename")),
    "remove": ((os, "unlink"), (os, "remove"), (os, "rmdir")),
    "mkdir": ((os, "mkdir"),),
    "link": ((os, "link"),),
    "sync": ((os, "fsync"),),
    "lock": ((fcntl, "flock"),),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_real_open, _real_isdir, _real_exists = open, os.path.isdir, os.path.exists


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which calls fail.

    Attributes:
        calls: names in CALLS, or ``sync_directory``.
        match: a regular expression that is searched in the path; of a rename, in either path.
        code: errno.
        times: so many calls fail and then none; None = no end of it.
        rate: share of the matching calls that fail, drawn from the seed.
        after: what was asked for is done, and fails all the same, as where a reply is lost.
        while_exists: only while this file exists.
    """

    calls: tuple[str, ...]
    match: str
    code: int
    times: int | None = None
    rate: float = 1.0
    after: bool = False
    while_exists: str | None = None


class DiskFaults:
    """The faults of this process, between ``install`` and ``remove``.

    Attributes:
        failed: name of the call and path of each that failed.
    """

    def __init__(
        self, rules: Sequence[Rule] = (), *, seed: int = 0, log: str | None = None
    ) -> None:
        self.failed: list[tuple[str, str]] = []
        self._rules = [[rule, rule.times] for rule in rules]
        self._random = random.Random(seed)
        self._log = log
        self._lock = threading.Lock()
        self._lags: list[_Lag] = []
        self._before: list[tuple[Any, str, Any]] = []
        self._here = threading.local()

    def fail(self, calls: str, match: str, code: int, **more: Any) -> None:
        """Add a rule; ``calls`` are names between spaces, ``more`` are fields of Rule."""
        rule = Rule(calls=tuple(calls.split()), match=match, code=code, **more)
        with self._lock:
            self._rules.append([rule, rule.times])

    def lag(self, directory: Path, *, looks: int, names: str = "") -> None:
        """The next looks at what is in a directory see it as it is now.

        A look is a listing, or a file that is opened for reading or asked for. What is not there
        yet cannot be found; what is replaced or gone by then has its old content.

        Args:
            names: a regular expression that is searched in the names of files; listings always lag.
        """
        with self._unseen():
            self._lags.append(_Lag(directory, names, looks))

    def stop(self) -> None:
        """From now on nothing fails, and everything is seen as it is."""
        with self._lock:
            self._rules.clear()
        self._end_lags()

    def _end_lags(self) -> None:
        lags, self._lags = self._lags, []
        with self._unseen():
            for lag in lags:
                shutil.rmtree(lag.shadow)

    @contextmanager
    def _unseen(self) -> Iterator[None]:
        """Within, this thread's calls are our own, and none of them fails."""
        self._here.busy = True
        try:
            yield
        finally:
            self._here.busy = False

    def install(self) -> None:
        for call, functions in CALLS.items():
            for module, name in functions:
                real = getattr(module, name)
                self._before.append((module, name, real))
                setattr(module, name, self._patched(call, real))

    def remove(self) -> None:
        for module, name, real in self._before:
            setattr(module, name, real)
        self._before = []
        self._end_lags()

    def _patched(self, call: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def function(*args: Any, **options: Any) -> Any:
            if getattr(self._here, "busy", False):
                return real(*args, **options)
            with self._unseen():
                rule, path = self._rule_of(call, args)
                args = self._as_it_was(call, args, options)
            if rule is None:
                return real(*args, **options)
            if rule.after:
                real(*args, **options)
            if "sync" in call:
                raise OSError(rule.code, os.strerror(rule.code))  # as fsync: it knows no path
            raise OSError(rule.code, os.strerror(rule.code), path)

        return function

    def _as_it_was(
        self, call: str, args: Sequence[Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        """The arguments of a call, with the path of what a lagging directory shows in its place."""
        is_look = call in ("list", "stat") or (call == "open" and _is_reading(args, options))
        if not (is_look and self._lags and args) or isinstance(args[0], int):
            return tuple(args)
        with self._lock:
            shown = next((path for lag in self._lags if (path := lag.shown(call, args[0]))), None)
        return tuple(args) if shown is None else (shown, *args[1:])

    def _rule_of(self, call: str, args: Sequence[Any]) -> tuple[Rule | None, str]:
        paths = [_path(arg) for arg in args[: 2 if call in ("rename", "link") else 1]]
        if call == "open" and isinstance(args[0], int):
            return None, ""  # what is open already
        if call == "sync" and _real_isdir(paths[0]):
            call = "sync_directory"
        with self._lock:
            for entry in self._rules:
                rule, left = entry
                if call not in rule.calls or left == 0:
                    continue
                if not any(re.search(rule.match, path) for path in paths):
                    continue
                if rule.while_exists is not None and not _real_exists(rule.while_exists):
                    continue
                if rule.rate < 1.0 and self._random.random() >= rule.rate:
                    continue
                entry[1] = None if left is None else left - 1
                self.failed.append((call, paths[0]))
                self._note(call, paths[0], rule.code)
                return rule, paths[0]
        return None, ""

    def _note(self, call: str, path: str, code: int) -> None:
        if self._log is not None:
            with _real_open(self._log, "a", encoding="utf-8") as handle:
                handle.write(f"{errno.errorcode[code]} {call} {path}\n")


class _Lag:
    """A directory as it was once, for so many looks more."""

    def __init__(self, directory: Path, names: str, looks: int) -> None:
        self._directory, self._names, self._left = directory, re.compile(names), looks
        self.shadow = tempfile.mkdtemp()
        shutil.copytree(directory, self.shadow, copy_function=os.link, dirs_exist_ok=True)

    def shown(self, call: str, path: Any) -> str | None:
        """Where the old content of ``path`` is; None where the look sees what there is now."""
        inner = os.path.relpath(os.fspath(path), self._directory)
        is_listing = inner == "." and call == "list"
        is_inside = not inner.startswith(".") and os.sep not in inner
        if not (is_listing or (is_inside and self._names.search(inner))) or not self._left:
            return None
        self._left -= 1
        return self.shadow if is_listing else os.path.join(self.shadow, inner)


def _is_reading(args: Sequence[Any], options: dict[str, Any]) -> bool:
    mode = args[1] if len(args) > 1 else options.get("mode", "r")
    return not mode & _WRITING if isinstance(mode, int) else not set(mode) & set("wax+")


def _path(given: Any) -> str:
    given = given.fileno() if hasattr(given, "fileno") else given
    if isinstance(given, int):
        try:
            return os.readlink(f"/proc/self/fd/{given}")
        except OSError:
            return ""
    return os.fsdecode(os.fspath(given))


def environment(rules: Sequence[Rule], *, seed: int = 0, log: Path | None = None) -> dict[str, str]:
    """What a program's environment has in addition so that its disk fails.

    Args:
        seed: of the shares; the program's process id is added, so that a restart is another draw.
        log: gets a line for each call that fails: errno's name, the call and the path.
    """
    found = {"rules": [asdict(rule) for rule in rules], "seed": seed, "log": log and str(log)}
    return {VARIABLE: json.dumps(found)}


def install_from_environment() -> None:
    """Do what ``environment`` has asked for; nothing where it was not asked."""
    if VARIABLE not in os.environ:
        return
    found = json.loads(os.environ[VARIABLE])
    rules = [Rule(**{**rule, "calls": tuple(rule["calls"])}) for rule in found["rules"]]
    DiskFaults(rules, seed=found["seed"] + os.getpid(), log=found["log"]).install()
