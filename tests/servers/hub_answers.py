"""Forms of answer that several routes of the loopback Hub share."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import unquote

from hub_state import HubState, Repository

Answer = tuple[int, dict[str, str], Any]
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}


def ok(body: Any, **headers: str) -> Answer:
    return 200, headers, body


def iso(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def byte_range(request: Any, data: bytes, headers: dict[str, str] | None = None) -> Answer:
    """A file's content, or the range of it that was asked for."""
    headers = {"Accept-Ranges": "bytes", **(headers or {})}
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range or "")
    if not asked:
        return 200, headers, data
    first = int(asked[1])
    last = min(int(asked[2] or len(data)), len(data) - 1)
    if first >= len(data):
        return 416, headers, b""
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return 206, headers, data[first : last + 1]


def paged(request: Any, items: list[Any], size: int) -> Answer:
    page = int(request.query.get("p", ["0"])[0])
    rest = "&".join(f"{k}={v[0]}" for k, v in request.query.items() if k != "p")
    headers = {}
    if len(items) > (page + 1) * size:
        more = f"{request.base}{request.path}?{rest}{'&' if rest else ''}p={page + 1}"
        headers["Link"] = f'<{more}>; rel="next"'
    return 200, headers, items[page * size : (page + 1) * size]


def repo_of(state: HubState, kinds: str | None, name: str) -> Repository:
    return state.repo(KINDS[kinds or "models"], unquote(name))
