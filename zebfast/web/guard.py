"""Who may ask the server, from which page, and what browsers may do with its answers.

Pages are for whoever has the token of the printed address. A page of another site that a person
visits meanwhile can neither read nor change anything: the name in Host must be an address of
numbers or localhost, so that no site can point its own name at this machine, and what changes
something must come from a page of this server.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zebfast.web.answers import refusal

_SAFE = ("GET", "HEAD")
#: Nothing but this server's own files; data: and blob: are pictures that a page makes itself.
_POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:",
    "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
))  # fmt: skip
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the address holds a token
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
LOCKED = "This page needs its token: open the address that zebfast printed when it started."


def new_token() -> str:
    """128 random bits as text for an address."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True)
class Access:
    """What a server lets in.

    Attributes:
        token: of the address; who has it owns the server.
        cookie: name of the cookie that keeps it. Cookies know no ports, so servers on one machine
            need names of their own.
        hosts: names by which the server may be called, besides localhost and addresses of numbers.
        guests: beginnings of paths that look themselves at who asks (`is_owner` in the request's
            state says whether it was the owner).
    """

    token: str
    cookie: str
    hosts: frozenset[str] = frozenset()
    guests: tuple[str, ...] = ("/static/",)

    def knows(self, token: str) -> bool:
        """Whether this is the token."""
        return secrets.compare_digest(token.encode(), self.token.encode())

    def is_host(self, host: str) -> bool:
        """Whether a Host header names this machine in a way that no other site can."""
        name = _without_port(host)
        return name in self.hosts or name == "localhost" or _is_address(name)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Lets a request through to the pages, or answers it with a sentence."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer = self._admit(scope) or self._app
        await answer(scope, receive, with_headers)

    def _admit(self, scope: Scope) -> ASGIApp | None:
        """An answer in place of the page's, or None where the request may pass."""
        headers, path = Headers(scope=scope), scope["path"]
        if not self._access.is_host(headers.get("host", "")):
            return refusal(
                scope, 421, "This server answers to its address, not to another site's name."
            )
        if not _is_from_here(scope["method"], headers):
            return refusal(scope, 403, "The request comes from a page of another site.")
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = dict(query).get("token")
        if token is not None and scope["method"] in _SAFE:
            if not self._access.knows(token):
                return refusal(scope, 403, LOCKED)
            return self._keep_token(path, query)
        is_owner = self._access.knows(_cookies(headers).get(self._access.cookie, ""))
        if not is_owner and not path.startswith(self._access.guests):
            return refusal(scope, 403, LOCKED)
        scope.setdefault("state", {})["is_owner"] = is_owner
        return None

    def _keep_token(self, path: str, query: Iterable[tuple[str, str]]) -> ASGIApp:
        """To the same page without the token in its address, which others may see."""
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        # One slash alone: two begin the name of another machine.
        answer = RedirectResponse("/" + path.lstrip("/") + (f"?{rest}" if rest else ""), 303)
        keep(answer, self._access.cookie, self._access.token)
        return answer


def keep(answer: RedirectResponse, name: str, value: str, path: str = "/") -> None:
    """Have the browser send this with every request of its own accord, for a year."""
    answer.set_cookie(
        name, value, max_age=365 * 24 * 3600, path=path, httponly=True, samesite="lax"
    )


def _cookies(headers: Headers) -> dict[str, str]:
    return cookie_parser(headers.get("cookie", ""))


def _is_from_here(method: str, headers: Headers) -> bool:
    """Whether a request was made by a page of this server, by no page, or only opens one."""
    site = headers.get("sec-fetch-site", "none")
    if method in _SAFE:
        opens = headers.get("sec-fetch-mode", "navigate") == "navigate"
        return site in ("same-origin", "none") or opens
    origin = headers.get("origin")
    if origin is None:
        return site in ("same-origin", "none")
    return origin.partition("://")[2] == headers.get("host")
