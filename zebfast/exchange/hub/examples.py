"""Example files and heartbeats that are far away: what repositories and buckets have in common.

``Transport`` is all that tells the two apart: a folder that can be listed, sent to and fetched
from. Above it stand the store of example files and, beside it, the reader of heartbeats.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zebfast.exchange.errors import ExchangeError, TransientError, passing_faults
from zebfast.exchange.heartbeat import (
    HEARTBEATS,
    MAX_BYTES,
    Heartbeat,
    HeartbeatReader,
    OwnHeartbeats,
    SilentWorkers,
    heartbeat_name,
    is_heartbeat_name,
    too_long,
)
from zebfast.exchange.hub.spool import OwnDirectory, Spool
from zebfast.exchange.hub.uploader import Content, Uploader
from zebfast.exchange.names import MAX_EXAMPLE_FILE_BYTES, oldest_first, parse_example_name
from zebfast.exchange.place import StoreOptions
from zebfast.exchange.quarantine import Quarantine
from zebfast.system.events import Incident, emit
from zebfast.system.files import file_mark
from zebfast.system.retry import Once


@dataclass(frozen=True)
class RemoteFile:
    """A file as the far side lists it; ``sha256`` None where it does not say.

    ``version`` changes with the content.
    """

    size: int
    sha256: str | None
    version: str


class Transport(Protocol):
    """One folder far away. Everything raises ExchangeError and its kinds.

    Names are those of files in it: ``NAME``, or ``FOLDER/NAME`` for one in a folder below.
    """

    @property
    def label(self) -> str: ...

    @property
    def quota(self) -> bool:
        """Is there a limit to how often something can be sent?"""

    def entries(self, folder: str = "") -> dict[str, RemoteFile]:
        """Files directly in it, or in this folder of it, by name; empty while it does not exist."""

    def find(self, names: Sequence[str]) -> dict[str, RemoteFile]:
        """Those of ``names`` that exist."""

    def send(self, files: Mapping[str, Content]) -> None:
        """Upload files under these names, all or none; makes the place if needed."""

    def download(self, names: Sequence[str], directory: Path) -> tuple[list[str], str | None]:
        """Fetch files as ``directory/name``: those that came, and why not all did."""

    def remove(self, names: Sequence[str]) -> int:
        """Delete those of ``names`` that exist; how many."""

    def compact(self, limit: int) -> str | None:
        """As ExampleStore.compact."""


def listed_heartbeats(transport: Transport) -> dict[str, RemoteFile]:
    """The heartbeats that are there, by path; nothing else, however it got there."""
    found = {}
    for path, entry in transport.entries(HEARTBEATS).items():
        folder, _, name = path.rpartition("/")
        if folder == HEARTBEATS and is_heartbeat_name(name):
            found[path] = entry
    return found


class RemoteHeartbeats:
    """Reads the heartbeats of one place; only what has changed is fetched again.

    Args:
        scratch: makes a directory for downloads when one is needed.
    """

    def __init__(self, transport: Transport, scratch: Callable[[], Path]) -> None:
        self._transport, self._scratch = transport, scratch
        self._reader = HeartbeatReader()
        self._seen: dict[str, tuple[str, bytes]] = {}  # version and content, by name

    def read(self) -> dict[str, Heartbeat]:
        """As ExampleStore.heartbeats. One that is renewed while it is fetched is fetched again."""
        problem = self._look() and self._look()
        if problem:  # in a part of them, whoever is missing would seem dead
            raise TransientError(problem)
        return self._reader.read({Path(p).name: data for p, (_, data) in self._seen.items()})

    def _look(self) -> str | None:
        """List them and fetch what has changed; why not everything came, if it did not."""
        before, self._seen = self._seen, {}
        wanted = {}
        for path, entry in listed_heartbeats(self._transport).items():
            name = path.rpartition("/")[2]
            if entry.size > MAX_BYTES:
                self._reader.refuse(name, str(too_long(name, entry.size)))
            elif path in before and before[path][0] == entry.version:
                self._seen[path] = before[path]
            else:
                wanted[path] = entry.version
        if not wanted:
            return None
        with tempfile.TemporaryDirectory(dir=self._scratch()) as made:
            came, problem = self._transport.download(list(wanted), Path(made))
            for path in came:
                with open(Path(made, path), "rb") as handle:  # a byte more shows that it is long
                    self._seen[path] = (wanted[path], handle.read(MAX_BYTES + 1))
        return problem


class RemoteExampleStore:
    """An ExampleStore over a transport: spool, uploads, downloads and quarantine.

    ``local_dir`` holds ``spool/`` (waiting files), ``incoming/`` (files being read) and ``bad/``
    (copies of quarantined files, each with its reason; their names are left out of listings for
    good, and the far side's copies are deleted with the next deletion).
    """

    def __init__(self, transport: Transport, local_dir: Path, *, options: StoreOptions) -> None:
        self._transport, self.label, self.local_dir = transport, transport.label, local_dir
        self._quarantine = Quarantine(local_dir)
        self._spool = Spool(local_dir / "spool")
        self._uploader = Uploader(
            self._spool,
            send=self._send,
            missing=self._missing,
            label=transport.label,
            quota=transport.quota,
            options=options,
        )
        self._incoming: OwnDirectory | None = None
        self._sizes: dict[str, int] = {}
        self._open: dict[str, Path] = {}
        self._quarantined: set[str] | None = None
        self._undeleted: set[str] = set()
        self._silent = SilentWorkers()
        self._is_new = Once()
        self._beats = RemoteHeartbeats(transport, self._scratch)
        self._own = OwnHeartbeats(seconds=options.upload_interval)
        self._beating: Heartbeat | None = None

    def put(self, name: str, write: Callable[[Path], None]) -> None:
        with passing_faults():
            self._spool.put(name, write)
            self._uploader.wake()
        self._uploader.check()  # after spooling: whoever ends for it loses nothing

    def beat(self, heartbeat: Heartbeat) -> None:
        name = f"{HEARTBEATS}/{heartbeat_name(heartbeat.worker_id)}"
        self._beating = heartbeat
        self._uploader.beat(name, heartbeat.to_bytes(), at_once=heartbeat.phase == "failed")

    def _send(self, files: Mapping[str, Content]) -> None:
        """In the uploader's thread."""
        beat = self._beating
        is_beat = beat is not None and f"{HEARTBEATS}/{heartbeat_name(beat.worker_id)}" in files
        if beat is not None and is_beat:
            self._own.look(beat.worker_id, self._far_beat)
        self._transport.send(files)
        if beat is not None and is_beat:
            self._own.sent(beat)

    def _far_beat(self, name: str) -> bytes | None:
        path = f"{HEARTBEATS}/{name}"
        with tempfile.TemporaryDirectory() as made:
            came, _ = self._transport.download([path], Path(made))
            if path not in came:
                return None
            with open(Path(made, path), "rb") as handle:
                return handle.read(MAX_BYTES + 1)

    def heartbeats(self) -> dict[str, Heartbeat]:
        return self._beats.read()

    @passing_faults()
    def waiting(self) -> int:
        return len(self._spool.names())

    @passing_faults()
    def close(self, grace: float) -> int:
        left = self._uploader.close(grace)
        if not self._uploader.is_running:
            self._spool.release()
        if self._incoming is not None:
            self._incoming.remove()
            self._incoming = None
        return left

    def _missing(self, paths: Sequence[Path]) -> Sequence[Path]:
        there = self._transport.find([path.name for path in paths])
        return [path for path in paths if not _is_same(path, there.get(path.name))]

    @passing_faults()
    def list(self) -> list[str]:
        wanted = []
        entries = self._transport.entries()
        quarantined = self._known_bad()
        for name in oldest_first(entries):
            entry = entries[name]
            if name not in quarantined and entry.size > MAX_EXAMPLE_FILE_BYTES:
                reason = f"{entry.size:,} bytes; expected at most {MAX_EXAMPLE_FILE_BYTES:,}"
                self._refuse(name, reason)
                text = f"example file {name} is refused: {reason}"
                emit(Incident(what="refused file", text=text))
            if name not in quarantined:
                wanted.append(name)
            elif (self._quarantine.directory / name).exists():
                self._undeleted.add(name)
        self._sizes = {name: entry.size for name, entry in entries.items()}
        return wanted

    @contextmanager
    def fetch(self, names: Sequence[str]) -> Iterator[Mapping[str, Path]]:
        with ExitStack() as held:
            with passing_faults():
                paths = self._downloaded(names, held)
            outer = self._open
            self._open = {**outer, **paths}
            try:
                yield paths
            finally:
                self._open = outer

    def _downloaded(self, names: Sequence[str], held: ExitStack) -> dict[str, Path]:
        """Those of the files that came whole, by name, in a directory that goes with ``held``."""
        made = tempfile.TemporaryDirectory(dir=self._scratch(), ignore_cleanup_errors=True)
        directory, paths = Path(held.enter_context(made)), {}
        came, problem = self._transport.download(names, directory)
        for name in came:
            size = (directory / name).stat().st_size
            if size == self._sizes.get(name, size):
                paths[name] = directory / name
            else:
                problem = f"{name} came with {size:,} bytes instead of {self._sizes[name]:,}"
        self._report(problem)
        return paths

    def _report(self, problem: str | None) -> None:
        """Say what keeps files from coming, once until it changes."""
        if not problem:
            self._is_new.over()
        elif self._is_new(problem):
            text = f"  download error (will retry): {problem}"
            emit(Incident(what="exchange", text=text))

    def _scratch(self) -> Path:
        if self._incoming is None:
            parent = self.local_dir / "incoming"
            for left in OwnDirectory.abandoned(parent):
                left.remove()
            self._incoming = OwnDirectory.create(parent)
        return self._incoming.path

    def quarantine(self, name: str, reason: str) -> None:
        copy = self._refuse(name, reason)
        if name not in self._open:
            with self.fetch([name]) as paths:
                if name not in paths:
                    return  # without a copy here, the one there is left alone
                shutil.copyfile(paths[name], copy)
        else:
            shutil.copyfile(self._open[name], copy)
        self._undeleted.add(name)

    def _refuse(self, name: str, reason: str) -> Path:
        """Leave ``name`` out of all listings from now on; where a copy of it belongs."""
        copy = self._quarantine.add(name, reason)
        self._known_bad().add(name)
        return copy

    def _known_bad(self) -> set[str]:
        """Names quarantined here, in this run or an earlier one."""
        if self._quarantined is None:
            self._quarantined = set(self._quarantine.reasons())
        return self._quarantined

    def delete(self, names: Iterable[str]) -> int:
        wanted = {name for name in names if parse_example_name(name) is not None}
        wanted |= self._undeleted  # quarantined files go with the next commit that deletes anything
        if not wanted:
            return 0
        wanted.update(self._silent.find(self._heartbeat_versions))  # of workers that ended long ago
        deleted = self._transport.remove(sorted(wanted))
        self._undeleted.clear()
        return deleted

    def _heartbeat_versions(self) -> dict[str, str]:
        return {path: entry.version for path, entry in listed_heartbeats(self._transport).items()}

    def archive(self, names: Iterable[str]) -> int:
        return 0  # the Hub itself has limits to what a repository may list

    def compact(self, limit: int) -> str | None:
        return self._transport.compact(limit)


def example_directory(kind: str, place: str, stem: str, options: StoreOptions) -> Path:
    """Where a machine keeps its own files for the examples of one namespace."""
    owner, _, name = place.partition("/")
    if not owner or not name or "/" in name:
        raise ExchangeError(f"{place} cannot be a {kind} on the Hub: expected owner/name")
    return options.state_dir / f"examples-{kind}-{owner}--{name}-{stem}"


def _is_same(path: Path, entry: RemoteFile | None) -> bool:
    if entry is None or entry.size != path.stat().st_size:
        return False
    if entry.sha256 is None:
        return True
    return file_mark(path).sha256 == entry.sha256
