"""Server-sent events: browsers are told the newest state of something as often as they take it.

A watcher that is slow misses states in between and costs no memory for them; one that takes nothing
for half a minute is given up. Files that are long are sent in the same way, piece by piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

from starlette.types import Receive, Scope, Send

from zebfast.web.answers import Refused

HEARTBEAT_SECONDS = 15.0  # so that a broken line is noticed, by us and by what is in between
PATIENCE_SECONDS = 30.0  # for a watcher that does not read
RETRY_MILLISECONDS = 1000  # after which browsers ask again


class Changes:
    """Something that changes, and those who watch it. For use within one event loop.

    Attributes:
        version: how often it has changed.
    """

    def __init__(self, most: int = 64) -> None:
        self.version = 0
        self.closed = False
        self._most = most
        self._watchers: set[asyncio.Event] = set()

    @property
    def n_watchers(self) -> int:
        """How many watch it now."""
        return len(self._watchers)

    def tell(self) -> None:
        """It has changed."""
        self.version += 1
        self._wake()

    def close(self) -> None:
        """It changes no more: watchers end."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    def watcher(self) -> asyncio.Event:
        """A new watcher, to be left with `leave`. Refused where there are too many."""
        if len(self._watchers) >= self._most:
            raise Refused(503, f"{self._most} windows are open here already: close some.")
        event = asyncio.Event()
        self._watchers.add(event)
        return event

    def leave(self, watcher: asyncio.Event) -> None:
        """It watches no more."""
        self._watchers.discard(watcher)


class EventStream:
    """The answer that tells a browser every change (an ASGI application).

    Args:
        changes: what is watched.
        render: the data of an event as it is now, JSON on one line; None ends the stream.
    """

    def __init__(self, changes: Changes, render: Callable[[], bytes | None]) -> None:
        self._changes = changes
        self._render = render
        self._watcher = changes.watcher()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the browser goes, the thing is closed, or nobody reads."""
        try:
            await _while_there(self._tell(send), receive)
        finally:
            self._changes.leave(self._watcher)

    async def _tell(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        part = b"retry: %d\n\n" % RETRY_MILLISECONDS
        while not self._changes.closed:
            self._watcher.clear()
            data = self._render()
            if data is None:
                break
            part += b"data: " + data + b"\n\n"
            await _send_patiently(send, part)
            part = b""
            while not self._watcher.is_set():
                # Not wait_for, which loses being cancelled when that meets a change.
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await self._watcher.wait()
                    continue
                await _send_patiently(send, b":\n\n")
        await _send_patiently(send, b"", more=False)


class Download:
    """The answer that is a long file (an ASGI application), made while it is taken.

    Args:
        pieces: of the file; each is asked for in a thread, the next when the one before was taken.
        name: of the file, of plain characters.
    """

    def __init__(self, pieces: Iterator[bytes], *, media_type: str, name: str) -> None:
        self._pieces = pieces
        self._headers = [
            (b"content-type", media_type.encode()),
            (b"content-disposition", f'attachment; filename="{name}"'.encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until its end, or nobody takes it any more; then it is cut short."""
        await _while_there(self._send_all(send), receive)

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        while (piece := await asyncio.to_thread(next, self._pieces, None)) is not None:
            await _send_patiently(send, piece)
        await _send_patiently(send, b"", more=False)


async def _while_there(telling: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Tell until all is told, it fails, or the browser has gone."""
    tasks = asyncio.ensure_future(telling), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send_patiently(send: Send, body: bytes, *, more: bool = True) -> None:
    message = {"type": "http.response.body", "body": body, "more_body": more}
    async with asyncio.timeout(PATIENCE_SECONDS):
        await send(message)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
