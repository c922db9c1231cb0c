"""An application on a port of this machine in a thread of the test, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import uvicorn


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """Asks as a browser with a cookie would."""

    def __init__(self, port: int, cookie: str = "") -> None:
        self.port = port
        self.cookie = cookie

    def ask(
        self, method: str, path: str, found: Any = None, *, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request; ``found`` goes as JSON, bytes as they are."""
        sent = {"Host": f"127.0.0.1:{self.port}", "Cookie": self.cookie}
        body = found if isinstance(found, bytes) else None
        if found is not None and body is None:
            body = json.dumps(found).encode()
        if found is not None:
            sent["Content-Type"] = "application/json"
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            line.request(
                method, path, body, {k: v for k, v in (sent | (headers or {})).items() if v}
            )
            answer = line.getresponse()
            return Answer(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            )
        finally:
            line.close()

    def get(self, path: str, **more: Any) -> Answer:
        """GET."""
        return self.ask("GET", path, **more)

    def post(self, path: str, found: Any, **more: Any) -> Answer:
        """POST."""
        return self.ask("POST", path, found, **more)


@contextmanager
def running(
    app: Any, closing: Callable[[], None] = lambda: None, found: socket.socket | None = None
) -> Iterator[int]:
    """The application on a port of its own, or where ``found`` listens, while the context lasts."""
    from zebfast.web.server import _Server, listen

    found = found or listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app, http="h11", ws="none", log_config=None, timeout_graceful_shutdown=1
    )
    server = _Server(config, closing)
    thread = threading.Thread(target=server.run, args=([found],), daemon=True)
    thread.start()
    try:
        yield found.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        found.close()
