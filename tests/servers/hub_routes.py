"""Every path of the loopback Hub: what it reads or changes, and the answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import hub_contents
from hub_answers import Answer, iso, ok, paged, repo_of
from hub_state import Commit, File, HubError, HubState

_PAGE = 50


def answer(state: HubState, request: Any) -> Answer:
    """The answer of the first route that knows the path."""
    for pattern, route in _ROUTES:
        match = re.fullmatch(pattern, request.path)
        if match:
            return route(state, request, *match.groups())
    raise HubError(404, f"no route {request.method} {request.path}")


def _whoami(state: HubState, request: Any) -> Answer:
    return ok({"type": "user", "name": state.account, "orgs": [],
                "auth": {"type": "access_token", "accessToken": {"role": "write"}}})  # fmt: skip


def _harnesses(state: HubState, request: Any) -> Answer:
    return ok({"standardEnvVars": [], "harnesses": []})


def _create_repo(state: HubState, request: Any) -> Answer:
    asked = request.json()
    kind = asked.get("type") or "model"
    owner = asked.get("organization") or state.account
    if owner != state.account:
        raise HubError(403, f'You don\'t have the rights to create a model under "{owner}"')
    name = f"{owner}/{asked['name']}"
    url = f"{request.base}/{'' if kind == 'model' else kind + 's/'}{name}"
    if not state.create_repo(kind, name, private=asked.get("visibility") != "public"):
        return 409, {}, {"error": "You already created this repo", "url": url}
    return ok({"url": url, "name": name})


def _info(
    state: HubState, request: Any, kinds: str, name: str, revision: str | None = None
) -> Answer:
    repo = repo_of(state, kinds, name)
    commit = repo.at(unquote(revision or "main"), stale=request.stale)
    files = [{"rfilename": path} for path in sorted(commit.tree)]
    return ok({"_id": "0", "id": unquote(name), "sha": commit.oid, "private": repo.private,
                "tags": [], "downloads": 0, "likes": 0, "siblings": files})  # fmt: skip


def _auth_check(state: HubState, request: Any, kinds: str, name: str) -> Answer:
    repo_of(state, kinds, name)
    if request.path.endswith("/write") and not unquote(name).startswith(state.account + "/"):
        raise HubError(403, f"Forbidden: your token cannot write to {unquote(name)}")
    return ok({})


def _entry(path: str, file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "oid": file.oid, "size": file.size}
    if file.lfs:
        entry["lfs"] = {"oid": file.lfs, "size": file.size, "pointerSize": 134}
    return entry


def _tree(
    state: HubState, request: Any, kinds: str, name: str, revision: str, folder: str | None = None
) -> Answer:
    commit = repo_of(state, kinds, name).at(unquote(revision), stale=request.stale)
    prefix = unquote(folder).rstrip("/") + "/" if folder else ""
    deep = request.query.get("recursive", ["false"])[0].lower() in ("true", "1")
    inside = {p: f for p, f in sorted(commit.tree.items()) if p.startswith(prefix)}
    if prefix and not inside:
        raise HubError(404, f"{prefix} does not exist", "EntryNotFound")
    folders: dict[str, None] = {}
    files = []
    for path, file in inside.items():
        parts = path[len(prefix) :].split("/")
        depth = len(parts) if deep else 2
        for count in range(1, min(len(parts), depth)):
            folders[prefix + "/".join(parts[:count])] = None
        if deep or len(parts) == 1:
            files.append(_entry(path, file))
    directories = [{"type": "directory", "path": f, "oid": "0" * 40, "size": 0} for f in folders]
    return paged(request, directories + files, 1000)


def _paths_info(state: HubState, request: Any, kinds: str, name: str, revision: str) -> Answer:
    repo = repo_of(state, kinds, name)
    commit = repo.at(unquote(revision), stale=request.stale)
    asked = parse_qs(request.body.decode())
    paths = [path for path in asked.get("paths", []) if path in commit.tree]
    entries = [_entry(path, commit.tree[path]) for path in paths]
    if asked.get("expand", ["False"])[0].lower() == "true":
        for path, entry in zip(paths, entries, strict=True):
            since = [c for c in repo.history() if c.tree.get(path) == commit.tree[path]][-1]
            entry["lastCommit"] = {"id": since.oid, "title": since.title, "date": iso(since.date)}
    return ok(entries)


def _commits(state: HubState, request: Any, kinds: str, name: str, revision: str) -> Answer:
    repo = repo_of(state, kinds, name)
    repo.at(unquote(revision))
    rows = [{"id": c.oid, "title": c.title, "message": "", "authors": [{"user": state.account}],
             "date": iso(c.date)} for c in repo.history()]  # fmt: skip
    return paged(request, rows, _PAGE)


def _preupload(state: HubState, request: Any, kinds: str, name: str, revision: str) -> Answer:
    commit = repo_of(state, kinds, name).at(unquote(revision))
    found = []
    for file in request.json()["files"]:
        mode = "lfs" if state.is_large(file["path"], file["size"]) else "regular"
        entry = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
        old = commit.tree.get(file["path"])
        if old and state.tell_known:
            entry["oid"] = old.lfs or old.oid
        found.append(entry)
    return ok({"files": found})


def _commit(state: HubState, request: Any, kinds: str, name: str, revision: str) -> Answer:
    if not unquote(name).startswith(state.account + "/"):
        raise HubError(403, f"Forbidden: your token cannot write to {unquote(name)}")
    repo = repo_of(state, kinds, name)
    lines = request.lines()
    made: Commit = state.commit(repo, unquote(revision), lines)
    state.writes[unquote(name)] += 1
    adds = [line["value"]["path"] for line in lines if line["key"] in ("file", "lfsFile")]
    state.added.update(f"{unquote(name)}/{path}" for path in adds)
    url = f"{request.base}/{unquote(name)}/commit/{made.oid}"
    return ok({"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""})


def _squash(state: HubState, request: Any, kinds: str, name: str, revision: str) -> Answer:
    made = state.squash(repo_of(state, kinds, name), request.json().get("message") or "squash")
    return ok({"oid": made.oid})


_KIND, _ID = "(models|datasets|spaces)", "([^/]+/[^/]+)"
_REPO = f"/api/{_KIND}/{_ID}"
_TOKENS = f"/api/(?:models|datasets|spaces|buckets)/{_ID}"
_ROUTES: list[tuple[str, Callable[..., Answer]]] = [
    (r"/v1/xorbs/[^/]+/([0-9a-f]+)", hub_contents.xorb),
    (r"/_xorb/([0-9a-f]+)", hub_contents.xorb),
    (r"/v1/shards", hub_contents.shard),
    (r"/v1/reconstructions/([0-9a-f]+)", hub_contents.reconstruction),
    (r"/_cdn/([0-9a-f]+)", hub_contents.cdn),
    (r"/_lfs/([0-9a-f]+)", hub_contents.lfs_put),
    (r"/_lfs_verify", hub_contents.lfs_verify),
    (r"/api/whoami-v2", _whoami),
    (r"/api/agent-harnesses", _harnesses),
    (r"/api/repos/create", _create_repo),
    (rf"/api/buckets/{_ID}", hub_contents.bucket),
    (rf"/api/buckets/{_ID}/batch", hub_contents.bucket_batch),
    (rf"/api/buckets/{_ID}/tree(?:/(.+))?", hub_contents.bucket_tree),
    (rf"/api/buckets/{_ID}/paths-info", hub_contents.bucket_paths),
    (rf"/buckets/{_ID}/resolve/(.+)", hub_contents.bucket_resolve),
    (
        rf"/api/(?:{_KIND[1:-1]}|buckets)/{_ID}/xet-(?:read|write)-token(?:/(.*))?",
        hub_contents.xet_token,
    ),
    (_REPO, _info),
    (rf"{_REPO}/auth-check(?:/write)?", _auth_check),
    (rf"{_REPO}/revision/([^/]+)", _info),
    (rf"{_REPO}/tree/([^/]+)(?:/(.+))?", _tree),
    (rf"{_REPO}/paths-info/([^/]+)", _paths_info),
    (rf"{_REPO}/commits/([^/]+)", _commits),
    (rf"{_REPO}/preupload/([^/]+)", _preupload),
    (rf"{_REPO}/commit/([^/]+)", _commit),
    (rf"{_REPO}/super-squash/([^/]+)", _squash),
    (rf"/(?:(datasets|spaces)/)?{_ID}\.git/info/lfs/objects/batch", hub_contents.lfs_batch),
    (rf"/(?:(datasets|spaces)/)?{_ID}/resolve/([^/]+)/(.+)", hub_contents.resolve),
]
