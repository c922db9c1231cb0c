"""A disk that fails: calls on files whose path matches raise OSError, as often as a rule says.

``DiskFaults`` does it in this process, the fixture ``disk_faults`` for one test. A program that is
started with ``environment(...)`` does it to itself from its first line on (forkserver). What is
patched is what Python code calls, so that C code beneath, torch's say, sees the disk as it is.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import random
import re
import threading
from collections.abc import Callable, Sequence
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
}
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
        self._before: list[tuple[Any, str, Any]] = []
        self._here = threading.local()

    def fail(self, calls: str, match: str, code: int, **more: Any) -> None:
        """Add a rule; ``calls`` are names between spaces, ``more`` are fields of Rule."""
        rule = Rule(calls=tuple(calls.split()), match=match, code=code, **more)
        with self._lock:
            self._rules.append([rule, rule.times])

    def stop(self) -> None:
        """From now on nothing fails."""
        with self._lock:
            self._rules.clear()

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

    def _patched(self, call: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def function(*args: Any, **options: Any) -> Any:
            if getattr(self._here, "busy", False):
                return real(*args, **options)
            self._here.busy = True
            try:
                rule, path = self._rule_of(call, args)
            finally:
                self._here.busy = False
            if rule is None:
                return real(*args, **options)
            if rule.after:
                real(*args, **options)
            if "sync" in call:
                raise OSError(rule.code, os.strerror(rule.code))  # as fsync: it knows no path
            raise OSError(rule.code, os.strerror(rule.code), path)

        return function

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


def _path(given: Any) -> str:
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
