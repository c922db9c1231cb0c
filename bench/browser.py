"""A Chromium of this machine that is driven through pages: by benchmarks, and by tests."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--disable-default-apps", "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--force-prefers-reduced-motion",
)  # fmt: skip


class NoBrowser(Exception):
    """What is missing, and how to have it."""


def chromium() -> tuple[str, str]:
    """The programs. Raises NoBrowser where they, or what drives them, are not on this machine."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        raise NoBrowser("no chromium and chromedriver (Debian: apt-get install chromium-driver)")
    if importlib.util.find_spec("selenium") is None:
        raise NoBrowser("selenium is not installed")
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
