"""What the loopback Hub remembers: repositories with their commits, buckets, tokens, quotas."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from hub_faults import Faults
from hub_xet import Content

LARGE = ("*.pt", "*.bin", "*.npz", "*.safetensors", "*.zst")
LARGE_BYTES = 1 << 20


class HubError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.headers = {"X-Error-Message": message, **headers}
        if code:
            self.headers["X-Error-Code"] = code


@dataclass(frozen=True)
class File:
    """An entry of a tree: git id, size, and the SHA-256 of a large file's content."""

    oid: str
    size: int
    lfs: str | None = None


@dataclass(frozen=True)
class Commit:
    """One version of a repository."""

    oid: str
    title: str
    parent: str | None
    date: float
    tree: dict[str, File]


@dataclass
class Repository:
    """A branch ``main`` and the commits that can be reached."""

    commits: dict[str, Commit]
    head: str
    private: bool = True

    def at(self, revision: str, *, stale: bool = False) -> Commit:
        name = self.head if revision == "main" else revision
        commit = self.commits.get(name)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        if stale and commit.parent in self.commits:
            return self.commits[commit.parent]
        return commit

    def history(self) -> list[Commit]:
        found, name = [], self.head
        while name in self.commits:
            found.append(self.commits[name])
            name = self.commits[name].parent or ""
        return found


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def new_commit(tree: dict[str, File], title: str, parent: str | None) -> Commit:
    now = time.time()
    seed = repr((sorted((k, v.oid) for k, v in tree.items()), title, parent, time.time_ns()))
    return Commit(hashlib.sha1(seed.encode()).hexdigest(), title, parent, now, tree)


@dataclass
class HubState:
    """Everything; ``lock`` is held while a commit or a batch is applied.

    Attributes:
        tokens: role by token (``write`` or ``read``); a request with another one gets 401.
        account: owner of everything that the tokens may write.
        added: how often each file was committed, by repository's name and path.
        writes: commits by repository's name, batches by bucket's.
        commit_quota, quota_seconds: commits allowed in a window, over all repositories.
        tell_known: say before a commit which files are there already, so that the client leaves
            them out.
        retry_after: what a commit over the quota is told to wait; None names no time.
    """

    tokens: dict[str, str] = field(
        default_factory=lambda: {"hf_aMarkerThatNothingMayShow": "write", "hf_read": "read"}
    )
    account: str = "me"
    commit_quota: int | None = None
    quota_seconds: float = 3600.0
    retry_after: int | None = None
    tell_known: bool = True
    down: bool = False
    repos: dict[tuple[str, str], Repository] = field(default_factory=dict)
    buckets: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    content: Content = field(default_factory=Content)
    faults: Faults = field(default_factory=Faults)
    requests: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    commit_times: deque[float] = field(default_factory=deque)
    n_commits: int = 0
    most_commits: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def repo(self, kind: str, name: str) -> Repository:
        try:
            return self.repos[kind, name]
        except KeyError:
            raise HubError(404, "Repository not found", "RepoNotFound") from None

    def create_repo(self, kind: str, name: str, *, private: bool) -> bool:
        """False when it exists already."""
        with self.lock:
            if (kind, name) in self.repos:
                return False
            first = new_commit({}, "initial commit", None)
            self.repos[kind, name] = Repository({first.oid: first}, first.oid, private)
            return True

    def is_large(self, path: str, size: int) -> bool:
        name = path.rsplit("/", 1)[-1]
        return size > LARGE_BYTES or any(fnmatch.fnmatch(name, glob) for glob in LARGE)

    def commit(self, repo: Repository, revision: str, lines: list[dict[str, Any]]) -> Commit:
        """Apply a commit's lines: a header, then operations."""
        header = lines[0]["value"]
        with self.lock:
            self._count_commit()
            head = repo.at(revision)
            parent = header.get("parentCommit")
            if parent and not head.oid.startswith(parent):
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
            tree = dict(head.tree)
            for line in lines[1:]:
                self._apply(tree, line["key"], line["value"])
            made = new_commit(tree, header["summary"], head.oid)
            repo.commits[made.oid] = made
            repo.head = made.oid
            return made

    def _apply(self, tree: dict[str, File], key: str, value: dict[str, Any]) -> None:
        path = value["path"]
        if key == "file":
            data = base64.b64decode(value["content"])
            self.content.blobs[_git_id(data)] = data
            tree[path] = File(_git_id(data), len(data))
        elif key == "lfsFile":
            sha256 = value["oid"]
            if not self.content.has(sha256):
                raise HubError(400, f"LFS object {sha256} was never uploaded")
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\n"
            tree[path] = File(_git_id(pointer.encode()), int(value["size"]), sha256)
        elif key == "deletedFile":
            if tree.pop(path, None) is None:
                raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        elif key == "deletedFolder":
            for name in [name for name in tree if name.startswith(path.rstrip("/") + "/")]:
                del tree[name]
        else:
            raise HubError(400, f"unknown operation {key}")

    def _count_commit(self) -> None:
        now = time.monotonic()
        while self.commit_times and now - self.commit_times[0] > self.quota_seconds:
            self.commit_times.popleft()
        if self.commit_quota is not None and len(self.commit_times) >= self.commit_quota:
            wait = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
            message = f"rate limit for repository commits ({self.commit_quota} per hour)"
            raise HubError(429, message, "", **wait)
        self.commit_times.append(now)
        self.n_commits += 1
        self.most_commits = max(self.most_commits, len(self.commit_times))

    def squash(self, repo: Repository, message: str) -> Commit:
        with self.lock:
            made = new_commit(repo.at("main").tree, message, None)
            repo.commits, repo.head = {made.oid: made}, made.oid
            return made

    def bucket(self, name: str) -> dict[str, dict[str, Any]]:
        try:
            return self.buckets[name]
        except KeyError:
            raise HubError(404, "Bucket not found", "RepoNotFound") from None
