"""A Chromium of this machine that tests drive through pages, and the bytes that it received."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bench import browser
from bench.browser import NoBrowser, chromium

#: What browsers complain of that is nothing of a page's.
_USUAL = ("favicon.ico",)


@contextmanager
def open_browser(profile: Path, **shape: Any) -> Iterator[Any]:
    """As `bench.browser.open_browser`; skips the test where there is none."""
    try:
        chromium()
    except NoBrowser as missing:
        pytest.skip(str(missing))
    with browser.open_browser(profile, **shape) as found:
        yield found


def complaints(browser: Any) -> list[str]:
    """Errors of scripts, refused contents and failed requests that the browser told since."""
    told = [entry["message"] for entry in browser.get_log("browser") if entry["level"] != "INFO"]
    return [text for text in told if not any(usual in text for usual in _USUAL)]


class Tap:
    """A port of this machine before a server's, which keeps every byte that goes to the browser."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._kept: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def received(self) -> bytes:
        """All of it so far."""
        return b"".join(self._kept)

    def close(self) -> None:
        """No more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    near.close()
                    continue
                for pair in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, to: socket.socket, keep: bool) -> None:
        with suppress(OSError):
            while part := source.recv(1 << 16):
                if keep:
                    self._kept.append(part)
                to.sendall(part)
        for end in (source, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
