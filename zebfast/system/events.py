"""What a program does, as facts: typed events, the place they are told, and their JSON lines.

A fact is told once, where it happens, with ``emit``. Whoever wants to know subscribes: the console,
the metrics, the run log, a supervisor at the other end of a pipe. Nobody reads a fact back from
words; words are made from facts by ``console_text`` alone. As with the logging module, the place
where events are told is the process's, so that what is noticed deep down needs no path to the top.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from zebfast.system.files import append_line, json_object, read_json_lines
from zebfast.system.follow import sampled_lines
from zebfast.system.redaction import redacted

VERSION = 1
_MARK = "zebfast"  # the first key of a line, by which it is known among others
LINE_START = '{"' + _MARK + '":'
_MOST = 1 << 63  # of a number in an event
_MAX_FILE_BYTES = 1 << 20  # some hundreds of cycles; whoever looks reads both files
_END_BYTES = 64 << 10  # has an event, none of which is nearly so long

Row = Mapping[str, float | int | None]
"""Metrics by name, as in the metrics file."""

#: What a run met and went on from.
IncidentKind = Literal[
    "refused file",
    "full disk",
    "nearly full",
    "exchange",
    "taken over",
    "same id",
    "pause",
    "fresh optimizer",
    "diverged",
    "memorising",
    "missing targets",
    "offline metrics",
    "restart",
]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that has happened; ``unix`` is when, in seconds by this machine's clock."""

    kind: ClassVar[str]
    unix: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """A program has begun its work."""

    kind = "started"
    program: str
    version: str
    host: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class Ended(Event):
    """A program has ended, or a child that it looks after; ``code`` as a shell sees it."""

    kind = "ended"
    program: str
    code: int
    reason: str = ""
    restarts: int = 0


@dataclass(frozen=True, kw_only=True)
class BatchDone(Event):
    """A worker has handed over a batch. ``total_games`` are those of this start of it.

    ``remark``: what its line says behind the words that every batch has.
    """

    kind = "batch done"
    worker_id: str
    batch: int
    games: int
    examples: int
    games_per_s: float
    step: int
    total_games: int
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Ingested(Event):
    """A learner has taken files in: self-play examples, and eval-aux ones by what became of them.

    ``n_selfplay`` and ``n_eval_aux`` are held now; the latter None while that stream is disabled.
    """

    kind = "ingested"
    files: int
    examples: int
    n_selfplay: int
    n_eval_aux: int | None = None
    eval_aux_seen: int = 0
    eval_aux_kept: int = 0
    eval_aux_stale: int = 0
    eval_aux_disabled: int = 0


@dataclass(frozen=True, kw_only=True)
class CycleDone(Event):
    """A training cycle has ended; ``metrics`` is its whole row.

    ``eval_aux``: that stream is read, so that its share of the batches is worth telling.
    """

    kind = "cycle done"
    cycle: int
    metrics: Row
    eval_aux: bool = False


@dataclass(frozen=True, kw_only=True)
class Evaluated(Event):
    """The network has played matches.

    Attributes:
        results: by opponent: win_rate, low, high (its 95 % interval), games.
        metrics: the row.
        number: of the look at a recipe's network; None for an evaluation between.
        outcome: what the look led to; ``decided`` is the share of the decided games that it won
            against the best network so far, of cycle ``best_cycle``; None where there was none.
    """

    kind = "evaluated"
    cycle: int
    results: Mapping[str, Mapping[str, float | int]]
    metrics: Row
    number: int | None = None
    outcome: Literal["", "first", "best", "kept", "collapsed"] = ""
    decided: float | None = None
    best_cycle: int | None = None


@dataclass(frozen=True, kw_only=True)
class Published(Event):
    """A learner's weights have reached the store."""

    kind = "published"
    step: int
    games: int


@dataclass(frozen=True, kw_only=True)
class StageChanged(Event):
    """A stage of a recipe is what is done from now on. ``number`` counts from 1.

    ``dropped``: examples of earlier stages that were forgotten; None where none are.
    """

    kind = "stage changed"
    stage: str
    number: int
    n_stages: int
    mode: str
    until_games: int
    lr: float
    lr_end: float
    reuse: float
    dropped: int | None = None


@dataclass(frozen=True, kw_only=True)
class Waiting(Event):
    """A program waits, or with an empty ``reason`` no longer does; ``text`` is for people."""

    kind = "waiting"
    reason: Literal["", "examples", "fresh examples", "weights", "producer"]
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Retrying(Event):
    """A call has failed for a passing reason and is made again in ``seconds``.

    ``attempts``: how many there will be at most, 0 without an end.
    """

    kind = "retrying"
    call: Literal["hub", "start", "disk"]
    error: str
    seconds: float
    attempt: int
    attempts: int = 0


@dataclass(frozen=True, kw_only=True)
class Incident(Event):
    """Something went wrong, and the program goes on; ``text`` is the line for people."""

    kind = "incident"
    what: IncidentKind
    text: str


@dataclass(frozen=True, kw_only=True)
class FleetNews(Event):
    """Something about a fleet of rented machines: a line of its log.

    ``fleet`` is its label, empty for what concerns them all; ``label`` that of the machine that was
    asked for, rented or destroyed.
    """

    kind = "fleet news"
    fleet: str
    what: Literal["asked", "rented", "destroyed", "note", "trouble"]
    text: str
    label: str = ""


_KINDS: Mapping[str, type[Event]] = {each.kind: each for each in Event.__subclasses__()}

# --- telling ---

Subscriber = Callable[[Event], object]
_subscribers: tuple[Subscriber, ...] = ()
_changing = threading.Lock()


def emit(event: Event) -> None:
    """Tell every subscriber, in the thread that calls; what one raises is the caller's.

    Texts go out without what looks like a secret: they quote errors of libraries.
    """
    texts = {name: text for name, text in vars(event).items() if isinstance(text, str)}
    clean = {name: found for name, text in texts.items() if (found := redacted(text)) != text}
    event = replace(event, **clean) if clean else event  # type: ignore[arg-type]
    for take in _subscribers:
        take(event)


@contextmanager
def subscribed(*subscribers: Subscriber) -> Iterator[None]:
    """Tell these of every event of this process while the context lasts, from whatever thread."""
    global _subscribers
    with _changing:
        _subscribers = (*_subscribers, *subscribers)
    try:
        yield
    finally:
        with _changing:
            left = list(_subscribers)
            for each in subscribers:
                left.remove(each)
            _subscribers = tuple(left)


# --- JSON lines ---


def to_line(event: Event) -> bytes:
    """One line of JSON with its end; numbers that are not finite become null."""
    facts = {_MARK: VERSION, "event": event.kind, **asdict(event)}
    try:
        text = json.dumps(facts, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(facts))
    return text.encode() + b"\n"


def from_line(line: bytes | str) -> Event | None:
    """The event in a line; None for any other line, and for a kind that is not known here.

    Fields that are not known are left out, so that a reader understands newer writers.
    """
    text = line.decode(errors="replace") if isinstance(line, bytes) else line
    if not text.startswith(LINE_START):
        return None
    try:
        return event_of(json.loads(text))
    except (ValueError, RecursionError):
        return None


def event_of(found: Any) -> Event | None:
    """The event that a parsed line is of; None as in ``from_line``."""
    kind = _KINDS.get(str(found.get("event"))) if isinstance(found, dict) else None
    if kind is None:
        return None
    known = {each.name: str(each.type) for each in fields(kind) if each.name in found}
    if any(not _fits(found[name], wanted) for name, wanted in known.items()):
        return None
    try:
        return kind(**{name: found[name] for name in known})
    except TypeError:
        return None


def _fits(value: Any, wanted: str) -> bool:
    """Is a plain value of the type that a field is annotated with?"""
    if wanted.endswith(" | None"):
        return value is None or _fits(value, wanted.removesuffix(" | None"))
    if wanted == "bool":
        return type(value) is bool
    if wanted in ("int", "float"):
        kinds = (int,) if wanted == "int" else (int, float)
        return type(value) in kinds and abs(value) < _MOST  # which not a number is not
    return isinstance(value, dict if wanted == "Row" or wanted.startswith("Mapping") else str)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


class EventFile:
    """Appends events to a file of JSON lines that stays small; ``take`` is a subscriber.

    A file that has grown to ``limit`` bytes becomes the older one beside it, in place of the one
    that was there. A fault of the disk must not end the program that is only recorded: such an
    event is lost.
    """

    def __init__(self, path: Path, *, limit: int = _MAX_FILE_BYTES) -> None:
        self.path, self._limit = path, limit
        self._lock = threading.Lock()

    def take(self, event: Event) -> None:
        line = to_line(event)
        with self._lock, suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size + len(line) > self._limit:
                os.replace(self.path, older_file(self.path))
            append_line(self.path, line)


def older_file(path: Path) -> Path:
    """Where the events are that had no more room in ``path``."""
    return path.with_name(f"{path.stem}.1{path.suffix}")


def read_events(path: Path) -> list[Event]:
    """The events of an EventFile, oldest first; what is none is left out."""
    lines = (found for each in (older_file(path), path) for found in read_json_lines(each))
    return [event for found in lines if (event := event_of(found)) is not None]


def last_event(path: Path) -> Event | None:
    """The newest event of an EventFile; only the ends of its files are read. Raises OSError."""
    for each in (path, older_file(path)):
        with suppress(FileNotFoundError):
            for line in reversed(sampled_lines(each, pieces=1, size=_END_BYTES)):
                if (event := event_of(json_object(line))) is not None:
                    return event
    return None


class EventPipe:
    """The events of a child process, told to ``take`` in a thread of this one.

    Give the child ``fd`` (``pass_fds``, and the flag that names it), and call ``start`` once it
    runs, or has failed to.
    """

    def __init__(self, take: Subscriber) -> None:
        self._source, self.fd = os.pipe()
        self._take = take
        self._thread = threading.Thread(target=self._read, name="events", daemon=True)

    def start(self) -> None:
        os.close(self.fd)  # else the pipe would not end with the child
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until all that the child told has been taken; somebody may hold the other end."""
        self._thread.join(seconds)

    def _read(self) -> None:
        with open(self._source, "rb") as source:
            for line in source:
                event = from_line(line)
                if event is not None:
                    self._take(event)


def write_to(fd: int) -> Subscriber:
    """A subscriber that writes to an EventPipe's end; nobody there to read them is no fault."""

    def take(event: Event) -> None:
        with suppress(OSError):
            os.write(fd, to_line(event))

    return take


# --- the words that people grep for ---

_LOSSES = ("policy_loss", "value_loss", "belief_loss", "points_loss", "play_loss")


def console_text(event: Event) -> str | None:
    """An event as lines for a person; None for one that goes without saying."""
    match event:
        case BatchDone():
            return (
                f"[{event.worker_id}] batch {event.batch}: {event.examples} examples, "
                f"{event.games_per_s:.1f} games/s, step={event.step}, "
                f"total_games={event.total_games}{event.remark}"
            )
        case Ingested():
            return _ingested_text(event)
        case CycleDone():
            return _cycle_text(event)
        case Evaluated():
            return _evaluated_text(event)
        case StageChanged():
            n = event.dropped
            return (
                f"Stage {event.number} of {event.n_stages}, {event.stage}: {event.mode} games up "
                f"to {event.until_games:,}, lr {event.lr:g} to {event.lr_end:g}, reuse "
                f"{event.reuse:g}{'' if n is None else f', {n:,} older examples dropped'}"
            )
        case Retrying(call="start"):
            return f"  cannot start yet, trying again in {event.seconds:.0f} s: {event.error}"
        case Retrying(call="disk"):
            return f"  {event.error}: trying again until it passes" if event.attempt == 1 else None
        case Retrying():
            return (
                f"  HF transient error (attempt {event.attempt}/{event.attempts}): {event.error}\n"
                f"  Retrying in {event.seconds:g}s..."
            )
        case Waiting():
            return event.text or None
        case Incident() | FleetNews():
            return event.text
    return None


def losses_text(metrics: Row) -> str:
    """The losses of a cycle's row: ``policy_loss=1.9432, value_loss=0.2451``."""
    told = ((name, metrics.get(f"train/{name}")) for name in _LOSSES)
    return ", ".join(f"{name}={loss:.4f}" for name, loss in told if loss is not None)


def _ingested_text(event: Ingested) -> str:
    eval_aux, held = "", f"buffer: {event.n_selfplay:,}"
    if event.eval_aux_seen:
        eval_aux = f" (eval_aux: {event.eval_aux_kept:,} of {event.eval_aux_seen:,} kept"
        skipped = (event.eval_aux_stale, "stale"), (event.eval_aux_disabled, "disabled")
        eval_aux += "".join(f", {n:,} {why}" for n, why in skipped if n) + ")"
    if event.n_eval_aux is not None:
        held = f"selfplay: {event.n_selfplay:,}, eval_aux: {event.n_eval_aux:,}"
    return f"Ingested {event.examples:,} examples from {event.files} files{eval_aux} [{held}]"


def _cycle_text(event: CycleDone) -> str:
    row: Mapping[str, Any] = event.metrics
    line = f"Cycle {event.cycle:4d}: {losses_text(row)} (train={row['train/seconds']:.2f}s)"
    held = f"buffer: {row['stats/replay_buffer_selfplay']:,}"
    if event.eval_aux:
        share = row["stats/eval_aux_mix_ratio"]
        line += f", mix(self/eval)={1 - share:.2f}/{share:.2f}"
        line += f", eval_aux_policy_w={row['stats/eval_aux_policy_weight']:g}"
        held = f"selfplay: {row['stats/replay_buffer_selfplay']:,}, "
        held += f"eval_aux: {row['stats/replay_buffer_eval_aux']:,}"
    if row.get("stats/replay_reuse") is not None:
        line += f", reuse={row['stats/replay_reuse']:.1f}"
    return f"{line} [{held}, games: {row['stats/total_games']:,}]"


def _evaluated_text(event: Evaluated) -> str:
    parts = [
        f"vs {name} {r['win_rate']:.1%} won (95 % interval {r['low']:.1%} to {r['high']:.1%}, "
        f"{r['games']:,} games)"
        for name, r in event.results.items()
    ]
    line = f"Eval  {event.cycle:4d}: {', '.join(parts)}".rstrip()
    if not event.outcome:
        return line
    if event.outcome == "first":
        return f"{line}; the first to be the best"
    found = {
        "best": "not worse: the new best",
        "kept": "the best stays",
        "collapsed": f"collapsed: the weights go back to those of step {event.best_cycle}",
    }[event.outcome]
    share = f"{event.decided:.1%} of decided"
    return f"{line}; vs best (step {event.best_cycle}) {share}: {found}"
