"""Runs an application on a port of this machine until it is told to stop."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

MAX_CONNECTIONS = 2000
GRACE_SECONDS = 2  # for answers in progress when the server ends
STALL_SECONDS = 60.0  # after which a browser that takes nothing has its connection ended


class CannotListen(OSError):
    """A host or port that cannot be listened on; the message is one sentence."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; any free port for 0. CannotListen where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(
                f"port {port} of {host} is taken by another program: choose one with --port, "
                "or leave it out"
            ) from error
        reason = error.strerror or error
        raise CannotListen(f"cannot listen on {host}, port {port}: {reason}") from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; each connection has it from here
        # What was handed over to be sent would else be kept for as long as the other side lives.
        milliseconds = round(1000 * STALL_SECONDS)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return found


def address(found: socket.socket, token: str, page: str = "/") -> str:
    """The address to open, with its token; where all are listened on, that of this machine."""
    host, port = found.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}{page}?token={token}"


class _Server(uvicorn.Server):
    """Ends what waits for news before it waits for the connections to end."""

    def __init__(self, config: uvicorn.Config, closing: Callable[[], None]) -> None:
        super().__init__(config)
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing()
        await super().shutdown(sockets)


def serve(app: ASGIApp, found: socket.socket, *, closing: Callable[[], None]) -> None:
    """Answer until SIGINT or SIGTERM, which then act as they would have without a server.

    ``closing`` is called first when it ends: event streams must end then.
    """
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="on", loop="asyncio", interface="asgi3",
        log_config=None, access_log=False, server_header=False, proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS, timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip
    _Server(config, closing).run([found])
