"""Tells a web address about something: one small JSON object by POST, tried a few times."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

_ATTEMPTS = 3
_SECONDS = 10.0
_PASSING = frozenset((408, 425, 429))  # besides 500 and above


class WebhookError(RuntimeError):
    """One sentence: which host did not take it and why. The address, a secret, is not in it."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST arrives as a GET without its message: better an error than that."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def check_address(url: str) -> str:
    """``url`` itself where it can be posted to. Raises ValueError, a sentence."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(letter <= " " or letter == "\x7f" for letter in url):
        raise ValueError("the address to notify is none: expected https://HOST/…")
    return url


def host_of(url: str) -> str:
    """The part of an address that may be shown."""
    return urlsplit(url).hostname or "?"


def post(
    url: str, message: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Deliver ``message``. Raises WebhookError when it was not taken after a few attempts."""
    request = urllib.request.Request(
        url,
        data=json.dumps(dict(message)).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "zebfast"},
    )
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _OPENER.open(request, timeout=_SECONDS):
                return
        except urllib.error.HTTPError as error:
            error.close()
            problem, passing = f"HTTP {error.code}", error.code >= 500 or error.code in _PASSING
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            problem, passing = type(reason).__name__, True
        if not passing or attempt == _ATTEMPTS:
            break
        sleep(2.0 ** (attempt - 1))
    raise WebhookError(f"{host_of(url)} did not take the notification ({problem})")
