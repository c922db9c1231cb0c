"""Commits of a Hub repository: all of them to list and squash, one of them to read."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from zebfast.exchange.errors import ExchangeError, TransientError
from zebfast.exchange.hub.client import HubClient
from zebfast.exchange.names import Namespace
from zebfast.exchange.state import (
    MAX_JSON_BYTES,
    MAX_LEDGER_BYTES,
    MAX_OLD_STATE_BYTES,
    parse_object,
    parse_state,
)

_LOOK_SECONDS = 3600.0  # counting thousands of commits takes dozens of calls


class History:
    """The commits of one repository; ``repo`` are the library's repo_id and repo_type."""

    def __init__(self, client: HubClient, repo: dict[str, str]) -> None:
        self._client, self._repo = client, repo
        self._looked: float | None = None

    def commits(self) -> list[Any]:
        """The library's commit records, newest first. Raises ExchangeError and its kinds."""
        found = self._client.once(lambda: self._client.api.list_repo_commits(**self._repo))
        return list(found)

    def compact(self, limit: int) -> str | None:
        """Squash into one commit if there are more than ``limit`` (0: never); looks once an hour.

        Returns the line that announces it. Earlier revisions cannot be read any more.
        """
        now = time.monotonic()
        if limit <= 0 or (self._looked is not None and now - self._looked < _LOOK_SECONDS):
            return None
        count = len(self.commits())
        if count <= limit:
            self._looked = now
            return None
        message = f"Squash {count} commits"
        api = self._client.api
        self._client.call(lambda: api.super_squash_history(commit_message=message, **self._repo))
        self._looked = now
        return (
            f"Squashed the {count:,} commits of {self._client.place} into one "
            f"(more than {limit:,}): earlier revisions are gone"
        )


@dataclass(frozen=True)
class Version:
    """One commit: sizes of the namespace's files in it, and its state."""

    sha: str
    sizes: Mapping[str, int]
    state: dict[str, Any] | None


def sizes_of(found: Iterable[Any]) -> dict[str, int]:
    """Bytes of the files of a listing by path. TransientError for an answer of another form."""
    files = [(item.path, item.size) for item in found if hasattr(item, "size")]
    if not all(isinstance(p, str) and type(size) is int and size >= 0 for p, size in files):
        raise TransientError("the Hub listed a file without a path or a size")
    return dict(files)


class VersionReader:
    """Reads versions of ``namespace`` in ``repo_id``, each from one commit and from no other.

    The newest one read is kept.
    Nothing here is retried: callers wrap what must be done together in ``HubClient.call``.
    """

    def __init__(self, client: HubClient, repo_id: str, namespace: Namespace) -> None:
        self._client, self._repo_id, self._namespace = client, repo_id, namespace
        self._last: Version | None = None

    def at(self, revision: str | None = None) -> Version | None:
        """The version at ``revision`` (default: now); None while there is no repository.

        It is first found out which commit that is, and everything is read from that commit: no
        cache on the way can answer with something older.
        """
        from huggingface_hub.errors import (
            GatedRepoError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        api = self._client.api
        try:
            sha = str(api.repo_info(self._repo_id, revision=revision).sha)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            return None
        if self._last is not None and self._last.sha == sha:
            return self._last
        names = self._namespace
        paths = [names.weights_file, names.config_file, names.state_file]
        try:
            found = api.get_paths_info(self._repo_id, paths, revision=sha)
            version = Version(sha, sizes_of(found), None)
            if names.state_file in version.sizes:
                data = self.read(version, names.state_file, limit=MAX_OLD_STATE_BYTES)
                state = parse_state(data, self.source(names.state_file, version))
                version = Version(sha, version.sizes, state)
        except RevisionNotFoundError as error:
            raise TransientError(f"{self._repo_id}: its history was just squashed") from error
        if revision is None:
            self._last = version
        return version

    def state_times(self) -> tuple[float, float] | None:
        """The Hub's own clock, and when by that it got the state that is there now.

        None where it does not say, for whatever reason.
        """

        def ask() -> tuple[float, float]:
            from huggingface_hub.utils import get_session

            api = self._client.api
            [found] = api.get_paths_info(self._repo_id, [self._namespace.state_file], expand=True)
            answer = get_session().head(api.endpoint)
            now = parsedate_to_datetime(answer.headers["Date"])
            return now.timestamp(), found.last_commit.date.timestamp()

        try:
            return self._client.once(ask)
        except (ExchangeError, AttributeError, KeyError, TypeError, ValueError):
            return None

    def config(self, version: Version) -> dict[str, Any] | None:
        name = self._namespace.config_file
        if name not in version.sizes:
            return None
        data = self.read(version, name, limit=MAX_JSON_BYTES)
        return parse_object(data, self.source(name, version))

    def ledger(self, version: Version, name: str) -> bytes | None:
        """The file ``name`` that the state of the version names for its ledger; None without it."""
        found = self._client.api.get_paths_info(self._repo_id, [name], revision=version.sha)
        sizes = sizes_of(found)
        if name not in sizes:
            return None
        return self.read(Version(version.sha, sizes, None), name, limit=MAX_LEDGER_BYTES)

    def read(self, version: Version, name: str, *, limit: int | None = None) -> bytes:
        """A file of the version, downloaded afresh; of a longer one than ``limit``, too much."""
        if limit is not None and version.sizes[name] > limit:
            return bytes(limit + 1)
        with tempfile.TemporaryDirectory() as directory:
            path = self._client.api.hf_hub_download(
                self._repo_id, name, revision=version.sha, local_dir=directory
            )
            return Path(path).read_bytes()

    def source(self, name: str, version: Version) -> str:
        return f"{self._repo_id}/{name} at {version.sha[:8]}"
