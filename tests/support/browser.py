"""A Chromium of this machine that tests drive through pages, and the bytes that it received."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--disable-default-apps", "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--force-prefers-reduced-motion",
)  # fmt: skip
#: What browsers complain of that is nothing of a page's.
_USUAL = ("favicon.ico",)


def chromium() -> tuple[str, str]:
    """The programs; skips the test where they are not on this machine."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium and chromedriver (Debian: apt-get install chromium-driver)")
    pytest.importorskip("selenium", reason="selenium is not installed")
    return browser, driver


@contextmanager
def open_browser(
    profile: Path, *, width: int = 1280, height: int = 900, touch: bool = False
) -> Iterator[Any]:
    """A browser with a profile of its own, a selenium WebDriver, while the context lasts."""
    browser, driver = chromium()
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    try:
        found.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch,
        })  # fmt: skip
        if touch:
            found.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
        yield found
    finally:
        found.quit()


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
