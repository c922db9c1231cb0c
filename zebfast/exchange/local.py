"""Back end for one machine, or a shared disk: weights and examples meet in directories.

Publishing replaces three files one after another. So that a reader never pairs weights with the
wrong state, and a writer killed half-way leaves something readable, the state carries the SHA-256
of its weights, and before weights are replaced the state announces the coming SHA-256 under
``pending``. Weights that match neither are damaged or foreign and are refused.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zebfast.exchange.errors import (
    ExchangeError,
    NamespaceBusy,
    Unusable,
    momentarily,
    passing_faults,
)
from zebfast.exchange.heartbeat import (
    HEARTBEATS,
    MAX_BYTES,
    Heartbeat,
    HeartbeatReader,
    OwnHeartbeats,
    SilentWorkers,
    heartbeat_name,
    is_heartbeat_name,
)
from zebfast.exchange.lease import KEY, Holder, Lease
from zebfast.exchange.names import (
    Namespace,
    bounded,
    oldest_first,
    parse_example_name,
    require_example_name,
)
from zebfast.exchange.quarantine import Quarantine
from zebfast.exchange.state import (
    MAX_JSON_BYTES,
    MAX_LEDGER_BYTES,
    MAX_OLD_STATE_BYTES,
    MAX_WEIGHT_BYTES,
    UNPUBLISHED,
    HalfFull,
    Ledger,
    Torn,
    Unannounced,
    announced,
    apart,
    changed,
    check_weight_size,
    is_ledger_name,
    ledger_file,
    object_bytes,
    pack_weights,
    parse_object,
    parse_state,
    state_bytes,
    unpack_weights,
    whole,
    without_config,
)
from zebfast.exchange.store import Revision, StateDict, Weights
from zebfast.system.events import Incident, emit
from zebfast.system.files import (
    own_folder,
    read_plain,
    remove_leftovers,
    sync_directory,
    write_atomic,
)
from zebfast.system.locks import hold_lock
from zebfast.system.retry import Once, constant, retrying

_ATTEMPTS = 10
_PAUSE_SECONDS = 0.1
ARCHIVE = "counted"  # folder of the files that are kept out of the listing
_LAST_DAY = 253_402_300_799  # of the year 9999, the last that dates have a form for


def without_locks(text: str) -> None:
    """Say that a disk has no locks; nothing here depends on them alone."""
    emit(Incident(what="exchange", text=f"  {text}: nothing keeps a second one away, so start one"))


@contextmanager
def hold_namespace(directory: Path, namespace: Namespace) -> Iterator[None]:
    """Be the only learner of ``namespace`` in ``directory`` while the context lasts.

    Temporaries that a killed predecessor left under this namespace's names are removed. Where the
    disk has no locks nothing is, and whoever needs to be the only one has the lease (see ``hold``).

    Raises:
        NamespaceBusy: another process holds it; the sentence gives its process id.
        TransientError, OSError.
    """
    names = {
        namespace.weights_file,
        namespace.config_file,
        namespace.state_file,
        namespace.checkpoint_file,
        namespace.metrics_file,
    }

    def busy(owner: str) -> NamespaceBusy:
        return NamespaceBusy(
            f"namespace {namespace.stem!r} in {directory} already has a learner "
            f"(process {owner}): stop it first, or choose another --weights-name"
        )

    with ExitStack() as held:
        with passing_faults():
            lock = hold_lock(directory / namespace.lock_file, busy=busy, lockless=without_locks)
            if held.enter_context(lock):
                remove_leftovers(directory, lambda n: n in names or is_ledger_name(n, namespace))
        yield


@dataclass(frozen=True)
class LocalWeightStore:
    """Weights, config and state of ``namespace`` in ``directory`` (created when first written)."""

    directory: Path
    namespace: Namespace
    _holders: list[Holder] = field(default_factory=list, init=False, repr=False, compare=False)
    _half: HalfFull = field(default_factory=HalfFull, init=False, repr=False, compare=False)

    @property
    def label(self) -> str:
        return str(self.directory)

    @passing_faults()
    def read_state(self) -> dict[str, Any] | None:
        path = self.directory / self.namespace.state_file
        data = _read(path, MAX_OLD_STATE_BYTES)
        return None if data is None else parse_state(data, str(path))

    @passing_faults()
    def whole(self, state: Mapping[str, Any]) -> dict[str, Any]:
        def read(name: str) -> bytes | None:
            return _read(self.directory / name, MAX_LEDGER_BYTES)

        return whole(state, self.namespace, str(self.directory / self.namespace.state_file), read)

    @passing_faults()
    def read_config(self) -> dict[str, Any] | None:
        path = self.directory / self.namespace.config_file
        data = _read(path, MAX_JSON_BYTES)
        return None if data is None else parse_object(data, str(path))

    def pull(self, *, newer_than: int | None = None, revision: str | None = None) -> Weights | None:
        if revision is not None:
            raise ExchangeError(
                f"{self.directory} is a directory and keeps no earlier versions: give a checkpoint "
                "file instead of a revision"
            )
        return retrying(
            lambda: self._pull(newer_than),
            on=Unannounced,
            pause=constant(_PAUSE_SECONDS),
            attempts=_ATTEMPTS,
        )

    @passing_faults()
    def _pull(self, newer_than: int | None) -> Weights | None:
        """As ``pull``. Torn while a publish is under way, too."""
        weights_path = self.directory / self.namespace.weights_file
        # Weights dropped in by hand have no state yet: they count as step 0.
        state = self.read_state() or dict(UNPUBLISHED)
        if newer_than is not None and state.get("step", 0) <= newer_than:
            return None
        with suppress(FileNotFoundError):
            check_weight_size(weights_path.stat().st_size, str(weights_path))
        data = _read(weights_path, MAX_WEIGHT_BYTES)
        if data is None:
            return None
        if not announced(state, data):
            raise self._mismatch(weights_path, data)
        config = self.read_config()
        if config is None:
            expected = self.directory / self.namespace.config_file
            raise without_config(str(weights_path), str(expected))
        return Weights(unpack_weights(data, str(weights_path)), config, state)

    def _mismatch(self, path: Path, data: bytes) -> Unannounced:
        """Torn only where the file can be weights: files are renamed into place, so that an old
        one is seen as it was, whole."""
        try:
            unpack_weights(data, str(path))
        except Unusable:
            return Unannounced(str(path), self.namespace.state_file)
        return Torn(str(path), self.namespace.state_file)

    @passing_faults()
    def publish(
        self, state_dict: StateDict, config: Mapping[str, Any], state: Mapping[str, Any]
    ) -> dict[str, Any]:
        self.directory.mkdir(parents=True, exist_ok=True)
        data, digest = pack_weights(state_dict)
        weights_path = self.directory / self.namespace.weights_file
        check_weight_size(len(data), str(weights_path))
        current = self._own_state()
        new = changed(current or {}, state, self.whole) | {"weights_sha256": digest}
        new.pop("pending", None)
        # Everything is checked before anything is replaced.
        new_state, ledger = apart(new, self.namespace, versioned=True)
        new_bytes = self._state_bytes(new_state, ledger)
        config_path = self.directory / self.namespace.config_file
        config_bytes = object_bytes(config, str(config_path))
        if current is not None:
            pending = self._as_it_lies(current) | {"pending": {"weights_sha256": digest}}
            before, old_ledger = apart(pending, self.namespace, versioned=True)
            before_bytes = self._state_bytes(before, old_ledger)
            self._write_ledger(old_ledger)
            self._write_state(before_bytes)
        self._write_ledger(ledger)
        # The config goes first: without weights it means nothing, so a first publish that is cut
        # short anywhere leaves either no weights yet or weights that can be used.
        if self.read_config() != dict(config):
            _write(config_path, config_bytes)
        _write(weights_path, data)
        self._write_state(new_bytes)
        if ledger_file(current or {}) != ledger_file(new_state):
            self._remove_ledgers(but=new_state)
        return new_state

    def _as_it_lies(self, state: dict[str, Any]) -> dict[str, Any]:
        """The state, naming the weights that are there where a publish of others was cut short.

        Another publish takes the place of what was announced then, and the weights may be those.
        """
        if "pending" not in state:
            return state
        path = self.directory / self.namespace.weights_file
        data = _read(path, MAX_WEIGHT_BYTES)
        if data is None or not announced(state, data):
            return state
        return {**state, "weights_sha256": hashlib.sha256(data).hexdigest()}

    @passing_faults()
    def update_state(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        new = changed(self._own_state() or {}, changes, self.whole)
        state, ledger = apart(new, self.namespace, versioned=True)
        data = self._state_bytes(state, ledger)
        self._write_ledger(ledger)
        self._write_state(data)
        return state

    def revisions(self, limit: int) -> list[Revision]:
        return []

    @contextmanager
    def hold(self, owner: str, *, take_over: bool = False) -> Iterator[None]:
        """As WeightStore.hold.

        Where a network disk does not carry locks from machine to machine, who starts last has the
        namespace, and the other ends before it next publishes.
        """
        with hold_namespace(self.directory, self.namespace):
            place = f"namespace {self.namespace.stem!r} in {self.directory}"
            holder = Holder(owner, secrets.token_hex(8), place, seconds=0.0)
            state = self.read_state()
            holder.begin(state)
            self._holders.append(holder)
            try:
                if state is not None:
                    self.update_state({})
                yield
            finally:
                self._holders.remove(holder)
                self._give_up(holder)

    def _own_state(self) -> dict[str, Any] | None:
        """The state, which is about to be written. NamespaceBusy if another learner has it now."""
        state = self.read_state()
        for holder in self._holders:
            holder.check(state)
        return state

    def _give_up(self, holder: Holder) -> None:
        with suppress(ExchangeError, OSError):  # it is in nobody's way
            state = self.read_state() or {}
            lease = Lease.of(state)
            if lease is not None and lease.holder == (holder.id, holder.process):
                left = {key: value for key, value in state.items() if key != KEY}
                self._write_state(self._state_bytes(left))

    def compact(self, limit: int) -> str | None:
        return None

    def _state_bytes(self, state: dict[str, Any], ledger: Ledger | None = None) -> bytes:
        """The state file, with this process's leases; says when there is little room for more."""
        for holder in self._holders:
            state[KEY] = holder.renewed()
        name = self.namespace.state_file
        data = state_bytes(state, str(self.directory / name))
        self._half.look(name, data, ledger)
        return data

    def _write_state(self, data: bytes) -> None:
        _write(self.directory / self.namespace.state_file, data)
        for holder in self._holders:  # not before: a write that failed is tried again
            holder.written_at = time.monotonic()

    def _write_ledger(self, ledger: Ledger | None) -> None:
        """Beside the one that the state names, which stays until the state names this one."""
        if ledger is not None:
            _write(self.directory / ledger.file, ledger.data)

    def _remove_ledgers(self, *, but: Mapping[str, Any]) -> None:
        """Delete all that the state just written does not name."""
        named = ledger_file(but)
        for path in self.directory.glob(f"{self.namespace.ledger_stem}-*"):
            if path.name != named and is_ledger_name(path.name, self.namespace):
                with suppress(OSError):
                    path.unlink()


@dataclass(frozen=True)
class LocalExampleStore:
    """Example files of ``namespace`` under ``root`` (the namespace's own folder, or ``root``)."""

    root: Path
    namespace: Namespace
    _reader: HeartbeatReader = field(
        default_factory=HeartbeatReader, init=False, repr=False, compare=False
    )
    _odd: Once = field(default_factory=Once, init=False, repr=False, compare=False)
    _own: OwnHeartbeats = field(
        default_factory=OwnHeartbeats, init=False, repr=False, compare=False
    )
    _silent: SilentWorkers = field(
        default_factory=SilentWorkers, init=False, repr=False, compare=False
    )

    @property
    def directory(self) -> Path:
        return self.root / self.namespace.examples_prefix

    @property
    def label(self) -> str:
        return str(self.directory)

    @property
    def local_dir(self) -> Path:
        return self.directory

    @passing_faults()
    def put(self, name: str, write: Callable[[Path], None]) -> None:
        require_example_name(name)
        self.directory.mkdir(parents=True, exist_ok=True)
        write(self.directory / name)

    @passing_faults()
    def list(self) -> list[str]:
        """As ExampleStore; only plain files of this directory, no links to others."""

        def scan() -> list[tuple[str, bool]]:
            with os.scandir(self.directory) as entries:
                return [(e.name, e.is_file(follow_symlinks=False)) for e in bounded(entries)]

        try:
            listed = momentarily(scan)
        except FileNotFoundError:
            return []
        odd = oldest_first(name for name, is_plain in listed if not is_plain)
        if not odd:
            self._odd.over()
        elif self._odd(text := f"{odd[0]} (1 of {len(odd):,}) is no plain file: left out"):
            emit(Incident(what="refused file", text=f"example file {text}"))
        return oldest_first(name for name, is_plain in listed if is_plain)

    @contextmanager
    def fetch(self, names: Sequence[str]) -> Iterator[Mapping[str, Path]]:
        with passing_faults():
            paths = {name: self.directory / name for name in names}
            there = {name: path for name, path in paths.items() if path.is_file()}
        yield there

    @passing_faults()
    def quarantine(self, name: str, reason: str) -> None:
        _move(self.directory / name, Quarantine(self.local_dir).add(name, reason))
        sync_directory(self.directory)

    @passing_faults()
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
        self._delete_silent()
        return deleted

    def _delete_silent(self) -> None:
        """Delete the heartbeats of workers that ended long ago."""

        def versions() -> dict[str, str]:
            with suppress(FileNotFoundError), os.scandir(self.directory / HEARTBEATS) as entries:
                named = [e for e in bounded(entries) if is_heartbeat_name(e.name)]
                return {e.name: str(e.stat(follow_symlinks=False).st_mtime_ns) for e in named}
            return {}

        for name in self._silent.find(versions):
            (self.directory / HEARTBEATS / name).unlink(missing_ok=True)

    @passing_faults()
    def archive(self, names: Iterable[str]) -> int:
        moved: dict[Path, int] = {}
        for name in names:
            parsed = parse_example_name(name)
            if parsed is None:
                continue
            day = time.gmtime(min(parsed.unix_seconds, _LAST_DAY))
            folder = self.directory / ARCHIVE / time.strftime("%Y-%m-%d", day)
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                _move(self.directory / name, folder / name)
                moved[folder] = moved.get(folder, 0) + 1
        for folder in moved:
            sync_directory(folder)
        if moved:
            sync_directory(self.directory)
        self._delete_silent()
        return sum(moved.values())

    @passing_faults()
    def beat(self, heartbeat: Heartbeat) -> None:
        folder = self.directory / HEARTBEATS
        own_folder(folder)
        self._own.look(heartbeat.worker_id, lambda name: _read(folder / name, MAX_BYTES))
        write_atomic(folder / heartbeat_name(heartbeat.worker_id), heartbeat.to_bytes())
        self._own.sent(heartbeat)

    @passing_faults()
    def heartbeats(self) -> dict[str, Heartbeat]:
        files = {}
        with suppress(FileNotFoundError), os.scandir(self.directory / HEARTBEATS) as entries:
            for entry in bounded(entries):
                if is_heartbeat_name(entry.name) and entry.is_file(follow_symlinks=False):
                    data = _read(Path(entry.path), MAX_BYTES, follow=False)
                    if data is not None:
                        files[entry.name] = data
        return self._reader.read(files)

    def waiting(self) -> int:
        return 0

    def close(self, grace: float) -> int:
        return 0

    def compact(self, limit: int) -> str | None:
        return None


def _read(path: Path, limit: int, *, follow: bool = True) -> bytes | None:
    """The file's bytes (of a longer file, one more than ``limit``); None where there is none."""
    try:
        return momentarily(lambda: read_plain(path, limit, follow=follow))
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    momentarily(lambda: write_atomic(path, data))


def _move(source: Path, target: Path) -> None:
    """Rename ``source``; on a disk of a network it may say that it is gone when it has just been.

    Raises:
        FileNotFoundError: neither is there. OSError.
    """
    try:
        os.replace(source, target)
    except FileNotFoundError:
        if not target.is_file():
            raise
