"""Tells a web address about something: one small JSON object by POST, tried a few times."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from zebfast.system.retry import doubling, retrying

_ATTEMPTS = 3
_SECONDS = 10.0
_PASSING = frozenset((408, 425, 429))  # besides 500 and above


class WebhookError(RuntimeError):
    """One sentence: which host did not take it and why. The address, a secret, is not in it."""


class _Refused(Exception):
    """One attempt has failed, ``passing`` where another may not."""

    def __init__(self, problem: str, *, passing: bool) -> None:
        super().__init__(problem)
        self.passing = passing


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
    url: str, message: Mapping[str, Any], *, sleep: Callable[[float], None] | None = None
) -> None:
    """Deliver ``message``. Raises WebhookError when it was not taken after a few attempts."""
    request = urllib.request.Request(
        url,
        data=json.dumps(dict(message)).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "zebfast"},
    )

    def send() -> None:
        try:
            with _OPENER.open(request, timeout=_SECONDS):
                return
        except urllib.error.HTTPError as error:
            error.close()
            passing = error.code >= 500 or error.code in _PASSING
            raise _Refused(f"HTTP {error.code}", passing=passing) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise _Refused(type(reason).__name__, passing=True) from None

    def again(error: _Refused, _attempt: int, _seconds: float) -> None:
        if not error.passing:
            raise error

    try:
        retrying(
            send, on=_Refused, attempts=_ATTEMPTS, pause=doubling(1.0), wait=sleep, again=again
        )
    except _Refused as error:
        sentence = f"{host_of(url)} did not take the notification ({error})"
        raise WebhookError(sentence) from None
