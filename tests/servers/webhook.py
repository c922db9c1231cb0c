"""A loopback address that is notified: it keeps what it was sent, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WebhookServer:
    """Use as a context. ``answers`` are the next HTTP statuses, then 204; 0 = no answer at all."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.answers: deque[int] = deque()
        self._http = _Listener(("127.0.0.1", 0), _Handler)
        self._http.service = self
        self.url = f"http://127.0.0.1:{self._http.server_port}/services/SECRET"

    def __enter__(self) -> WebhookServer:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def verdicts(self) -> list[str]:
        return [message["verdict"] for message in self.messages]


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    service: WebhookServer


class _Handler(BaseHTTPRequestHandler):
    server: _Listener

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        service = self.server.service
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = service.answers.popleft() if service.answers else 204
        if status == 0:
            return
        if status < 300:
            service.messages.append(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if 300 <= status < 400:
            self.send_header("Location", service.url)
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
