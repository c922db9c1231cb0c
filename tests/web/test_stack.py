"""The server under the pages: who may ask, what browsers may do, and streams that stay bounded."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from browser import complaints, open_browser
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from web_server import Client, running

from zebfast.web.answers import Refused, json_answer, read_json
from zebfast.web.app import make_app
from zebfast.web.guard import HEADERS, Access
from zebfast.web.server import CannotListen, address, listen
from zebfast.web.stream import Changes, EventStream

TOKEN = "a-token-of-this-test"


class _Site:
    def __init__(self) -> None:
        self.changes = Changes(most=3)
        self.shown = b'"first"'

    async def hello(self, request: Request) -> Response:
        return json_answer({"owner": request.state.is_owner})

    async def echo(self, request: Request) -> Response:
        return json_answer(await read_json(request, most=1000))

    async def events(self, request: Request) -> EventStream:
        return EventStream(self.changes, lambda: self.shown)

    async def page(self, request: Request) -> Response:
        html = (
            '<!doctype html><html lang="en"><title>a page</title><script>document.title="inline"'
            '</script><p id="seen" style="color:red">text</p>'
        )
        return Response(html, media_type="text/html")


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[_Site, int]]:
    found = _Site()
    routes = [
        Route("/", found.page),
        Route("/api/hello", found.hello),
        Route("/open/hello", found.hello),
        Route("/api/echo", found.echo, methods=["POST"]),
        Route("/api/events", found.events),
    ]
    access = Access(TOKEN, "zebfast-test", guests=("/static/", "/open/"))
    with running(make_app(routes, access), found.changes.close) as port:
        yield found, port


@pytest.fixture
def owner(site: tuple[_Site, int]) -> Client:
    return Client(site[1], f"zebfast-test={TOKEN}")


def test_the_token_of_the_address_becomes_a_cookie_and_leaves_the_address(
    site: tuple[_Site, int],
) -> None:
    stranger = Client(site[1])
    answer = stranger.get(f"/api/hello?token={TOKEN}&more=1")
    assert (answer.status, answer.headers["location"]) == (303, "/api/hello?more=1")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    stranger.cookie = cookie.partition(";")[0]
    assert stranger.get("/api/hello").json == {"owner": True}


def test_without_the_token_there_is_a_sentence_and_no_page(site: tuple[_Site, int]) -> None:
    stranger = Client(site[1])
    assert stranger.get("/api/hello").status == 403
    assert "needs its token" in stranger.get("/api/hello").json["error"]
    assert b"needs its token" in stranger.get("/").body
    assert stranger.get("/api/hello?token=wrong").status == 403
    assert stranger.get("/open/hello").json == {"owner": False}
    assert stranger.get("/static/base.css").status == 200
    # An address that begins with the name of another machine leads to no other machine.
    assert stranger.get(f"//elsewhere/?token={TOKEN}").headers["location"] == "/elsewhere/"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example"}, 421),
        ({"Host": "127.0.0.1.example:80"}, 421),
        ({"Host": "localhost:9"}, 200),
        ({"Host": "[::1]:9"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
def test_who_may_read(owner: Client, headers: dict[str, str], status: int) -> None:
    assert owner.get("/api/hello", headers=headers).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_who_may_change_something(owner: Client, headers: dict[str, str], status: int) -> None:
    sent = {name: value.format(port=owner.port) for name, value in headers.items()}
    answer = owner.post("/api/echo", {"a": 1}, headers=sent)
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"a":1,"a":2}', 400), (b" " * 1001, 413), (b"[" * 900, 400)],
)  # fmt: skip
def test_bad_bodies_get_a_sentence(owner: Client, body: bytes, status: int) -> None:
    answer = owner.post("/api/echo", body)
    assert answer.status == status
    assert answer.json["error"].endswith(".")


def test_every_answer_has_its_policy(owner: Client) -> None:
    for path in ("/", "/api/hello", "/static/base.css", "/no/such", "/static/no", "/?token=no"):
        headers = owner.get(path).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS
    tag = owner.get("/static/base.css").headers["etag"]
    assert owner.get("/static/base.css", headers={"If-None-Match": tag}).status == 304
    assert owner.get("/static/..%2fguard.py").status == 404


def test_a_browser_runs_nothing_inline(site: tuple[_Site, int], tmp_path: Path) -> None:
    with open_browser(tmp_path) as browser:
        browser.get(f"http://127.0.0.1:{site[1]}/?token={TOKEN}")
        assert browser.title == "a page"
        assert browser.current_url.endswith(f":{site[1]}/")
        color = browser.execute_script(
            "return getComputedStyle(document.getElementById('seen')).color"
        )
        assert color == "rgb(0, 0, 0)"
        assert len(complaints(browser)) == 2


def _events(port: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port))
    line.settimeout(10)
    request = f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: zebfast-test={TOKEN}\r\n\r\n"
    line.sendall(request.encode())
    return line


def _until(line: socket.socket, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        part = line.recv(1 << 16)
        assert part, found
        found += part
    return found


def test_a_stream_tells_the_newest_state_and_knows_how_many_it_bears(
    site: tuple[_Site, int],
) -> None:
    found, port = site
    lines = [_events(port) for _ in range(3)]
    for line in lines:
        _until(line, b'data: "first"\n\n')
    fourth = Client(port, f"zebfast-test={TOKEN}").get("/api/events")
    assert (fourth.status, fourth.json["error"]) == (
        503, "3 windows are open here already: close some.",
    )  # fmt: skip
    lines.pop().close()
    found.shown = b'"second"'
    for _ in range(100):
        found.changes.tell()  # of another thread: the loop looks when the next line wakes it
    _until(_events_when_free(found, port), b'data: "second"\n\n')
    for line in lines:
        _until(line, b'data: "second"\n\n')
        line.close()


def _events_when_free(found: _Site, port: int) -> socket.socket:
    ends = time.monotonic() + 10
    while found.changes.n_watchers > 2:
        assert time.monotonic() < ends
        time.sleep(0.01)
    return _events(port)


def test_a_watcher_that_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zebfast.web.stream.PATIENCE_SECONDS", 0.01)
    changes = Changes()
    stream = EventStream(changes, lambda: b"1")

    async def receive() -> dict[str, str]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    asyncio.run(asyncio.wait_for(stream({}, receive, send), 5))  # type: ignore[arg-type]
    assert changes.n_watchers == 0


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux ends them")
def test_a_browser_that_takes_nothing_is_let_go_with_what_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zebfast.web.server.STALL_SECONDS", 0.3)
    changes, shown = Changes(), b'"' + b"x" * (16 << 20) + b'"'  # more than all buffers between

    async def events(request: Request) -> EventStream:
        return EventStream(changes, lambda: shown)

    app = make_app([Route("/api/events", events)], Access(TOKEN, "zebfast-test"))
    with running(app, changes.close, listen("127.0.0.1", 0)) as port, _events(port) as line:
        ends = time.monotonic() + 20
        while not changes.n_watchers:
            assert time.monotonic() < ends
            time.sleep(0.001)
        while changes.n_watchers:
            assert time.monotonic() < ends, "it is still waited for"
            time.sleep(0.01)
        read = 0
        with suppress(ConnectionResetError):
            while part := line.recv(1 << 20):
                read += len(part)
        assert read < len(shown)


def test_too_many_watchers_are_refused() -> None:
    changes = Changes(most=1)
    changes.watcher()
    with pytest.raises(Refused, match="close some"):
        changes.watcher()


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with listen("127.0.0.1", 0) as found:
        port = found.getsockname()[1]
        assert address(found, "t") == f"http://127.0.0.1:{port}/?token=t"
        with pytest.raises(CannotListen, match=f"port {port} of 127.0.0.1 is taken"):
            listen("127.0.0.1", port)
