"""What a saved training state consists of: ``manifest.json``, which is written after the files.

A state is a folder of files. It is complete when its manifest is there and every file has the size
and the SHA-256 that the manifest names; anything else is what a killed writer left. The folder's
name ends in a digest of the manifest, so a name never stands for two different states.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from zebfast.exchange.errors import ExchangeError
from zebfast.exchange.names import is_plain_name
from zebfast.exchange.state import json_bytes, parse_object
from zebfast.system.files import FileMark, file_mark
from zebfast.system.parse import is_count, is_moment

MANIFEST = "manifest.json"
POINTER = "latest.json"
_FORMAT = 1
_MAX_FOLDERS = 10_000
_MAX_FILES = 100
_FOLDER = re.compile(r"step-\d{8,}-[0-9a-f]{8}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class IncompleteState(ExchangeError):
    """A saved state is not whole; an older one may be."""


Standing = tuple[int, int, int]
"""Cycles, games counted, optimizer steps of the next cycle: what grows along a lineage."""


@dataclass(frozen=True)
class Manifest:
    """What a complete state says of itself.

    Attributes:
        step, total_games: where training stood.
        lineage: of the namespace; states of another one are another run's.
        wandb_run_id: run that was logged to, if any.
        version: of this program when it was saved.
        created_unix: when that was, for people: clocks decide no order.
        files: by name, all files of the state but the manifest.
        steps_into_cycle: optimizer steps of the cycle after ``step``.
    """

    step: int
    total_games: int
    lineage: str
    wandb_run_id: str | None
    version: str
    created_unix: float
    files: Mapping[str, FileMark]
    steps_into_cycle: int = 0

    def to_bytes(self) -> bytes:
        content = {"format": _FORMAT, **asdict(self)}
        if not self.steps_into_cycle:  # as all manifests were once: their names depend on it
            del content["steps_into_cycle"]
        return json_bytes(content)

    @property
    def standing(self) -> Standing:
        """How far this state is in its lineage: the larger, the newer."""
        return self.step, self.total_games, self.steps_into_cycle

    @cached_property
    def folder(self) -> str:
        """Name of the folder that holds this state, here and at the far side."""
        return f"step-{self.step:08d}-{hashlib.sha256(self.to_bytes()).hexdigest()[:8]}"

    @property
    def n_bytes(self) -> int:
        return sum(mark.size for mark in self.files.values())

    def check(self, directory: Path) -> None:
        """IncompleteState where a file in ``directory`` is not as it was saved."""
        for name, mark in self.files.items():
            path = directory / name
            if not path.is_file():
                raise IncompleteState(f"{self.folder} lacks {name}")
            if path.stat().st_size != mark.size:
                raise IncompleteState(
                    f"{self.folder}/{name} has {path.stat().st_size:,} bytes of {mark.size:,}"
                )
            if file_mark(path) != mark:
                raise IncompleteState(f"{self.folder}/{name} is damaged: its SHA-256 differs")


def is_folder(name: str) -> bool:
    """Is this the name of a state's folder?"""
    return _FOLDER.fullmatch(name) is not None


def parse_manifest(data: bytes, folder: str) -> Manifest:
    """The manifest that was read from ``folder``. IncompleteState when it is not its own."""
    try:
        content = parse_object(data, f"{folder}/{MANIFEST}")
        if content.pop("format") != _FORMAT:
            raise ValueError("format")
        files = {str(name): FileMark(**mark) for name, mark in content.pop("files").items()}
        manifest = Manifest(files=files, **content)
        if not _is_sound(manifest) or manifest.folder != folder:
            raise ValueError("content")
    except (ExchangeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise IncompleteState(f"{folder}/{MANIFEST} is damaged") from error
    return manifest


def read_folders(data: bytes) -> tuple[str, list[str]]:
    """Lineage and folders, newest first, of a ``latest.json``. IncompleteState if it is damaged."""
    try:
        content = parse_object(data, POINTER)
        lineage, folders = content["lineage"], content["states"]
        if not isinstance(lineage, str) or not isinstance(folders, list):
            raise ValueError("content")
        if len(folders) > _MAX_FOLDERS or not all(is_folder(name) for name in folders):
            raise ValueError("content")
    except (ExchangeError, KeyError, TypeError, ValueError) as error:
        raise IncompleteState("latest.json is damaged") from error
    return lineage, list(folders)


def folders_bytes(lineage: str, folders: Iterable[str]) -> bytes:
    """A ``latest.json`` that names these folders, newest first."""
    states = list(folders)
    return json_bytes(
        {"format": _FORMAT, "latest": states[0], "lineage": lineage, "states": states}
    )


def _is_sound(manifest: Manifest) -> bool:
    """Do the values have the types and forms that their users rely on?"""
    counts = (*manifest.standing, *(m.size for m in manifest.files.values()))
    return (
        len(manifest.files) <= _MAX_FILES
        and all(map(is_count, counts))
        and isinstance(manifest.lineage, str)
        and isinstance(manifest.version, str)
        and (manifest.wandb_run_id is None or is_plain_name(str(manifest.wandb_run_id)))
        and is_moment(manifest.created_unix)
        and all(is_plain_name(name) and name != MANIFEST for name in manifest.files)
        and all(_SHA256.fullmatch(mark.sha256) for mark in manifest.files.values())
    )
