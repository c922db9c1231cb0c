"""What a watcher remembers between two looks: one JSON file beside the experiment's."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from zebfast.experiment.runlog import Run
from zebfast.experiment.status.snapshot import Facts
from zebfast.experiment.watch.progress import Seen, marks_of, remember
from zebfast.experiment.watch.restart import HOUR
from zebfast.experiment.watch.verdict import Verdict
from zebfast.system.clock import set_by
from zebfast.system.files import write_atomic
from zebfast.system.parse import parse_json
from zebfast.system.settings import SettingError, decode

WATCH_FILE = "watch.json"
WATCH_LOCK = ".watch.lock"
_FORMAT = 1
_NEWER = {"steady", "boot"}  # than the format
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class WatchState:
    """Times are unix seconds by the watcher's clock.

    Attributes:
        looked: when it last looked; None before the first time.
        key, since: the last verdict, and since when it is that.
        told, told_unix: the verdict that people were last notified of.
        restarts: when it set about restarting the learner: the last time, and those of the last
            hour.
        steady, boot: the last look by the count of seconds that no clock's setting changes, and
            the start of the machine since which that counts.
    """

    looked: float | None = None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    key: str | None = None
    since: float = 0.0
    told: str | None = None
    told_unix: float = 0.0
    restarts: tuple[float, ...] = ()
    steady: float | None = None
    boot: str = ""

    def at(self, now: float, *, steady: float, boot: str) -> WatchState:
        """As it is to be used ``now``: a clock that was set since makes nothing older."""
        by = set_by((self.looked, self.steady, self.boot), now, steady, boot)
        return replace(
            self,
            looked=None if self.looked is None else self.looked + by,
            seen={name: Seen(mark.value, mark.since + by) for name, mark in self.seen.items()},
            since=self.since + by,
            told_unix=self.told_unix + by,
            restarts=tuple(unix + by for unix in self.restarts),
            steady=steady,
            boot=boot,
        )

    def after(self, verdict: Verdict, seen: Mapping[str, Seen], now: float) -> WatchState:
        """What to remember once this was found."""
        since = min(self.since, now) if verdict.key == self.key else now
        return replace(self, looked=now, seen=dict(seen), key=verdict.key, since=since)

    def notified(self, verdict: Verdict, now: float) -> WatchState:
        return replace(self, told=verdict.key, told_unix=now)

    def restarted(self, now: float) -> WatchState:
        recent = [unix for unix in self.restarts if 0 <= now - unix < HOUR]
        return replace(self, restarts=(*recent, now))

    def is_restarting(self, runs: Sequence[Run]) -> bool:
        """Has a restart begun after which no run has started yet?"""
        last = self.restarts[-1] if self.restarts else None
        return last is not None and bool(runs) and runs[-1].started <= last


Due = Literal["news", "reminder"]


def due(
    state: WatchState, verdict: Verdict, now: float, *, remind: float, patience: float
) -> Due | None:
    """Whether people should hear of this verdict now: of each once, and of a bad one again.

    Args:
        state: with this look in it already.
        remind: seconds between reminders.
        patience: a place that cannot be reached is no news for so long.
    """
    if verdict.key == state.told:
        is_fresh = 0 <= now - state.told_unix < remind
        return "reminder" if verdict.is_bad and not is_fresh else None
    if state.told is None and not verdict.is_bad:
        return None  # nobody needs to hear that a first look found nothing
    if verdict.state == "unknown" and now - state.since < patience:
        return None
    return "news"


def load_state(path: Path) -> WatchState:
    """What the file says; a fresh state, with a line, where it is damaged. Raises OSError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return WatchState()
    try:
        found = parse_json(data)
        if not isinstance(found, dict) or found.pop("format", None) != _FORMAT:
            raise SettingError("another format")
        if missing := {each.name for each in fields(WatchState)} - found.keys() - _NEWER:
            raise SettingError(f"it lacks {', '.join(sorted(missing))}")
        return decode(WatchState, found)
    except ValueError:
        _LOG.info(f"{path} is damaged: the watcher begins anew, and replaces it")
        return WatchState()


def as_watched(facts: Facts) -> Facts:
    """A look, with what a watcher of this machine remembers of earlier ones. Raises OSError."""
    state = load_state(facts.experiment.directory / WATCH_FILE)
    if state.looked is None:
        return facts
    marks = marks_of(facts, None)
    return replace(facts, seen=remember(state.seen, marks, looked=state.looked, now=facts.now))


def save_state(path: Path, state: WatchState) -> None:
    """Raises OSError."""
    write_atomic(path, json.dumps({"format": _FORMAT, **asdict(state)}, indent=2).encode() + b"\n")
