"""The connections of the loopback Vast.ai, and the faults that spoil them."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, urlsplit

from tests.servers.loopback import Handler, Listener
from tests.servers.vast_rows import Answer, Row, refuse, without

KEY = "vast-test-key-7d1f0c52e9"


@dataclass
class Fault:
    """What goes wrong with requests for which ``match`` is found in ``METHOD /path``.

    Attributes:
        action: ``answer`` answers with ``status``, ``body`` and ``headers``, nothing is done;
            ``drop`` closes the connection, nothing is done; ``lose`` does what was asked, then
            closes the connection; ``hang`` never answers; ``nulls`` answers rightly, but with
            ``fields`` null in every row.
        times: how often, None for always.
        skip: matching requests that are answered rightly first.
    """

    action: Literal["answer", "drop", "lose", "hang", "nulls"]
    match: str = "."
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    times: int | None = 1
    skip: int = 0


@dataclass(frozen=True)
class Request:
    """One request as it arrived; ``body`` is its JSON, ``query`` the last value of each name."""

    method: str
    path: str
    query: dict[str, str]
    body: Row


class Behind(Protocol):
    """What a connection needs of the server behind it."""

    requests: list[Request]
    lock: threading.RLock
    closing: threading.Event

    def due_fault(self, what: str) -> Fault | None: ...

    def answer(self, request: Request) -> Answer: ...


class VastHandler(Handler):
    server: Listener[Behind]

    def _any(self) -> None:
        service, url = self.server.service, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        request = Request(self.command, url.path, query, json.loads(body or b"{}"))
        with service.lock:
            service.requests.append(request)
        fault = service.due_fault(f"{self.command} {url.path}")
        action = None if fault is None else fault.action
        if action == "hang":
            service.closing.wait(600)
        if action in ("drop", "hang"):
            return None
        if fault is not None and action == "answer":
            return self._reply((fault.status, fault.body, fault.headers))
        if url.path.startswith("/api/") and self.headers.get("Authorization") != f"Bearer {KEY}":
            return self._reply(refuse(401, "auth_error", "Invalid user key"))
        answer = service.answer(request)
        if action == "lose":
            return None
        if fault is not None and action == "nulls":
            return self._reply(without(answer, fault.fields))
        return self._reply(answer)

    def _reply(self, answer: Answer) -> None:
        status, body, headers = answer
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.suppress(ConnectionError):  # the client may have given up meanwhile
            self.send_response(status)
            kind = "text/plain" if isinstance(body, bytes) else "application/json"
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _any
