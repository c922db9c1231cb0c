"""Saved training states at a far place: where a run goes on when its machine is gone.

Below the place lies a folder for every state, and ``latest.json``, which names them newest first.
A state's files are sent first, its manifest then, ``latest.json`` last, and only what that names no
more is deleted; so a reader finds complete states whenever it looks, and still checks them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from zebfast.exchange.errors import ExchangeError
from zebfast.exchange.mirror.manifest import (
    MANIFEST,
    POINTER,
    IncompleteState,
    Manifest,
    folders_bytes,
    is_folder,
    parse_manifest,
    read_folders,
)
from zebfast.exchange.names import Namespace
from zebfast.exchange.place import StoreOptions
from zebfast.system.background import BackgroundSender
from zebfast.system.events import Incident, emit
from zebfast.system.retry import Once, doubling

_LOG = logging.getLogger(__name__)
_HUB = "hf://"
_IN_BUCKETS = ("s3", "s3a", "gs", "gcs")
_BUCKETS = "buckets/"
_MAX_PAUSE_SECONDS = 300.0


class FarPlace(Protocol):
    """Somewhere that files go. All faults are ExchangeErrors, the passing ones TransientErrors."""

    @property
    def label(self) -> str:
        """Where this is, for people."""

    def probe(self) -> None:
        """Find out whether files can be read and written here."""

    def folders(self) -> list[str]:
        """Names of all folders directly below this place."""

    def read(self, name: str) -> bytes | None:
        """A small file; None if there is none."""

    def fetch(self, folder: str, names: Sequence[str], directory: Path) -> None:
        """Download files of a folder; those that are not there are left out."""

    def replace(
        self, folder: str, paths: Sequence[Path], pointer: bytes, drop: Sequence[str]
    ) -> None:
        """Send ``paths`` in order to ``folder``, then ``latest.json``; then delete ``drop``."""


class ForeignStates(ExchangeError):
    """The place holds states of another run, which must not be touched."""


class Mirror:
    """The states of one namespace at a far place. One process writes at a time: its learner."""

    def __init__(self, place: FarPlace) -> None:
        self._place, self.label = place, place.label
        self._said_damaged = False

    def probe(self) -> None:
        """Raises ExchangeError if states cannot be kept there, TransientError if not just now."""
        self._place.probe()

    def states(self, *, aloud: bool = True) -> Iterator[Manifest]:
        """What is there with a manifest, newest first; ``aloud``: what is missing of it is said."""
        pointer = self._pointer()
        named = [] if pointer is None else pointer[1]
        for folder in named or self._by_step():
            try:
                yield self._manifest(folder)
            except IncompleteState as error:
                if named and aloud:
                    _LOG.info(f"  {self.label}: {error}; looking at the state before it")

    def fetch(self, manifest: Manifest, directory: Path) -> Manifest:
        """Download a state into ``directory``. IncompleteState where it is not whole."""
        self._place.fetch(manifest.folder, list(manifest.files), directory)
        manifest.check(directory)
        return manifest

    def add(self, directory: Path, manifest: Manifest, *, keep: int) -> None:
        """Send a complete state and forget all but the newest ``keep``. May be repeated.

        Raises:
            ForeignStates: nothing was changed.
            ExchangeError and its kinds: a reader sees the state that was the newest before.
        """
        known = self.refuse_foreign(manifest.lineage)
        kept = [manifest.folder, *(name for name in known if name != manifest.folder)][:keep]
        drop = sorted(set(self._folders()) - set(kept))
        paths = [directory / name for name in (*manifest.files, MANIFEST)]
        if self._is_there(manifest):
            if not drop and known[:1] == [manifest.folder]:
                return
            paths = []
        self._place.replace(manifest.folder, paths, folders_bytes(manifest.lineage, kept), drop)

    def is_ahead(self, manifest: Manifest) -> bool:
        """Is there another state of this lineage that is at least as far?"""
        return any(
            found.lineage == manifest.lineage
            and found.folder != manifest.folder
            and found.standing >= manifest.standing
            for found in self.states(aloud=False)
        )

    def refuse_foreign(self, lineage: str) -> list[str]:
        """The folders of ``lineage``, newest first; ForeignStates if there are any of another."""
        pointer = self._pointer()
        if pointer is None:  # the states themselves say whose they are
            states = list(self.states())
            owners = {state.lineage for state in states}
            known = [state.folder for state in states]
        else:
            owners, known = {pointer[0]}, pointer[1]
        for other in sorted(owners - {lineage}):
            raise ForeignStates(
                f"{self.label} holds training states of another run (lineage {other}, this one is "
                f"{lineage}): give this run a --sync-to of its own, or empty that place"
            )
        return known

    def _pointer(self) -> tuple[str, list[str]] | None:
        data = self._place.read(POINTER)
        try:
            return None if data is None else read_folders(data)
        except IncompleteState as error:
            if not self._said_damaged:
                _LOG.info(f"  {self.label}: {error}; looking for the states themselves")
            self._said_damaged = True
            return None

    def _folders(self) -> list[str]:
        return [name for name in self._place.folders() if is_folder(name)]

    def _by_step(self) -> list[str]:
        """Folders, the highest step first; of one step, in no particular order."""
        return sorted(self._folders(), key=lambda name: int(name.split("-")[1]), reverse=True)

    def _manifest(self, folder: str) -> Manifest:
        data = self._place.read(f"{folder}/{MANIFEST}")
        if data is None:
            raise IncompleteState(f"{folder} was not sent completely, or is gone")
        return parse_manifest(data, folder)

    def _is_there(self, manifest: Manifest) -> bool:
        try:
            return self._manifest(manifest.folder) == manifest
        except IncompleteState:
            return False


def counts_commits(url: str | None) -> bool:
    """Is this a place where every state is a commit, of which there may be so many an hour?"""
    return url is not None and url.startswith(_HUB) and not url.startswith(_HUB + _BUCKETS)


def check_sync_url(url: str) -> None:
    """ValueError (one sentence) for a --sync-to that cannot be a place of training states."""
    parts = urlsplit(url)
    if not parts.scheme or "://" not in url:
        raise ValueError(
            f"--sync-to {url} is no URL: expected one like s3://bucket/folder, hf://owner/name or "
            "file:///directory"
        )
    if "@" in parts.netloc or parts.query:
        raise ValueError(
            "--sync-to has a user, password or key in it, which would end up in logs: give a "
            "plain URL, and credentials by the environment (AWS_ACCESS_KEY_ID, HF_TOKEN, ...)"
        )
    if parts.scheme == "memory":
        raise ValueError(
            f"--sync-to {url} would keep nothing beyond this process: expected a URL like "
            "s3://bucket/folder, hf://owner/name or file:///directory"
        )
    if not (parts.netloc if parts.scheme in _IN_BUCKETS else parts.netloc + parts.path).strip("/"):
        what = "bucket" if parts.scheme in _IN_BUCKETS else "directory"
        raise ValueError(
            f"--sync-to {url} names no {what}: expected {parts.scheme}://"
            + ("bucket/folder" if what == "bucket" else "/directory")
        )
    if url.startswith(_HUB):
        path = url.removeprefix(_HUB).removeprefix(_BUCKETS)
        owner, _, rest = path.partition("/")
        if not owner or not rest.split("/")[0] or owner in ("datasets", "spaces", "models"):
            raise ValueError(
                f"--sync-to {url} is no place on the Hub: expected hf://owner/name (a model "
                "repository) or hf://buckets/owner/name"
            )


def open_mirror(
    url: str,
    namespace: Namespace,
    *,
    endpoint: str | None,
    options: StoreOptions,
    squash_after: int,
) -> Mirror:
    """The states of ``namespace`` below ``url``; nothing is asked there yet.

    ``endpoint`` is the address of an S3-compatible service; ``squash_after`` is for a repository.

    Raises:
        ExchangeError: a package that is needed is missing, or nothing knows such URLs.
    """
    if url.startswith(_HUB):
        from zebfast.exchange.mirror.hub_backend import BucketPlace, RepoPlace

        path = url.removeprefix(_HUB)
        is_bucket = path.startswith(_BUCKETS)
        owner, name, *folder = path.removeprefix(_BUCKETS).rstrip("/").split("/")
        prefix = "/".join([*folder, namespace.stem])
        if is_bucket:
            return Mirror(BucketPlace(f"{owner}/{name}", prefix, options=options))
        repo = RepoPlace(f"{owner}/{name}", prefix, options=options, squash_after=squash_after)
        return Mirror(repo)
    from zebfast.exchange.mirror.fsspec_backend import FsspecPlace

    return Mirror(FsspecPlace(f"{url.rstrip('/')}/{namespace.stem}", endpoint=endpoint))


@dataclass(frozen=True)
class _State:
    """A state on its way; ``is_left``: by a run before this one."""

    directory: Path
    manifest: Manifest
    is_left: bool


class MirrorThread:
    """Sends saved states beside training, one at a time; the newest one wins.

    ``submit`` returns at once; ``finish`` waits. Its faults never end the training.

    Args:
        mirror: where states go.
        keep: states that stay there.
        pause_seconds: least time between two states; above 0 for places that count commits.
        retry_seconds: pause after a failure; it doubles each time.
    """

    def __init__(
        self, mirror: Mirror, *, keep: int, pause_seconds: float, retry_seconds: float
    ) -> None:
        self.mirror, self._keep = mirror, keep
        self._is_new = Once()
        self._sender: BackgroundSender[_State] = BackgroundSender(
            self._send,
            name="mirror",
            failed=self._failed,
            sent=self._sent,
            retry=doubling(retry_seconds, longest=_MAX_PAUSE_SECONDS),
            rest=pause_seconds,
        )
        self.close = self._sender.close

    def submit(self, directory: Path, manifest: Manifest, *, is_left: bool = False) -> None:
        """Send this state as soon as may be; one that still waits is dropped, being older.

        One that ``is_left`` from an earlier run goes only where nothing is as far: what is newer
        there, as of another machine that went on meanwhile, stays the newest.
        """
        self._tell_of_the_end()
        self._sender.submit(_State(directory, manifest, is_left))

    def finish(self, seconds: float) -> bool:
        """Send what waits without more ado; False if it did not all arrive within ``seconds``."""
        is_done = self._sender.finish(seconds)
        self._tell_of_the_end()
        return is_done and self._sender.error is None

    def busy(self) -> set[str]:
        """Folders that are still needed here."""
        return {state.manifest.folder for state in self._sender.pending()}

    def _send(self, state: _State) -> None:
        if not state.directory.is_dir():
            raise FileNotFoundError(f"{state.directory} is gone")
        if not (state.is_left and self.mirror.is_ahead(state.manifest)):
            self.mirror.add(state.directory, state.manifest, keep=self._keep)

    def _failed(self, state: _State, error: Exception) -> bool:
        """Whatever it is, training goes on."""
        is_there = True
        with suppress(OSError):
            is_there = state.directory.is_dir()
        if is_there:
            text = f"  sync error (will retry): {error or type(error).__name__}"
        else:
            text = (
                f"  the snapshot of cycle {state.manifest.step} is not at {self.mirror.label} and "
                f"never will be: {state.directory} was deleted before it was sent; the next one "
                "takes its place"
            )
        if self._is_new(text):
            emit(Incident(what="exchange", text=text))
        return is_there

    def _tell_of_the_end(self) -> None:
        """A bug has ended the thread: that must be heard."""
        error = self._sender.error
        if error is not None:
            why = str(error) or type(error).__name__
            text = f"  no state is sent to {self.mirror.label} until the next start: {why}"
            if self._is_new(text):
                emit(Incident(what="exchange", text=text))

    def _sent(self, _state: _State) -> None:
        if self._is_new.over():
            _LOG.info(f"  sync to {self.mirror.label} works again")
