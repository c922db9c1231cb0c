"""What the files of an experiment are called, and how large one may be.

Readers and writers of the files agree on no more than this; what is in them is their business.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

NATIVE_SUFFIX = ".safetensors"
PT_SUFFIX = ".pt"
MAX_EXAMPLE_FILE_BYTES = 1 << 30

_PLAIN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_PLAIN_NAME = re.compile(_PLAIN)
_EXAMPLE_NAME = re.compile(
    rf"(?P<worker>{_PLAIN})_(?P<time>[0-9]{{1,12}})_[0-9a-f]{{1,32}}\.(?:pt|safetensors)"
)
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
    def parse(cls, weights_name: str | None) -> Namespace:
        """Namespace of a ``--weights-name``; none, empty and ``model`` are the nameless one.

        Raises:
            ValueError: one sentence, when the name cannot be a file name.
        """
        if not weights_name or weights_name == _DEFAULT:
            return cls(None)
        if not is_plain_name(weights_name) or weights_name.endswith((".pt", ".json")):
            raise ValueError(
                f"weights name {weights_name!r} cannot be used: expected letters, digits, dots, "
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


def example_name(worker_id: str, unix_seconds: float, *, suffix: str = NATIVE_SUFFIX) -> str:
    """A new file name, ``{worker_id}_{unix seconds}_{8 hex}{suffix}``; the hex is random.

    Raises:
        ValueError: when ``worker_id`` cannot be part of a file name.
    """
    name = f"{worker_id}_{int(unix_seconds)}_{secrets.token_hex(4)}{suffix}"
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


def oldest_first(names: Iterable[str]) -> list[str]:
    """Those that are names of example files, by the time in the name, then by name."""
    timed = [(parsed.unix_seconds, n) for n in names if (parsed := parse_example_name(n))]
    return [name for _, name in sorted(timed)]
