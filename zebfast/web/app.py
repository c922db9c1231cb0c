"""Pages and their files put together as one application behind its guard."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zebfast.web.answers import Refused, refusal
from zebfast.web.guard import Access, Guard

HERE = Path(__file__).parent
_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A file of the package as it is sent."""

    content: bytes
    media_type: str
    tag: str

    def answer(self, request: Request) -> Response:
        """The file, or that the browser has it already."""
        headers = {"etag": self.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def assets(folder: Path) -> dict[str, Asset]:
    """The files of a folder by their names; read once, so that no request names a path."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_file():
            content = path.read_bytes()
            kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            found[path.name] = Asset(content, kind, tag)
    return found


def page(name: str) -> Callable[[Request], Response]:
    """What answers with a page of the package."""
    asset = assets(HERE / "pages")[name]

    def answer(request: Request) -> Response:
        return asset.answer(request)

    return _in_loop(answer)


def make_app(
    routes: Sequence[BaseRoute],
    access: Access,
    *,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
) -> Guard:
    """An application of these routes, with the package's files below /static/."""
    files = assets(HERE / "static")

    def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise Refused(404, f"There is no file {name[:80]!r}.")
        return files[name].answer(request)

    inner = Starlette(
        routes=[Route("/static/{name}", _in_loop(static)), *routes],
        exception_handlers={Refused: _refused, HTTPException: _http_error},
        lifespan=lifespan,
    )
    return Guard(inner, access)


def _in_loop(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """As a coroutine: what only takes from memory needs no thread."""

    async def endpoint(request: Request) -> Response:
        return answer(request)

    return endpoint  # type: ignore[return-value]


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(request.scope, error.status, error.sentence)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {404: "There is no such page.", 405: "This cannot be asked in that way."}
    sentence = sentences.get(error.status_code, f"{error.detail}.")
    return refusal(request.scope, error.status_code, sentence)
