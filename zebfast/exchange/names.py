"""What the files of an experiment are called, and how large one may be.

Readers and writers of the files agree on no more than this; what is in them is their business.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

NATIVE_SUFFIX = ".safetensors"
PT_SUFFIX = ".pt"
MAX_EXAMPLE_FILE_BYTES = 1 << 30
MAX_LISTED = 100_000  # entries of a folder that are looked at

T = TypeVar("T")

_PLAIN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_PLAIN_NAME = re.compile(_PLAIN)
_EXAMPLE_NAME = re.compile(
    rf"(?P<worker>{_PLAIN})_(?P<time>[0-9]{{1,12}})_[0-9a-f]{{1,32}}\.(?:pt|safetensors)"
)
_SESSION = re.compile(r"[0-9a-f]{16}")
_MOST_FILES = 1 << 40  # of a session: more than there will be
_DEFAULT = "model"


def is_plain_name(name: str) -> bool:
    """Can this be (part of) a file name anywhere: a namespace, a worker's id?"""
    return _PLAIN_NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class Namespace:
    """File names of one lineage; several share a place without touching each other's files.

    ``name`` None is the nameless namespace at the root.
    Build it with ``Namespace.parse``, which checks the name.
    """

    name: str | None = None

    @classmethod
    def parse(cls, weights_name: str | None, *, called: str = "weights name") -> Namespace:
        """Namespace of a ``--weights-name``; none, empty and ``model`` are the nameless one.

        Args:
            called: what messages call it, where it was given as something else.

        Raises:
            ValueError: one sentence, when the name cannot be a file name.
        """
        if not weights_name or weights_name == _DEFAULT:
            return cls(None)
        if not is_plain_name(weights_name) or weights_name.endswith((".pt", ".json")):
            raise ValueError(
                f"{called} {weights_name!r} cannot be used: expected letters, digits, dots, "
                "dashes and underscores, starting with a letter or digit, without .pt"
            )
        return cls(weights_name)

    @property
    def stem(self) -> str:
        """What the weights file is called, without ``.pt``."""
        return self.name or _DEFAULT

    @property
    def weights_file(self) -> str:
        return f"{self.stem}.pt"

    @property
    def config_file(self) -> str:
        return "config.json" if self.name is None else f"{self.name}-config.json"

    @property
    def state_file(self) -> str:
        return "training_state.json" if self.name is None else f"{self.name}-state.json"

    @property
    def ledger_stem(self) -> str:
        """How the files begin that a state names for what it has no room for."""
        return f"{self.stem}-ledger"

    @property
    def checkpoint_file(self) -> str:
        """The learner's own training state; not ``.pt``, so that it is no namespace's weights."""
        return f"{self.stem}.ckpt"

    @property
    def metrics_file(self) -> str:
        return "metrics.jsonl" if self.name is None else f"{self.name}-metrics.jsonl"

    @property
    def events_file(self) -> str:
        """What the learner on this machine has told."""
        return "events.jsonl" if self.name is None else f"{self.name}-events.jsonl"

    @property
    def lock_file(self) -> str:
        return f".{self.stem}.learner.lock"

    @property
    def examples_prefix(self) -> str:
        """Folder of the example files inside the examples repository; empty for the root."""
        return self.name or ""


@dataclass(frozen=True)
class ExampleName:
    """What the name of an example file says."""

    worker_id: str
    unix_seconds: int


@dataclass(frozen=True)
class Serial:
    """Which file of a worker's sitting one is: a name that need not be remembered to be known.

    The hex digits of the file's name are made of it, so it belongs to no other file.

    Attributes:
        session: of one start of a worker, 16 hex digits that no other start has.
        number: of the file in it, from 0, in the order in which they are made.
    """

    session: str
    number: int

    @property
    def digits(self) -> str:
        text = f"{self.session}:{self.number}"
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()

    def to_metadata(self) -> dict[str, Any]:
        return {"session": self.session, "number": self.number}


def new_session() -> str:
    """A ``Serial.session`` that there was never before."""
    return secrets.token_hex(8)


def serial_of(name: str, metadata: Mapping[str, Any]) -> Serial | None:
    """The serial in the metadata of the file ``name``; None where it has none of its own."""
    session, number = metadata.get("session"), metadata.get("number")
    if not isinstance(session, str) or not _SESSION.fullmatch(session):
        return None
    if type(number) is not int or not 0 <= number < _MOST_FILES:
        return None
    found = Serial(session, number)
    return found if name.rpartition(".")[0].endswith(f"_{found.digits}") else None


def example_name(
    worker_id: str,
    unix_seconds: float,
    *,
    suffix: str = NATIVE_SUFFIX,
    serial: Serial | None = None,
) -> str:
    """A new file name, ``{worker_id}_{unix seconds}_{8 hex}{suffix}``; the hex is random.

    With ``serial`` it is made of that, which then belongs into the file's metadata.

    Raises:
        ValueError: when ``worker_id`` cannot be part of a file name.
    """
    digits = secrets.token_hex(4) if serial is None else serial.digits
    name = f"{worker_id}_{int(unix_seconds)}_{digits}{suffix}"
    if parse_example_name(name) is None:
        raise ValueError(
            f"worker id {worker_id!r} cannot be used: expected letters, digits, dots, dashes and "
            "underscores, starting with a letter or digit"
        )
    return name


def parse_example_name(name: str) -> ExampleName | None:
    """What ``name`` says, or None when it is not the name of an example file."""
    match = _EXAMPLE_NAME.fullmatch(name)
    return ExampleName(match["worker"], int(match["time"])) if match else None


def require_example_name(name: str) -> None:
    """ValueError unless ``name`` is the name of an example file."""
    if parse_example_name(name) is None:
        raise ValueError(f"{name!r} is not the name of an example file")


def bounded(entries: Iterable[T]) -> Iterator[T]:
    """The first of a listing's entries: one of millions must not take all memory at every look."""
    return islice(entries, MAX_LISTED)


def oldest_first(names: Iterable[str]) -> list[str]:
    """Those that are names of example files, by the time in the name, then by name."""
    timed = [(parsed.unix_seconds, n) for n in names if (parsed := parse_example_name(n))]
    return [name for _, name in sorted(timed)]
