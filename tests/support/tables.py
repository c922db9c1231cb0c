"""Tables in a server of the test, and as people use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from web_server import Client, running

from zebfast.web.play.room import Room
from zebfast.web.play.serve import PlayConfig, make_room, play_app
from zebfast.web.play.store import Address, opened

TOKEN = "a-token-of-this-test"
QUICK = "heuristic2"  # needs no network
COMPUTER = {"kind": "computer", "name": "", "player": QUICK}
HERE = {"kind": "here", "name": "Ann", "player": ""}
LINK = {"kind": "link", "name": "Ben", "player": ""}


@dataclass
class Site:
    """A server of tables, and its owner's requests."""

    port: int
    room: Room
    folder: Path
    owner: Client = field(init=False)

    def __post_init__(self) -> None:
        self.owner = Client(self.port, f"zebfast-{self.port}={TOKEN}")

    @property
    def address(self) -> str:
        """What its owner opens."""
        return f"http://127.0.0.1:{self.port}/?token={TOKEN}"

    def new(self, *seats: dict[str, str], **more: Any) -> str:
        """A table; its id. A person and three quick computers where nothing is said."""
        asked = {"seats": list(seats) or [HERE, COMPUTER, COMPUTER, COMPUTER], "pace": "instant"}
        answer = self.owner.post("/api/tables", asked | more)
        assert answer.status == 200, answer.body
        return str(answer.json["id"])

    def guest(self, table_id: str, place: int) -> Client:
        """Who has opened the link of a seat."""
        link = self.owner.get(f"/api/table/{table_id}/links").json["links"][str(place)]
        answer = Client(self.port).get(link)
        assert (answer.status, answer.headers["location"]) == (303, f"/table/{table_id}")
        return Client(self.port, answer.headers["set-cookie"].partition(";")[0])


@contextmanager
def serving(folder: Path, players: tuple[str, ...] = (QUICK, "random", "zeb")) -> Iterator[Site]:
    """A server while the context lasts; its tables are in the folder."""
    config = PlayConfig(folder, players)
    with opened(folder) as store:
        room = make_room(config, store)
        with _named(room, config) as port:
            yield Site(port, room, folder)


@contextmanager
def _named(room: Room, config: PlayConfig) -> Iterator[int]:
    """Its cookies bear the port, which has to be known before."""
    from zebfast.web.server import listen

    with listen("127.0.0.1", 0) as found:
        port = found.getsockname()[1]
        app = play_app(room, config, Address(port, TOKEN))
        with running(app, room.close, found) as port:
            yield port
