"""Back end for one machine, or a shared disk: weights and examples meet in directories.

Publishing replaces three files one after another. So that a reader never pairs weights with the
wrong state, and a writer killed half-way leaves something readable, the state carries the SHA-256
of its weights, and before weights are replaced the state announces the coming SHA-256 under
``pending``. Weights that match neither are damaged or foreign and are refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zebfast.exchange.base import ExchangeError, Revision, StateDict, Weights
from zebfast.exchange.lock import hold_namespace
from zebfast.exchange.namespace import Namespace
from zebfast.selfplay.examples import parse_example_name
from zebfast.system.files import sync_directory, write_atomic

_ATTEMPTS = 10
_PAUSE_SECONDS = 0.1
_MAX_WEIGHT_BYTES = 1 << 30
_MAX_JSON_BYTES = 16 << 20


@dataclass(frozen=True)
class LocalWeightStore:
    """Weights, config and state of ``namespace`` in ``directory`` (created when first written)."""

    directory: Path
    namespace: Namespace

    @property
    def label(self) -> str:
        return str(self.directory)

    def read_state(self) -> dict[str, Any] | None:
        path = self.directory / self.namespace.state_file
        state = _read_json(path)
        if state is None:
            return None
        for key in ("step", "total_games"):
            value = state.get(key, 0)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ExchangeError(
                    f"state file {path} has {key} = {value!r:.40}: expected a whole number from 0"
                )
        return state

    def read_config(self) -> dict[str, Any] | None:
        return _read_json(self.directory / self.namespace.config_file)

    def pull(self, *, newer_than: int | None = None, revision: str | None = None) -> Weights | None:
        if revision is not None:
            raise ExchangeError(
                f"{self.directory} is a directory and keeps no earlier versions: give a checkpoint "
                "file instead of a revision"
            )
        weights_path = self.directory / self.namespace.weights_file
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_SECONDS)
            # Weights dropped in by hand have no state yet: they count as step 0.
            state = self.read_state() or {"step": 0, "total_games": 0}
            if newer_than is not None and state.get("step", 0) <= newer_than:
                return None
            data = _read_weights(weights_path)
            if data is None:
                return None
            if _announced(state, hashlib.sha256(data).hexdigest()):
                config = self.read_config()
                if config is None:
                    raise ExchangeError(
                        f"{weights_path} has no config beside it: expected "
                        f"{self.directory / self.namespace.config_file}"
                    )
                return Weights(_decode(data, weights_path), config, state)
        raise ExchangeError(
            f"{weights_path} is not the file that {self.namespace.state_file} announces: put back "
            "the matching pair, or remove weights_sha256 from the state to accept these weights"
        )

    def publish(
        self, state_dict: StateDict, config: Mapping[str, Any], state: Mapping[str, Any]
    ) -> dict[str, Any]:
        self.directory.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save({k: v.detach().cpu().contiguous() for k, v in state_dict.items()}, buffer)
        data = buffer.getbuffer()
        digest = hashlib.sha256(data).hexdigest()
        current = self.read_state()
        if current is not None:
            self._write_state({**current, "pending": {"weights_sha256": digest}})
        # The config goes first: without weights it means nothing, so a first publish that is cut
        # short anywhere leaves either no weights yet or weights that can be used.
        if self.read_config() != dict(config):
            write_atomic(self.directory / self.namespace.config_file, _json_bytes(config))
        write_atomic(self.directory / self.namespace.weights_file, data)
        new_state = {**(current or {}), **state, "weights_sha256": digest}
        new_state.pop("pending", None)
        self._write_state(new_state)
        return new_state

    def update_state(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        state = {**(self.read_state() or {}), **changes}
        self._write_state(state)
        return state

    def revisions(self, limit: int) -> list[Revision]:
        return []

    def hold(self, owner: str, *, take_over: bool = False) -> AbstractContextManager[None]:
        return hold_namespace(self.directory, self.namespace)

    def compact(self, limit: int) -> str | None:
        return None

    def _write_state(self, state: Mapping[str, Any]) -> None:
        write_atomic(self.directory / self.namespace.state_file, _json_bytes(state))


@dataclass(frozen=True)
class LocalExampleStore:
    """Example files of ``namespace`` under ``root`` (the namespace's own folder, or ``root``)."""

    root: Path
    namespace: Namespace

    @property
    def directory(self) -> Path:
        return self.root / self.namespace.examples_prefix

    @property
    def label(self) -> str:
        return str(self.directory)

    @property
    def home(self) -> Path:
        return self.directory

    def put(self, name: str, write: Callable[[Path], None]) -> None:
        if parse_example_name(name) is None:
            raise ValueError(f"{name!r} is not the name of an example file")
        self.directory.mkdir(parents=True, exist_ok=True)
        write(self.directory / name)

    def list(self) -> list[str]:
        try:
            with os.scandir(self.directory) as entries:
                found = [entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []
        timed = [(parsed.unix_seconds, n) for n in found if (parsed := parse_example_name(n))]
        return [name for _, name in sorted(timed)]

    @contextmanager
    def fetch(self, names: Sequence[str]) -> Iterator[Mapping[str, Path]]:
        paths = {name: self.directory / name for name in names}
        yield {name: path for name, path in paths.items() if path.is_file()}

    def set_aside(self, name: str, reason: str) -> None:
        bad = self.directory / "bad"
        bad.mkdir(exist_ok=True)
        write_atomic(bad / f"{name}.reason.txt", (" ".join(reason.split()) + "\n").encode())
        os.replace(self.directory / name, bad / name)
        sync_directory(self.directory)

    def delete(self, names: Iterable[str]) -> int:
        deleted = 0
        for name in names:
            if parse_example_name(name) is None:
                continue
            with suppress(FileNotFoundError):
                (self.directory / name).unlink()
                deleted += 1
        if deleted:
            sync_directory(self.directory)
        return deleted

    def waiting(self) -> int:
        return 0

    def close(self, grace: float) -> int:
        return 0

    def compact(self, limit: int) -> str | None:
        return None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as handle:
            data = handle.read(_MAX_JSON_BYTES + 1)
        value = json.loads(data) if len(data) <= _MAX_JSON_BYTES else None
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ExchangeError(f"{path} cannot be used: expected one JSON object of at most 16 MB")
    return value


def _json_bytes(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(dict(value), indent=2) + "\n").encode()


def _read_weights(path: Path) -> bytes | None:
    try:
        with open(path, "rb") as handle:
            data = handle.read(_MAX_WEIGHT_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(data) > _MAX_WEIGHT_BYTES:
        raise ExchangeError(f"weights file {path} is over 1 GB: expected a Texas 42 network")
    return data


def _announced(state: Mapping[str, Any], digest: str) -> bool:
    """Does the state vouch for weights with this digest? One that names none vouches for any."""
    pending = state.get("pending")
    named = [state.get("weights_sha256")]
    if isinstance(pending, dict):
        named.append(pending.get("weights_sha256"))
    named = [name for name in named if name is not None]
    return not named or digest in named


def _decode(data: bytes, path: Path) -> StateDict:
    try:
        value = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # hostile bytes can raise anything; the file is refused either way
        raise ExchangeError(
            f"weights file {path} cannot be read ({type(error).__name__}): expected a state_dict "
            "saved by torch.save"
        ) from error
    if not isinstance(value, dict) or not all(
        isinstance(k, str) and type(v) is torch.Tensor for k, v in value.items()
    ):
        raise ExchangeError(f"weights file {path} is not a plain state_dict of named tensors")
    return value
