"""What files hold: downloads, LFS and Xet uploads, and Storage Buckets, on the loopback Hub."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import unquote

from hub_answers import Answer, byte_range, iso, ok, paged, repo_of
from hub_state import HubError, HubState


def resolve(
    state: HubState, request: Any, kinds: str | None, name: str, revision: str, path: str
) -> Answer:
    commit = repo_of(state, kinds, name).at(unquote(revision), stale=request.stale)
    file = commit.tree.get(unquote(path))
    if file is None:
        raise HubError(404, "Entry not found", "EntryNotFound", **{"X-Repo-Commit": commit.oid})
    headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{file.oid}"'}
    if file.lfs is None:
        return byte_range(request, state.content.blobs[file.oid], headers)
    headers |= {"X-Linked-Etag": f'"{file.lfs}"', "X-Linked-Size": str(file.size),
                "Location": f"{request.files}/_cdn/{file.lfs}"}  # fmt: skip
    xet = state.content.xet_hash(file.lfs)
    if xet:
        token = f"{request.base}/api/{kinds or 'models'}/{name}/xet-read-token/{commit.oid}"
        headers |= {"X-Xet-Hash": xet, "Link": f'<{token}>; rel="xet-auth"'}
    return 302, headers, b""


def cdn(state: HubState, request: Any, sha256: str) -> Answer:
    data = state.content.read(sha256)
    if data is None:
        raise HubError(404, "no such object")
    return byte_range(request, data, {"ETag": f'"{sha256}"'})


def lfs_batch(state: HubState, request: Any, kinds: str | None, name: str) -> Answer:
    repo_of(state, kinds, name)
    objects = []
    for wanted in request.json()["objects"]:
        entry = {"oid": wanted["oid"], "size": wanted["size"]}
        if not state.content.has(wanted["oid"]):
            entry["actions"] = {"upload": {"href": f"{request.base}/_lfs/{wanted['oid']}"},
                                "verify": {"href": f"{request.base}/_lfs_verify"}}  # fmt: skip
        objects.append(entry)
    return ok({"transfer": "basic", "objects": objects})


def lfs_put(state: HubState, request: Any, sha256: str) -> Answer:
    if not state.content.add_lfs(sha256, request.body):
        raise HubError(400, "the content does not have this SHA-256")
    return 200, {"ETag": '"x"'}, b""


def lfs_verify(state: HubState, request: Any) -> Answer:
    return ok({})


def xet_token(state: HubState, request: Any, *_: str | None) -> Answer:
    expires = int(time.time()) + 3600
    headers = {"X-Xet-Cas-Url": request.files, "X-Xet-Access-Token": "loopback",
               "X-Xet-Token-Expiration": str(expires)}  # fmt: skip
    return 200, headers, {"accessToken": "loopback", "exp": expires, "casUrl": request.files}


def xorb(state: HubState, request: Any, name: str) -> Answer:
    if request.method == "POST":
        state.content.add_xorb(name, request.body)
        return ok({"was_inserted": True})
    data = state.content.xorb(name)
    if data is None:
        raise HubError(404, "no such xorb")
    return byte_range(request, data)


def shard(state: HubState, request: Any) -> Answer:
    state.content.add_shard(request.body)
    return ok({"result": 1})


def reconstruction(state: HubState, request: Any, name: str) -> Answer:
    if not state.content.has_xet(name):
        raise HubError(404, "no such file")
    asked = re.match(r"bytes=(\d+)-", request.range or "")
    if asked and int(asked[1]) >= state.content.xet_size(name):
        return 416, {}, {}
    return ok(state.content.reconstruction(name, request.files))


def bucket(state: HubState, request: Any, name: str) -> Answer:
    name = unquote(name)
    if request.method == "POST":
        url = f"{request.base}/buckets/{name}"
        if not name.startswith(state.account + "/"):
            raise HubError(403, f"Forbidden: your token cannot create {name}")
        with state.lock:
            if name in state.buckets:
                return 409, {}, {"error": "exists", "url": url}
            state.buckets[name] = {}
        return ok({"url": url})
    files = state.bucket(name)
    return ok({"id": name, "private": True, "createdAt": iso(time.time()),
                "size": sum(f["size"] for f in files.values()),
                "totalFiles": len(files)})  # fmt: skip


def bucket_batch(state: HubState, request: Any, name: str) -> Answer:
    files, failed, orders = state.bucket(unquote(name)), [], request.lines()
    state.writes[unquote(name)] += 1
    with state.lock:
        for order in orders:
            path = order["path"]
            if order["type"] == "deleteFile":
                if files.pop(path, None) is None:
                    failed.append({"path": path, "error": "not found"})
            elif not state.content.has_xet(order["xetHash"]):
                failed.append({"path": path, "error": "content was never uploaded"})
            else:
                files[path] = {"size": state.content.xet_size(order["xetHash"]),
                               "xetHash": order["xetHash"], "mtime": iso(order["mtime"] / 1000),
                               "uploadedAt": iso(time.time())}  # fmt: skip
    status = 422 if failed and len(failed) == len(orders) else 200
    return status, {}, {"success": not failed, "failed": failed}


def bucket_tree(state: HubState, request: Any, name: str, prefix: str | None = None) -> Answer:
    files, prefix = state.bucket(unquote(name)), unquote(prefix or "")
    found = [
        {"type": "file", "path": p, **f} for p, f in sorted(files.items()) if p.startswith(prefix)
    ]
    return paged(request, found, 1000)


def bucket_paths(state: HubState, request: Any, name: str) -> Answer:
    files = state.bucket(unquote(name))
    paths = request.json()["paths"]
    return ok([{"type": "file", "path": p, **files[p]} for p in paths if p in files])


def bucket_resolve(state: HubState, request: Any, name: str, path: str) -> Answer:
    file = state.bucket(unquote(name)).get(unquote(path))
    if file is None:
        raise HubError(404, "Entry not found", "EntryNotFound")
    token = f"{request.base}/api/buckets/{name}/xet-read-token"
    return 302, {"X-Xet-Hash": file["xetHash"], "X-Linked-Size": str(file["size"]),
                 "ETag": f'"{file["xetHash"]}"', "Link": f'<{token}>; rel="xet-auth"',
                 "Location": f"{request.files}/_none"}, b""  # fmt: skip
