"""A Hugging Face Hub on the loopback, for the real client, that can be told to fail.

Serves repositories (commits, LFS, Xet), buckets and downloads on one port and file contents on a
second, as the real one does. As a program it prints the URL for ``HF_ENDPOINT`` and serves until
it is stopped; ``POST /_control`` changes it while it runs (see ``control``)::

    python tests/servers/hub.py --port 0
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

sys.path.append(str(Path(__file__).resolve().parent))  # beside, however this file was imported

import hub_routes
from hub_faults import Fault
from hub_state import HubError, HubState


@dataclass
class Request:
    """What a route needs to know."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    base: str
    files: str
    range: str | None
    stale: bool = False

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]


class Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, lets the faults have them, answers by the routes."""

    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *_: object) -> None:
        """Tests have no use for an access log."""

    def _handle(self) -> None:
        state = self.server.state
        url = urlsplit(self.path)
        body = self._read_body()
        if url.path == "/_control":
            return self._answer(200, {}, control(state, json.loads(body or b"{}")))
        state.requests[f"{self.command} {_shape(url.path)}"] += 1
        if state.down:
            return self._hang_up()
        fault = state.faults.next(self.command, url.path)
        request = Request(
            self.command, url.path, parse_qs(url.query), body, self._base(), self.server.files_url,
            self.headers.get("Range"), stale=fault is not None and fault.action == "stale",
        )  # fmt: skip
        if fault is not None and fault.action in ("status", "drop"):
            if fault.action == "drop":
                return self._hang_up()
            message = {"X-Error-Message": "injected fault", **fault.headers}
            return self._answer(fault.status, message, {"error": "injected fault"})
        if fault is not None and fault.action == "delay":
            time.sleep(fault.seconds)
        status, headers, answer = self._routed(request)
        if fault is not None and fault.action == "lose_reply":
            return self._hang_up()
        return self._answer(status, headers, answer, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle

    def _routed(self, request: Request) -> tuple[int, dict[str, str], Any]:
        try:
            if not self.server.is_files:
                self._check_token(request)
            return hub_routes.answer(self.server.state, request)
        except HubError as error:
            return error.status, error.headers, {"error": error.message}

    def _check_token(self, request: Request) -> None:
        if request.path.startswith(("/_", "/api/agent-harnesses", "/v1/", "/v2/")):
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        role = self.server.state.tokens.get(token)
        if role is None:
            raise HubError(401, "Invalid credentials in Authorization header")
        writes = re.search(
            r"/(commit|batch|super-squash|repos/create|xet-write-token|auth-check/write)",
            request.path,
        )
        if writes and role != "write" and "info/lfs" not in request.path:
            raise HubError(403, "Forbidden: you must use a write token to upload to a repository")

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _base(self) -> str:
        return f"http://{self.headers['Host']}"

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):  # the client may have been faster
            self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(
        self, status: int, headers: dict[str, str], body: Any, fault: Fault | None = None
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = fault is not None and fault.action == "cut"
        try:
            self.wfile.write(data[: len(data) // 2] if cut else data)
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # a client that was killed
        if cut:
            self._hang_up()


class HubServer(ThreadingHTTPServer):
    """One of the two ports."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, state: HubState, port: int, *, is_files: bool) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.state, self.is_files = state, is_files
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files_url = self.url

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken pipes of killed clients are expected; anything else is a bug worth seeing."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def control(state: HubState, orders: dict[str, Any]) -> dict[str, Any]:
    """Obey, and report.

    Orders: ``faults`` (replaces the rules: a list of Fault fields), ``add_faults``, ``down`` (true:
    every connection is closed unanswered), ``tokens`` (role by token), ``commit_quota``,
    ``quota_seconds``, ``retry_after``, ``tell_known`` (attributes of HubState), ``reset`` (true:
    the counters start again).
    """
    if "faults" in orders:
        state.faults.replace(orders["faults"])
    if "add_faults" in orders:
        state.faults.add(orders["add_faults"])
    if orders.get("reset"):
        state.requests.clear()
        state.added.clear()
        state.writes.clear()
        state.n_commits = state.most_commits = state.faults.given = 0
    for name in ("down", "tokens", "commit_quota", "quota_seconds", "retry_after", "tell_known"):
        if name in orders:
            setattr(state, name, orders[name])
    return {
        "commits": state.n_commits,
        "most_commits_in_window": state.most_commits,
        "requests": dict(state.requests),
        "added": dict(state.added),
        "writes": dict(state.writes),
        "faults_given": state.faults.given,
        "faults_left": state.faults.left(),
        "repos": {
            f"{kind}:{name}": {
                "head": repo.head,
                "titles": [commit.title for commit in repo.history()],
                "files": {path: f.size for path, f in sorted(repo.at("main").tree.items())},
            }
            for (kind, name), repo in list(state.repos.items())
        },
        "buckets": {
            name: {path: f["size"] for path, f in files.items()}
            for name, files in list(state.buckets.items())
        },
    }


def _shape(path: str) -> str:
    """The path without what differs from file to file, for the counters."""
    found = re.search(
        r"/(commit|preupload|tree|commits|resolve|paths-info|super-squash|batch|xet-read-token|"
        r"xet-write-token|revision|repos/create|_cdn|_lfs|_xorb|xorbs|shards|reconstructions|"
        r"chunks|xorb-grants)(?=/|$)", path,
    )  # fmt: skip
    return found[1] if found else unquote(path)


def serve(port: int = 0) -> tuple[HubState, str, Callable[[], None]]:
    """Start in this process; the state, the URL for ``HF_ENDPOINT``, and what ends it."""
    state = HubState()
    files = HubServer(state, 0, is_files=True)
    front = HubServer(state, port, is_files=False)
    state.content.url = front.files_url = files.url
    for server in (files, front):
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def close() -> None:
        for server in (front, files):
            server.shutdown()
            server.server_close()

    return state, front.url, close


def main() -> None:
    parser = argparse.ArgumentParser(description="A Hugging Face Hub on the loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--until-eof", action="store_true", help="end with the standard input")
    options = parser.parse_args()
    _, url, close = serve(options.port)
    print(url, flush=True)
    with suppress(KeyboardInterrupt):
        if options.until_eof:
            sys.stdin.read()
        else:
            threading.Event().wait()
    close()


if __name__ == "__main__":
    main()
