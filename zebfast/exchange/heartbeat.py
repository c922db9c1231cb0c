"""What a worker says of itself, so that whoever rents its machine knows that it makes progress."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from zebfast.exchange.errors import ExchangeError
from zebfast.exchange.names import is_plain_name

Phase = Literal["starting", "waiting", "playing", "stopped", "failed"]
HEARTBEATS = "heartbeats"  # folder beside the example files of a namespace
MAX_BYTES = 4096
_LOG = logging.getLogger(__name__)
_SUFFIX = ".json"
_MAX_ERROR = 300
_MAX_NAME = 100
_MAX_NUMBER = 1 << 62
_TEXTS = {"error": _MAX_ERROR, "source": _MAX_NAME, "host": _MAX_NAME, "version": _MAX_NAME,
          "gpu": _MAX_NAME}  # fmt: skip


class BadHeartbeat(ExchangeError):
    """A file that is no heartbeat: what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """One sign of life. Times are unix seconds by the worker's clock, memory is in MB.

    Attributes:
        phase: ``waiting`` for weights; ``failed`` = ended with ``error`` and not yet restarted.
        batch, total_games, games_per_s: of this start of the worker.
        restarts: by its supervisor; earlier_batches were handed over before the last of them.
        last_batch: when it last handed a batch over.
        gpu, gpu_memory: name, and most memory that torch has held; None without a GPU.
    """

    worker_id: str
    unix: float
    phase: Phase
    source: str = ""
    batch: int = 0
    total_games: int = 0
    games_per_s: float = 0.0
    model_step: int = 0
    restarts: int = 0
    earlier_batches: int = 0
    last_batch: float | None = None
    gpu: str | None = None
    gpu_memory: float | None = None
    host: str = ""
    version: str = ""
    error: str | None = None

    @property
    def progress(self) -> str:
        """Changes when work is handed over, and by nothing else: a restart alone is none."""
        return str(self.earlier_batches + self.batch)

    def to_bytes(self) -> bytes:
        """As a file, at most MAX_BYTES."""
        facts = asdict(self)
        for key, longest in _TEXTS.items():
            facts[key] = facts[key] and _printable(facts[key])[:longest]
        return json.dumps(facts, ensure_ascii=False).encode(errors="replace") + b"\n"


def heartbeat_name(worker_id: str) -> str:
    """Name of a worker's heartbeat in its folder."""
    return f"{worker_id}{_SUFFIX}"


def is_heartbeat_name(name: str) -> bool:
    """Can a file of this name be a heartbeat? Others in the folder are nobody's business."""
    stem = name.removesuffix(_SUFFIX)
    return stem != name and is_plain_name(stem)


class HeartbeatReader:
    """Makes heartbeats of files; what is wrong with one is said once, until it changes."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def read(self, files: Mapping[str, bytes]) -> dict[str, Heartbeat]:
        """By worker id, from the content of files by name; bad ones are left out."""
        found = {}
        for name, data in files.items():
            try:
                heartbeat = parse_heartbeat(data, name)
            except BadHeartbeat as error:
                self.refuse(name, str(error))
            else:
                found[heartbeat.worker_id] = heartbeat
                self._said.pop(name, None)
        return found

    def refuse(self, name: str, reason: str) -> None:
        """Say why ``name`` is left out."""
        if self._said.get(name) != reason:
            self._said[name] = reason
            _LOG.info(f"  left out: {reason}")


def parse_heartbeat(data: bytes, name: str) -> Heartbeat:
    """The heartbeat in the file ``name``. Raises BadHeartbeat: one sentence."""
    if len(data) > MAX_BYTES:
        raise too_long(name, len(data))
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadHeartbeat(f"heartbeat {name} is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise BadHeartbeat(f"heartbeat {name} is not an object")
    known = {field.name for field in fields(Heartbeat)}
    try:
        heartbeat = Heartbeat(**{key: found[key] for key in known & found.keys()})
    except TypeError as error:
        raise BadHeartbeat(f"heartbeat {name}: {error}") from None
    problem = _problem(heartbeat, name)
    if problem:
        raise BadHeartbeat(f"heartbeat {name}: {problem}")
    texts: dict[str, Any] = {}
    for key in _TEXTS:
        text = getattr(heartbeat, key)
        texts[key] = text and _printable(text)
    return replace(heartbeat, **texts)


def too_long(name: str, size: int) -> BadHeartbeat:
    return BadHeartbeat(
        f"heartbeat {name} has {size:,} bytes or more: expected at most {MAX_BYTES:,}"
    )


def _problem(beat: Heartbeat, name: str) -> str | None:
    if not isinstance(beat.worker_id, str) or not is_plain_name(beat.worker_id):
        return f"worker_id is {beat.worker_id!r:.80}"
    if name != heartbeat_name(beat.worker_id):
        return f"it is of worker {beat.worker_id}"
    if beat.phase not in get_args(Phase):
        return f"phase is {beat.phase!r:.80}"
    for key in ("batch", "total_games", "model_step", "restarts", "earlier_batches"):
        value = getattr(beat, key)
        if not isinstance(value, int) or not _is_number(value):
            return f"{key} is {value!r:.80}"
    for key in ("unix", "games_per_s"):
        if not _is_number(getattr(beat, key)):
            return f"{key} is {getattr(beat, key)!r:.80}"
    for key in ("last_batch", "gpu_memory"):
        if getattr(beat, key) is not None and not _is_number(getattr(beat, key)):
            return f"{key} is {getattr(beat, key)!r:.80}"
    for key in _TEXTS:
        value = getattr(beat, key)
        may_be_none = key in ("gpu", "error")
        if not isinstance(value, str) and not (value is None and may_be_none):
            return f"{key} is {value!r:.80}"
    return None


def _is_number(value: Any) -> bool:
    """A plain number from 0 on, no larger than anything that is counted or measured here."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and 0 <= value < _MAX_NUMBER


def _printable(text: str) -> str:
    """On one line, without characters that a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
