"""What the services of the tests share: HTTP on a port of this machine, while a context lasts."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, Self, TypeVar

S = TypeVar("S")


class Listener(ThreadingHTTPServer, Generic[S]):
    """Knows the service that its handlers answer for."""

    daemon_threads = True
    request_queue_size = 64
    service: S

    def handle_error(self, *_: Any) -> None:
        """Clients end their connections as they like; anything else shows as a missing answer."""


class Handler(BaseHTTPRequestHandler):
    """Keeps its log to itself. Connections end with each answer unless a service says HTTP/1.1."""

    def log_message(self, *_: Any) -> None:
        pass


class Service:
    """Use as a context, after ``listen``. ``closing`` is set when it ends: nothing hangs longer."""

    url: str

    def listen(self, handler: type[Handler]) -> None:
        self.closing = threading.Event()
        self._http: Listener[Self] = Listener(("127.0.0.1", 0), handler)
        self._http.service = self
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
