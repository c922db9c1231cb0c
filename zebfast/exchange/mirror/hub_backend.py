"""Training states on the Hub: in a model repository, or in a Storage Bucket."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from zebfast.exchange.hub.client import HubClient
from zebfast.exchange.hub.history import History
from zebfast.exchange.mirror.manifest import POINTER
from zebfast.exchange.names import bounded
from zebfast.exchange.place import StoreOptions
from zebfast.exchange.state import MAX_JSON_BYTES
from zebfast.system.files import read_plain

_LOG = logging.getLogger(__name__)


class RepoPlace:
    """The FarPlace in folder ``prefix`` of the model repository ``repo_id``, made private at need.

    A state, the pointer to it and the deletion of old ones are one commit. What is deleted stays in
    the repository's history until that is squashed, beyond ``squash_after`` commits.
    """

    def __init__(
        self, repo_id: str, prefix: str, *, options: StoreOptions, squash_after: int
    ) -> None:
        self._repo_id, self._prefix = repo_id, prefix
        self._client = HubClient(repo_id, options=options)
        self._history = History(self._client, {"repo_id": repo_id, "repo_type": "model"})
        self._squash_after = squash_after
        self.label = f"hf://{repo_id}/{prefix}"

    def probe(self) -> None:
        api = self._client.api

        def ask() -> None:
            api.create_repo(self._repo_id, private=True, exist_ok=True)
            api.auth_check(self._repo_id, write=True)

        self._client.call(ask)

    def folders(self) -> list[str]:
        from huggingface_hub.errors import EntryNotFoundError

        def look() -> list[str]:
            try:
                found = self._client.api.list_repo_tree(self._repo_id, self._prefix)
                return [item.path.rsplit("/", 1)[-1] for item in found]
            except EntryNotFoundError:
                return []

        return self._client.call(look)

    def read(self, name: str) -> bytes | None:
        with tempfile.TemporaryDirectory() as directory:
            path = self._download(name, Path(directory))
            return None if path is None else read_plain(path, MAX_JSON_BYTES)

    def fetch(self, folder: str, names: Sequence[str], directory: Path) -> None:
        for name in names:
            with tempfile.TemporaryDirectory(dir=directory) as own:
                path = self._download(f"{folder}/{name}", Path(own))
                if path is not None:
                    path.replace(directory / name)

    def _download(self, name: str, directory: Path) -> Path | None:
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        def download() -> str | None:
            api = self._client.api
            try:
                # From the commit itself: no cache on the way can answer with something older.
                sha = str(api.repo_info(self._repo_id).sha)
                found: str = api.hf_hub_download(
                    self._repo_id, f"{self._prefix}/{name}", revision=sha, local_dir=directory
                )
            except LocalEntryNotFoundError:
                raise
            except EntryNotFoundError:
                return None
            return found

        found = self._client.call(download)
        return None if found is None else Path(found)

    def replace(
        self, folder: str, paths: Sequence[Path], pointer: bytes, drop: Sequence[str]
    ) -> None:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations = [
            *(CommitOperationAdd(f"{self._prefix}/{folder}/{p.name}", str(p)) for p in paths),
            CommitOperationAdd(f"{self._prefix}/{POINTER}", pointer),
            *(CommitOperationDelete(f"{self._prefix}/{name}/", is_folder=True) for name in drop),
        ]
        title = f"training state {folder}"
        api = self._client.api
        self._client.once(
            lambda: api.create_commit(self._repo_id, operations, commit_message=title)
        )
        if line := self._history.compact(self._squash_after):
            _LOG.info(line)


class BucketPlace:
    """The FarPlace in folder ``prefix`` of the bucket ``bucket_id``, made private at need."""

    def __init__(self, bucket_id: str, prefix: str, *, options: StoreOptions) -> None:
        self._id, self._prefix = bucket_id, prefix
        self._client = HubClient(f"bucket {bucket_id}", options=options)
        self.label = f"hf://buckets/{bucket_id}/{prefix}"

    def probe(self) -> None:
        api, path = self._client.api, f"{self._prefix}/.probe"

        def write() -> None:
            api.create_bucket(self._id, private=True, exist_ok=True)
            api.batch_bucket_files(self._id, add=[(b"zebfast", path)])
            api.batch_bucket_files(self._id, delete=[path])

        self._client.call(write)

    def folders(self) -> list[str]:
        tails = [path.removeprefix(f"{self._prefix}/") for path in self._paths("")]
        return sorted({tail.split("/")[0] for tail in tails if "/" in tail})

    def _paths(self, below: str) -> list[str]:
        def look() -> list[str]:
            prefix = f"{self._prefix}/{below}"
            found = self._client.api.list_bucket_tree(self._id, prefix, recursive=True)
            return [item.path for item in bounded(found) if item.type == "file"]

        return self._client.once(look)

    def read(self, name: str) -> bytes | None:
        with tempfile.TemporaryDirectory() as directory:
            self._fetch([(f"{self._prefix}/{name}", Path(directory, "file"))])
            path = Path(directory, "file")
            return read_plain(path, MAX_JSON_BYTES) if path.exists() else None

    def fetch(self, folder: str, names: Sequence[str], directory: Path) -> None:
        self._fetch([(f"{self._prefix}/{folder}/{name}", directory / name) for name in names])

    def _fetch(self, wanted: Sequence[tuple[str, Path]]) -> None:
        api = self._client.api
        targets = dict(wanted)

        def download() -> None:
            found = list(api.get_bucket_paths_info(self._id, list(targets)))
            files = [(item, str(targets[item.path])) for item in found]
            if files:
                api.download_bucket_files(self._id, files)

        self._client.call(download)

    def replace(
        self, folder: str, paths: Sequence[Path], pointer: bytes, drop: Sequence[str]
    ) -> None:
        api = self._client.api
        files: list[tuple[str | bytes, str]] = [
            (str(path), f"{self._prefix}/{folder}/{path.name}") for path in paths
        ]
        # A batch is not one deed as a commit is, so what must come later is one of its own.
        for adds in (files[:-1], files[-1:], [(pointer, f"{self._prefix}/{POINTER}")]):
            if adds:
                self._client.once(partial(api.batch_bucket_files, self._id, add=adds))
        gone = [path for name in drop for path in self._paths(f"{name}/")]
        if gone:
            self._client.once(lambda: api.batch_bucket_files(self._id, delete=gone))
