"""Answers of the server: pages, JSON, and a sentence where there is nothing else to give."""

from __future__ import annotations

import html
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from zebfast.system.parse import parse_json

MAX_BODY = 1 << 20
API = "/api/"


class Refused(Exception):
    """A request that cannot be granted: an HTTP status and one sentence for the person."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def json_answer(found: Any, status: int = 200) -> Response:
    """An object as JSON."""
    return Response(json_bytes(found), status, media_type="application/json")


def json_bytes(found: Any) -> bytes:
    """JSON in as few bytes as it takes; ValueError for numbers that are not finite."""
    return json.dumps(found, separators=(",", ":"), allow_nan=False).encode()


def refusal(scope: Scope, status: int, sentence: str) -> Response:
    """A sentence, as JSON for a page's program and as a page for a person."""
    if scope["path"].startswith(API):
        return json_answer({"error": sentence}, status)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>zebfast</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/static/base.css"></head>'
        f'<body><main class="notice"><h1>zebfast</h1><p>{html.escape(sentence)}</p></main></body>'
        "</html>"
    )
    return Response(page, status, media_type="text/html")


async def read_json(request: Request, most: int = MAX_BODY) -> dict[str, Any]:
    """The object that a page's program sent. Refused for anything else, and for more than ``most``
    bytes."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise Refused(415, "Expected application/json.")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise Refused(413, f"The request is longer than {most:,} bytes.")
    except ClientDisconnect as error:
        raise Refused(400, "The request ended early.") from error
    try:
        found = parse_json(bytes(body))
    except ValueError as error:
        raise Refused(400, f"The request is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Refused(400, "The request is no JSON object.")
    return found
