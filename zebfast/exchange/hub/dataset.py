"""Example files in a repository of the Hub: one commit for everything that was spooled."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from zebfast.exchange.errors import ExchangeError
from zebfast.exchange.heartbeat import HEARTBEATS
from zebfast.exchange.hub.client import Conflict, HubClient
from zebfast.exchange.hub.examples import RemoteFile
from zebfast.exchange.hub.history import History
from zebfast.exchange.hub.uploader import Content
from zebfast.exchange.names import bounded
from zebfast.exchange.place import StoreOptions

_LOG = logging.getLogger(__name__)
_DOWNLOADS = 8
_PATHS_A_CALL = 500


class Folder:
    """The transport: a folder (or the root, with an empty prefix) of the dataset ``repo_id``.

    It is made, private, when first needed. Where there is no such dataset but a model repository of
    that name, the files lie there, as the published ones do.
    """

    quota = True  # of commits an hour

    def __init__(self, repo_id: str, prefix: str, *, options: StoreOptions) -> None:
        self._client, self._repo_id = HubClient(repo_id, options=options), repo_id
        self._prefix = prefix
        self.label = f"{repo_id}/{prefix}".rstrip("/")
        self._kind: str | None = None
        self._history: History | None = None
        self._said_missing = False

    def entries(self, folder: str = "") -> dict[str, RemoteFile]:
        repo = self._find_repo()
        if repo is None:
            # Once: nothing there may be a wrong name, or a token that does not see it.
            if not self._said_missing:
                _LOG.info(
                    f"No dataset {self._repo_id} on the Hub yet: the first upload makes it (if it "
                    "is there, HF_TOKEN does not belong to somebody who may read it)"
                )
                self._said_missing = True
            return {}
        from huggingface_hub.errors import EntryNotFoundError

        path = self._path(folder) if folder else self._prefix
        where = {"path_in_repo": path} if path else {}

        def look() -> list[Any]:
            try:
                return list(bounded(self._client.api.list_repo_tree(**where, **repo)))
            except EntryNotFoundError:
                return []  # nobody has put anything there yet

        return self._entries_of(self._client.once(look))

    def find(self, names: Sequence[str]) -> dict[str, RemoteFile]:
        repo = self._find_repo()
        return {} if repo is None else self._client.call(lambda: self._find_in(repo, names))

    def _find_in(self, repo: dict[str, str], names: Sequence[str]) -> dict[str, RemoteFile]:
        found: dict[str, RemoteFile] = {}
        paths = [self._path(name) for name in names]
        for start in range(0, len(paths), _PATHS_A_CALL):
            part = paths[start : start + _PATHS_A_CALL]
            found |= self._entries_of(self._client.api.get_paths_info(paths=part, **repo))
        return found

    def _entries_of(self, items: Sequence[Any]) -> dict[str, RemoteFile]:
        found, own = {}, self._path("")
        for item in items:
            size = getattr(item, "size", None)  # folders have none
            if type(size) is int and isinstance(item.path, str):
                large = getattr(item, "lfs", None)
                found[item.path.removeprefix(own)] = RemoteFile(
                    size, large and large.sha256, item.blob_id
                )
        return found

    def send(self, files: Mapping[str, Content]) -> None:
        names = [name for name in files if not name.startswith(f"{HEARTBEATS}/")] or list(files)
        title = f"Add {len(names)} example files" if len(names) > 1 else f"Add {names[0]}"

        def send() -> None:
            from huggingface_hub import CommitOperationAdd

            repo, api = self._find_repo(), self._client.api
            if repo is None:
                repo = {"repo_id": self._repo_id, "repo_type": "dataset"}
                api.create_repo(private=True, exist_ok=True, **repo)
                self._kind = "dataset"
            adds = [
                CommitOperationAdd(self._path(name), data if isinstance(data, bytes) else str(data))
                for name, data in files.items()
            ]
            api.create_commit(operations=adds, commit_message=title, **repo)

        self._client.once(send)

    def download(self, names: Sequence[str], directory: Path) -> tuple[list[str], str | None]:
        repo = self._find_repo()
        if repo is None or not names:
            return [], None
        with ThreadPoolExecutor(min(_DOWNLOADS, len(names))) as pool:
            running: dict[str, Future[bool]] = {
                name: pool.submit(self._client.once, lambda n=name: self._fetch(repo, n, directory))
                for name in names
            }
            # With the Hub gone every file would be tried for half a minute: the first shows it.
            wait(running.values(), return_when=FIRST_EXCEPTION)
            if any(_failure(future) for future in running.values()):
                pool.shutdown(wait=True, cancel_futures=True)
        came, problem = [], None
        for name, future in running.items():
            error = _failure(future)
            if error is None:
                came += [name] if not future.cancelled() and future.result() else []
            elif isinstance(error, ExchangeError):
                problem = str(error)
            else:
                raise error
        return came, problem

    def _fetch(self, repo: dict[str, str], name: str, directory: Path) -> bool:
        """Download one file as ``directory/name``; False when it has gone."""
        from huggingface_hub.errors import RemoteEntryNotFoundError

        try:
            path = self._client.api.hf_hub_download(
                filename=self._path(name), local_dir=directory / f"{Path(name).name}.d", **repo
            )
        except RemoteEntryNotFoundError:
            return False
        (directory / name).parent.mkdir(exist_ok=True)
        Path(path).rename(directory / name)
        return True

    def remove(self, names: Sequence[str]) -> int:
        repo = self._find_repo()
        if repo is None:
            return 0
        there: set[str] = set()  # all that any attempt found

        def remove() -> None:
            from huggingface_hub import CommitOperationDelete
            from huggingface_hub.errors import EntryNotFoundError

            found = sorted(self._find_in(repo, names))
            there.update(found)
            if not found:
                return
            deletes = [CommitOperationDelete(self._path(name)) for name in found]
            title = f"Delete {len(found)} example files that were trained on"
            try:
                self._client.api.create_commit(operations=deletes, commit_message=title, **repo)
            except EntryNotFoundError as error:
                raise Conflict(f"{self.label}: {error}") from error

        self._client.call(remove)
        return len(there)

    def compact(self, limit: int) -> str | None:
        repo = self._find_repo()
        if repo is None:
            return None
        if self._history is None:
            self._history = History(self._client, repo)
        return self._history.compact(limit)

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _find_repo(self) -> dict[str, str] | None:
        """The library's arguments for the repository; None while there is neither kind."""

        def existing_kind() -> str | None:
            from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

            for kind in ("dataset", "model"):
                try:
                    self._client.api.repo_info(self._repo_id, repo_type=kind)
                    return kind
                except GatedRepoError:
                    raise
                except RepositoryNotFoundError:
                    continue
            return None

        self._kind = self._kind or self._client.call(existing_kind)
        return {"repo_id": self._repo_id, "repo_type": self._kind} if self._kind else None


def _failure(future: Future[bool]) -> BaseException | None:
    return future.exception() if future.done() and not future.cancelled() else None
