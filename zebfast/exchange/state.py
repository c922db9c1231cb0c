"""What a namespace's files must look like, wherever they lie: checks on bytes from outside.

NumPy is imported where weights are packed or unpacked: commands that only look at places start
without it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zebfast.exchange.archive import Archive, BadArchive, StoredTensor
from zebfast.exchange.errors import ExchangeError, TransientError, Unusable
from zebfast.exchange.names import Namespace, is_plain_name
from zebfast.exchange.store import StateDict
from zebfast.system.events import Incident, emit
from zebfast.system.finite import require_finite
from zebfast.system.parse import is_count, parse_json

MAX_WEIGHT_BYTES = 1 << 30
MAX_JSON_BYTES = 16 << 20
MAX_OLD_STATE_BYTES = 20 << 20
"""Of a state that is read: an earlier version could write more than it read itself."""
UNPUBLISHED = {"step": 0, "total_games": 0}
"""The state of weights that came without one."""


def json_bytes(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(dict(value), indent=2) + "\n").encode()


def object_bytes(value: Mapping[str, Any], source: str) -> bytes:
    """A JSON file that ``parse_object`` reads; ExchangeError, naming ``source``, if it does not."""
    data = json_bytes(value)
    parse_object(data, source)
    return data


def state_bytes(state: Mapping[str, Any], source: str) -> bytes:
    """A state file that ``parse_state`` reads; ExchangeError, naming ``source``, if it does not."""
    data = json_bytes(state)
    parse_state(data, source, most=MAX_JSON_BYTES)
    return data


def parse_object(data: bytes, source: str, *, most: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """The JSON object in ``data``; ExchangeError, naming ``source``, when it is anything else.

    Args:
        most: bytes that it may have.
    """
    try:
        value = parse_json(data, tame=True) if len(data) <= most else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unusable(f"{source} cannot be used: expected one JSON object of at most 16 MB")
    return value


def parse_state(data: bytes, source: str, *, most: int = MAX_OLD_STATE_BYTES) -> dict[str, Any]:
    """A state file's content with usable counters. ExchangeError names ``source``."""
    state = parse_object(data, source, most=most)
    for key in ("step", "total_games"):
        value = state.get(key, 0)
        if not is_count(value):
            raise Unusable(
                f"state file {source} has {key} = {value!r:.40}: expected a whole number from 0 "
                "to 2^53"
            )
    return state


def usable_run_id(state: Mapping[str, Any]) -> str | None:
    """The W&B run that a state names; None where that can be none: files are called after it."""
    found = state.get("wandb_run_id")
    return found if isinstance(found, str) and is_plain_name(found) else None


def pack_weights(state_dict: StateDict) -> tuple[bytes, str]:
    """The bytes of a weights file, and their SHA-256. NotFinite for what is no numbers."""
    from zebfast.exchange.archive_writer import archive_bytes

    require_finite(state_dict, "the weights file")
    data = archive_bytes(state_dict)
    return data, hashlib.sha256(data).hexdigest()


def unpack_weights(data: bytes, source: str) -> StateDict:
    """The plain state_dict in ``data``, read without unpickling freely. ExchangeError otherwise."""
    check_weight_size(len(data), source)
    try:
        archive = Archive(io.BytesIO(data))
        found = archive.content
        if not isinstance(found, dict) or not all(
            isinstance(k, str) and isinstance(v, StoredTensor) for k, v in found.items()
        ):
            raise BadArchive("is not a plain state_dict of named tensors")
        return {name: archive.load(stored) for name, stored in found.items()}
    except BadArchive as error:
        raise Unusable(
            f"weights file {source} cannot be read (it {error}): expected a state_dict saved by "
            "torch.save"
        ) from error


def check_weight_size(n_bytes: int, source: str) -> None:
    if n_bytes > MAX_WEIGHT_BYTES:
        raise Unusable(f"weights file {source} is over 1 GB: expected a Texas 42 network")


class Unannounced(Unusable):
    """Weights at ``source`` that their state does not vouch for."""

    def __init__(self, source: str, state_file: str) -> None:
        super().__init__(
            f"{source} is not the file that {state_file} announces: put back the matching pair, "
            "or remove weights_sha256 from the state to accept these weights"
        )


class Torn(Unannounced):
    """The same of a directory: its disk may show, for a while, one of the two files newer."""


def without_config(source: str, expected: str) -> ExchangeError:
    """For weights at ``source`` that no config says the shape of."""
    return ExchangeError(f"{source} has no config beside it: expected {expected}")


def announced(state: Mapping[str, Any], data: bytes) -> bool:
    """Does the state vouch for these weights? One that names no SHA-256 vouches for any."""
    pending = state.get("pending")
    named = [state.get("weights_sha256")]
    if isinstance(pending, dict):
        named.append(pending.get("weights_sha256"))
    named = [name for name in named if name is not None]
    return not named or hashlib.sha256(data).hexdigest() in named


# --- What a state says of counted files: in a file of its own where that is much.

#: Keys that only learners need; workers read a state again and again. Learners write them together.
LEDGER_KEYS = ("ingested", "sessions", "counted", "optimizer_steps")
MAX_LEDGER_BYTES = 16 << 20
_REFERENCE = "ledger"
_MOST_INLINE = 24_000
_MAX_UNPACKED = 64 << 20
_TO_OLD_PROGRAMS = "in the file that `ledger` names: a learner of an older version cannot go on"


@dataclass(frozen=True)
class Ledger:
    """``LEDGER_KEYS`` of a state as a file: JSON, packed with zlib."""

    file: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class LedgerFull(TransientError):
    """Too many files are counted; when some of them are gone it fits again."""


def apart(
    state: Mapping[str, Any], namespace: Namespace, *, versioned: bool
) -> tuple[dict[str, Any], Ledger | None]:
    """What is to be written for a whole state: the state file's content, and its ledger if any.

    Args:
        versioned: each content gets a name of its own, so that writing it replaces no other.

    Raises:
        LedgerFull: it could not be read again.
    """
    if _REFERENCE in state:
        return dict(state), None  # which stays as it is
    rest = {key: value for key, value in state.items() if key not in LEDGER_KEYS}
    content = {key: state[key] for key in LEDGER_KEYS if key in state}
    text = json.dumps(content, separators=(",", ":")).encode()
    if len(text) <= _MOST_INLINE:
        return dict(state), None
    data = zlib.compress(text)
    if len(text) > _MAX_UNPACKED or len(data) > MAX_LEDGER_BYTES:
        raise LedgerFull(
            f"{namespace.ledger_stem} would have {len(data):,} bytes: expected at most "
            f"{MAX_LEDGER_BYTES:,}; delete example files that were trained on, or let the learner "
            "do it with --keep-example-files"
        )
    version = f"-{hashlib.sha256(data).hexdigest()[:8]}" if versioned else ""
    ledger = Ledger(f"{namespace.ledger_stem}{version}.json.z", data)
    rest[_REFERENCE] = {"file": ledger.file, "sha256": ledger.sha256}
    return {**rest, "optimizer_steps": _TO_OLD_PROGRAMS}, ledger


def whole(
    state: Mapping[str, Any], namespace: Namespace, source: str, read: Callable[[str], bytes | None]
) -> dict[str, Any]:
    """The state with what it has in a file, which ``read(name)`` gets; None where there is none.

    Raises:
        ExchangeError: that is not the file that was written with it.
    """
    if _REFERENCE not in state:
        return dict(state)
    name = ledger_file(state)
    if not is_ledger_name(name, namespace):
        raise ExchangeError(f"state file {source} names no usable ledger file: {name!r:.60}")
    data = read(name)
    if data is None or hashlib.sha256(data).hexdigest() != state[_REFERENCE].get("sha256"):
        raise ExchangeError(
            f"state file {source} counts files in {name}, which is not beside it as it was "
            "written: put it back, or remove `ledger` from the state to count all files anew that "
            "are there"
        )
    try:
        text = zlib.decompressobj().decompress(data, _MAX_UNPACKED + 1)
        found = parse_json(text, tame=True) if len(text) <= _MAX_UNPACKED else None
    except (zlib.error, ValueError):
        found = None
    if not isinstance(found, dict) or not found.keys() <= set(LEDGER_KEYS):
        raise ExchangeError(f"{name} beside {source} cannot be used: expected what a learner wrote")
    rest = {key: value for key, value in state.items() if key not in (_REFERENCE, *LEDGER_KEYS)}
    return rest | found


def changed(
    current: Mapping[str, Any],
    changes: Mapping[str, Any],
    complete: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """The state with ``changes``; ``complete`` gets the whole of it where that is needed."""
    named = [key for key in LEDGER_KEYS if key in changes]
    if "counted" in named:  # who counts anew says all of it
        current = {k: v for k, v in current.items() if k not in (_REFERENCE, *LEDGER_KEYS)}
    elif named and _REFERENCE in current:
        current = complete(current)
    return {**current, **changes}


def ledger_file(state: Mapping[str, Any]) -> str:
    """The file that a state names for its ledger; empty where it names none."""
    reference = state.get(_REFERENCE)
    name = reference.get("file") if isinstance(reference, dict) else None
    return name if isinstance(name, str) else ""


def is_ledger_name(name: str, namespace: Namespace) -> bool:
    """Can a file of this name be a ledger of ``namespace``?"""
    pattern = rf"{re.escape(namespace.ledger_stem)}(-[0-9a-f]{{8}})?\.json\.z"
    return re.fullmatch(pattern, name) is not None


class HalfFull:
    """Says once of a state's files that they have come to half of what they may have."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def look(self, name: str, state: bytes, ledger: Ledger | None) -> None:
        """``state`` is about to be written as ``name``, and its ledger, if it has one."""
        self._look(name, len(state), MAX_JSON_BYTES)
        if ledger is not None:
            self._look(f"the ledger of {name}", len(ledger.data), MAX_LEDGER_BYTES)

    def _look(self, name: str, n_bytes: int, limit: int) -> None:
        if n_bytes > limit // 2 and name not in self._said:
            self._said.add(name)
            text = (
                f"  {name} has {n_bytes:,} of at most {limit:,} bytes: delete example files that "
                "were trained on, or let the learner do it with --keep-example-files"
            )
            emit(Incident(what="nearly full", text=text))
