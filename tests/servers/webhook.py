"""A loopback address that is notified: it keeps what it was sent, and answers as it is told to."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from tests.servers.loopback import Handler, Listener, Service


class WebhookServer(Service):
    """Use as a context. ``answers`` are the next HTTP statuses, then 204; 0 = no answer at all."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.answers: deque[int] = deque()
        self.listen(_Handler)
        self.url += "/services/SECRET"

    @property
    def verdicts(self) -> list[str]:
        return [message["verdict"] for message in self.messages]


class _Handler(Handler):
    server: Listener[WebhookServer]

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
