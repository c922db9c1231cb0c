"""Which requests the loopback Hub answers wrongly, and how."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

ACTIONS = ("status", "drop", "lose_reply", "cut", "delay", "stale")


@dataclass
class Fault:
    """A rule for requests whose method and path match.

    Attributes:
        method, path: regular expressions; the method whole, the path anywhere in the URL's path.
        skip: matching requests answered rightly before the first wrong answer.
        times: wrong answers given after that.
        action: ``status`` answers with ``status`` and ``headers``; ``drop`` closes the connection
            and does nothing; ``lose_reply`` does what was asked, then closes the connection;
            ``cut`` closes it in the middle of the answer's body; ``delay`` waits ``seconds``, then
            answers rightly; ``stale`` answers as of the commit before the last.
    """

    path: str
    method: str = ".*"
    action: str = "status"
    skip: int = 0
    times: int = 1
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"fault action {self.action!r}: expected one of {', '.join(ACTIONS)}")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Fault:
        known = {f.name for f in fields(cls)}
        if unknown := set(value) - known:
            raise ValueError(f"a fault has no {sorted(unknown)}; expected {sorted(known)}")
        return cls(**value)

    def matches(self, method: str, path: str) -> bool:
        return bool(re.fullmatch(self.method, method) and re.search(self.path, path))


class Faults:
    """The rules in force, used up in the order of the requests."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()
        self.given = 0

    def replace(self, rules: Iterable[Mapping[str, Any]]) -> None:
        with self._lock:
            self._rules = [Fault.from_json(rule) for rule in rules]

    def add(self, rules: Iterable[Mapping[str, Any]]) -> None:
        with self._lock:
            self._rules += [Fault.from_json(rule) for rule in rules]

    def next(self, method: str, path: str) -> Fault | None:
        """The rule that spoils this request, or None; the first that matches counts it."""
        with self._lock:
            for rule in self._rules:
                if rule.times > 0 and rule.matches(method, path):
                    if rule.skip > 0:
                        rule.skip -= 1
                        return None
                    rule.times -= 1
                    self.given += 1
                    return rule
        return None

    def left(self) -> int:
        """Wrong answers still to be given."""
        with self._lock:
            return sum(rule.times for rule in self._rules)
