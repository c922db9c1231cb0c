"""The Hub in memory: repositories with their commits, as much of its client as the program uses.

Between it and each machine lies a network: it may be away, slow, or lose the answer to what was
done.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
from huggingface_hub import CommitOperationAdd, errors

from tests.simulation.kernel import Kernel, Killed, Process

Tree = dict[str, bytes]


@dataclass
class Commit:
    commit_id: str
    title: str
    created_at: datetime
    tree: Tree


@dataclass
class Repository:
    commits: list[Commit] = field(default_factory=list)

    def at(self, revision: str | None) -> Commit:
        if revision in (None, "main"):
            return self.commits[-1]
        for commit in self.commits:
            if commit.commit_id == revision:
                return commit
        raise _refusal(errors.RevisionNotFoundError, 404, f"no revision {revision}")


class Hub:
    """All repositories, by kind and name.

    Attributes:
        away: until when a host, by name, does not reach it.
        loses: chance that an answer is lost, after what was asked has been done.
        fails: chance of an answer 503.
        watch: told of the process and the files of each commit after it was made.
    """

    def __init__(self, kernel: Kernel, rng: random.Random, epoch: float) -> None:
        self.kernel, self._rng, self._epoch = kernel, rng, epoch
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.away: dict[str, float] = {}
        self.loses = self.fails = 0.0
        self.watch: Callable[[Process, Mapping[str, bytes]], None] = lambda process, files: None
        self.n_commits = 0

    def repository(self, name: str, kind: str | None) -> Repository:
        found = self.repositories.get((kind or "model", name))
        if found is None:
            raise _refusal(errors.RepositoryNotFoundError, 404, f"no repository {name}")
        return found

    def tree(self, name: str, kind: str) -> Tree:
        found = self.repositories.get((kind, name))
        return found.commits[-1].tree if found is not None else {}

    def commit(self, repo: Repository, tree: Tree, title: str) -> Commit:
        self.n_commits += 1
        name = hashlib.sha1(f"{self.n_commits} {title}".encode()).hexdigest()
        when = datetime.fromtimestamp(int(self.unix()), UTC)
        made = Commit(name, title, when, tree)
        repo.commits.append(made)
        return made

    def unix(self) -> float:
        """Seconds by its own clock."""
        return self._epoch + self.kernel.now

    def asked(self) -> Process:
        """A request goes out. Raises what the network does to it."""
        task = self.kernel.current
        assert task is not None
        process = task.process
        if process.dead:
            raise Killed
        chance = self._rng.random()
        if chance < 0.05:
            self.kernel.block(self._rng.uniform(0, 40))
        if self.kernel.now < self.away.get(process.host.name, 0.0):
            raise httpx2.ConnectError("the network is away")
        if self._rng.random() < self.fails:
            raise _refusal(errors.HfHubHTTPError, 503, "Service Unavailable")
        return process

    def answered(self) -> None:
        """What was asked has been done."""
        if self._rng.random() < self.loses:
            raise httpx2.ReadTimeout("the answer was lost")


class Api:
    """What the program calls of HfApi, and of the session for questions of its own."""

    endpoint = "https://hub.invalid"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def head(self, _url: str) -> Any:
        self._hub.asked()
        return SimpleNamespace(headers={"Date": formatdate(self._hub.unix(), usegmt=True)})

    def repo_info(
        self, repo_id: str, *, revision: str | None = None, repo_type: str | None = None
    ) -> Any:
        self._hub.asked()
        commit = self._hub.repository(repo_id, repo_type).at(revision)
        return SimpleNamespace(sha=commit.commit_id)

    def create_repo(self, repo_id: str, *, repo_type: str | None = None, **_: Any) -> None:
        self._hub.asked()
        repo = self._hub.repositories.setdefault((repo_type or "model", repo_id), Repository())
        if not repo.commits:
            self._hub.commit(repo, {}, "initial commit")
        self._hub.answered()

    def get_paths_info(
        self,
        repo_id: str,
        paths: Sequence[str],
        *,
        revision: str | None = None,
        repo_type: str | None = None,
        expand: bool = False,
    ) -> list[Any]:
        self._hub.asked()
        repo = self._hub.repository(repo_id, repo_type)
        tree = repo.at(revision).tree
        return [_item(path, tree[path], repo, expand=expand) for path in paths if path in tree]

    def list_repo_tree(
        self, repo_id: str, path_in_repo: str | None = None, *, repo_type: str | None = None,
        **_: Any,
    ) -> list[Any]:  # fmt: skip
        self._hub.asked()
        repo = self._hub.repository(repo_id, repo_type)
        tree, prefix = repo.at(None).tree, f"{path_in_repo}/" if path_in_repo else ""
        found = [path for path in sorted(tree) if path.startswith(prefix)]
        if prefix and not found:
            raise _missing(path_in_repo or "")
        return [_item(p, tree[p], repo) for p in found if "/" not in p.removeprefix(prefix)]

    def hf_hub_download(
        self, repo_id: str, filename: str, *, local_dir: Any, revision: str | None = None,
        repo_type: str | None = None,
    ) -> str:  # fmt: skip
        self._hub.asked()
        tree = self._hub.repository(repo_id, repo_type).at(revision).tree
        if filename not in tree:
            raise _missing(filename)
        path = Path(local_dir, *filename.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tree[filename])
        return str(path)

    def create_commit(
        self,
        repo_id: str,
        operations: Sequence[Any],
        *,
        commit_message: str,
        repo_type: str | None = None,
        parent_commit: str | None = None,
    ) -> None:
        hub = self._hub
        files = {
            op.path_in_repo: _content(op) for op in operations if isinstance(op, CommitOperationAdd)
        }
        process = hub.asked()
        repo = hub.repository(repo_id, repo_type)
        head = repo.commits[-1]
        if parent_commit is not None and parent_commit != head.commit_id:
            raise _refusal(errors.HfHubHTTPError, 412, "A commit has happened since.")
        tree = dict(head.tree)
        for operation in operations:
            if (
                operation.path_in_repo not in files
                and tree.pop(operation.path_in_repo, None) is None
            ):
                raise _missing(operation.path_in_repo)
        hub.commit(repo, tree | files, commit_message)
        hub.watch(process, files)
        hub.answered()

    def list_repo_commits(self, repo_id: str, *, repo_type: str | None = None) -> list[Any]:
        self._hub.asked()
        return self._hub.repository(repo_id, repo_type).commits[::-1]

    def super_squash_history(
        self, repo_id: str, *, commit_message: str, repo_type: str | None = None, **_: Any
    ) -> None:
        self._hub.asked()
        repo = self._hub.repository(repo_id, repo_type)
        tree = repo.commits[-1].tree
        repo.commits.clear()
        self._hub.commit(repo, tree, commit_message)
        self._hub.answered()


class Pool:
    """As ThreadPoolExecutor; what is submitted is done at once."""

    def __init__(self, _n: int) -> None:
        pass

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_: Any) -> None:
        pass


@dataclass
class Item:
    """A file of a listing; ``last_commit`` only where it was asked for."""

    path: str
    size: int
    lfs: Any
    blob_id: str
    last_commit: Any = None


_digest = functools.lru_cache(256)(lambda data: hashlib.sha256(data).hexdigest())


def _item(path: str, data: bytes, repo: Repository, *, expand: bool = False) -> Item:
    digest = _digest(data)
    item = Item(path, len(data), SimpleNamespace(sha256=digest), digest[:40])
    if expand:
        changed = next(c for c in repo.commits if c.tree.get(path) == data)
        item.last_commit = SimpleNamespace(oid=changed.commit_id, date=changed.created_at)
    return item


def _content(operation: Any) -> bytes:
    given = operation.path_or_fileobj
    return bytes(given) if isinstance(given, bytes) else Path(given).read_bytes()


def _refusal(kind: type[Any], status: int, message: str) -> Exception:
    request = httpx2.Request("GET", "https://hub.invalid/")
    made: Exception = kind(message, response=httpx2.Response(status, request=request))
    return made


def _missing(path: str) -> Exception:
    return _refusal(errors.RemoteEntryNotFoundError, 404, f"no file {path}")
