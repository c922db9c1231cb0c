"""What a worker says of itself, so that whoever rents its machine knows that it makes progress."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from zebfast.exchange.errors import ExchangeError
from zebfast.exchange.names import is_plain_name
from zebfast.system.events import Incident, emit
from zebfast.system.parse import parse_json
from zebfast.system.redaction import redacted
from zebfast.system.retry import Once
from zebfast.system.settings import SettingError, counted, decode, moment, shown

Phase = Literal["starting", "waiting", "playing", "stopped", "failed"]
HEARTBEATS = "heartbeats"  # folder beside the example files of a namespace
MAX_BYTES = 4096
_LOG = logging.getLogger(__name__)
_SUFFIX = ".json"
_LOOK_SECONDS = 3600.0
_SILENT_SECONDS = 3 * 86400.0
_MAX_ERROR = 300
_MAX_NAME = 100
_TEXTS = {"error": _MAX_ERROR, "source": _MAX_NAME, "host": _MAX_NAME, "version": _MAX_NAME,
          "process": _MAX_NAME, "gpu": _MAX_NAME}  # fmt: skip


class BadHeartbeat(ExchangeError):
    """A file that is no heartbeat: what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """One sign of life. Times are unix seconds by the worker's clock, memory is in MB.

    Attributes:
        process: made at the worker's start: two that share an id differ in it.
        phase: ``waiting`` for weights; ``failed`` = ended with ``error`` and not yet restarted.
        batch, total_games, games_per_s: of this start of the worker.
        restarts: by its supervisor; earlier_batches were handed over before the last of them.
        last_batch: when it last handed a batch over.
        gpu, gpu_memory: name, and most memory that torch has held; None without a GPU.
    """

    worker_id: str
    unix: float = moment()
    phase: Phase
    source: str = ""
    batch: int = counted(0)
    total_games: int = counted(0)
    games_per_s: float = counted(0.0)
    model_step: int = counted(0)
    restarts: int = counted(0)
    earlier_batches: int = counted(0)
    last_batch: float | None = counted(None)
    gpu: str | None = None
    gpu_memory: float | None = counted(None)
    host: str = ""
    version: str = ""
    process: str = ""
    error: str | None = None

    @property
    def progress(self) -> str:
        """Changes when work is handed over, and by nothing else: a restart alone is none."""
        return str(self.earlier_batches + self.batch)

    def to_bytes(self) -> bytes:
        """As a file that ``parse_heartbeat`` reads; BadHeartbeat where it would not."""
        facts = asdict(self)
        facts["error"] = self.error and redacted(self.error)
        for key, longest in _TEXTS.items():
            facts[key] = facts[key] and _printable(facts[key])[:longest]
        data = json.dumps(facts, ensure_ascii=False).encode(errors="replace") + b"\n"
        parse_heartbeat(data, heartbeat_name(self.worker_id))
        return data


def heartbeat_name(worker_id: str) -> str:
    """Name of a worker's heartbeat in its folder."""
    return f"{worker_id}{_SUFFIX}"


def is_heartbeat_name(name: str) -> bool:
    """Can a file of this name be a heartbeat? Others in the folder are nobody's business."""
    stem = name.removesuffix(_SUFFIX)
    return stem != name and is_plain_name(stem)


class HeartbeatReader:
    """Makes heartbeats of files; what is wrong with one is said once, until it changes.

    One that says the same bytes as before is not decoded again: of hundreds few have changed.
    """

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._read: dict[str, tuple[bytes, Heartbeat]] = {}

    def read(self, files: Mapping[str, bytes]) -> dict[str, Heartbeat]:
        """By worker id, from the content of files by name; bad ones are left out."""
        before, self._read = self._read, {}
        for name, data in files.items():
            known = before.get(name)
            try:
                if known is None or known[0] != data:
                    known = data, parse_heartbeat(data, name)
            except BadHeartbeat as error:
                self.refuse(name, str(error))
            else:
                self._read[name] = known
                self._said.pop(name, None)
        return {heartbeat.worker_id: heartbeat for _, heartbeat in self._read.values()}

    def refuse(self, name: str, reason: str) -> None:
        """Say why ``name`` is left out."""
        if self._said.get(name) != reason:
            self._said[name] = reason
            _LOG.info(f"  left out: {reason}")


class OwnHeartbeats:
    """Notices that somebody else leaves heartbeats under the id of this process's worker.

    ``seconds`` lie between two looks.
    """

    def __init__(self, *, seconds: float = 0.0) -> None:
        self._seconds, self._looked = seconds, -math.inf
        self._sent: dict[str, str] = {}
        self._is_new = Once()

    def sent(self, beat: Heartbeat) -> None:
        """This one is there now, so nothing else can be that was there before."""
        self._sent[beat.worker_id] = beat.process

    def look(self, worker_id: str, read: Callable[[str], bytes | None]) -> None:
        """Say it if what is there, which ``read(name)`` gets, is not what was sent last."""
        own, now = self._sent.get(worker_id), time.monotonic()
        if not own or now - self._looked < self._seconds:
            return
        self._looked, name = now, heartbeat_name(worker_id)
        try:
            data = read(name)
            other = None if data is None else parse_heartbeat(data, name)
        except (ExchangeError, OSError):  # those of all workers are not this one's to judge
            return
        if other is not None and other.process != own and self._is_new(other.process or "?"):
            text = (
                f"  another process works as {worker_id}, too (on {other.host or 'some machine'}, "
                f"{other.phase}): each hides the other's signs of life; give every machine a "
                "--worker-id of its own"
            )
            emit(Incident(what="same id", text=text))


class SilentWorkers:
    """Finds heartbeats that nobody renews any more: fleets rent new machines for months.

    By this machine's clock, since it first saw them as they are.
    """

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, float]] = {}
        self._looked = time.monotonic()

    def find(self, versions: Callable[[], Mapping[str, str]]) -> list[str]:
        """Those that were the same for three days, of all that ``versions`` tells: once an hour.

        Raises what ``versions`` raises.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return []
        found = versions()
        self._looked = now
        before = self._since
        self._since = {
            name: before[name] if before.get(name, ("",))[0] == version else (version, now)
            for name, version in found.items()
        }
        return [name for name, (_, since) in self._since.items() if now - since > _SILENT_SECONDS]


def parse_heartbeat(data: bytes, name: str) -> Heartbeat:
    """The heartbeat in the file ``name``. Raises BadHeartbeat: one sentence."""
    if len(data) > MAX_BYTES:
        raise too_long(name, len(data))
    try:
        found = parse_json(data)
    except ValueError as error:
        raise BadHeartbeat(f"heartbeat {name} is not JSON ({error})") from None
    try:
        beat = decode(Heartbeat, found, f"heartbeat {name}", drop_unknown=True)
    except SettingError as error:
        raise BadHeartbeat(str(error)) from None
    if not is_plain_name(beat.worker_id) or name != heartbeat_name(beat.worker_id):
        raise BadHeartbeat(f"heartbeat {name}: its worker_id is {shown(beat.worker_id)}")
    texts: dict[str, Any] = {key: getattr(beat, key) for key in _TEXTS}
    texts = {key: text and _printable(text) for key, text in texts.items()}
    return replace(beat, **texts)


def too_long(name: str, size: int) -> BadHeartbeat:
    return BadHeartbeat(
        f"heartbeat {name} has {size:,} bytes or more: expected at most {MAX_BYTES:,}"
    )


def _printable(text: str) -> str:
    """On one line, without characters that a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
