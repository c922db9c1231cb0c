"""`zebfast play` without its command line: a state directory, a port, and the tables behind it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette

from zebfast.arena.players.specs import NETWORK_PLAYER
from zebfast.web.app import make_app
from zebfast.web.guard import Access, Guard
from zebfast.web.lane import Lane
from zebfast.web.play.looks import Looks
from zebfast.web.play.room import Room
from zebfast.web.play.routes import GUESTS, routes
from zebfast.web.play.store import Address, Store, opened
from zebfast.web.play.thinking import Players
from zebfast.web.server import CannotListen, address, listen, serve


@dataclass(frozen=True)
class PlayConfig:
    """How tables are served.

    Attributes:
        state: directory of the tables.
        players: specs of the computer players that may be chosen.
        port: None: that of the last time, or a free one where that is taken.
        names: by which the server may be called besides its addresses.
        threads: that think.
        adviser: spec of the network that hints and reviews ask.
    """

    state: Path
    players: Sequence[str]
    host: str = "127.0.0.1"
    port: int | None = None
    names: Sequence[str] = ()
    threads: int = 2
    device: str = "cpu"
    adviser: str = NETWORK_PLAYER


def play(config: PlayConfig, *, told: Callable[[str, Store], None]) -> None:
    """Serve tables until a signal; ``told`` is called with the address once it can be opened.

    Raises StateInUse, CannotListen and OSError.
    """
    with opened(config.state) as store:
        known = store.address()
        found = _socket(config, known)
        now = Address(found.getsockname()[1], known.token)
        store.keep_address(now)
        room = make_room(config, store)
        told(address(found, now.token), store)
        serve(play_app(room, config, now), found, closing=room.close)


def _socket(config: PlayConfig, known: Address) -> socket.socket:
    if config.port is not None:
        return listen(config.host, config.port)
    try:
        return listen(config.host, known.port)
    except CannotListen:
        return listen(config.host, 0)


def make_room(config: PlayConfig, store: Store) -> Room:
    """The tables of a state directory."""
    return Room(
        store, Players(config.players, device=config.device),
        thinking=Lane("player", config.threads), disk=Lane("disk", 4), looking=Lane("look", 1),
        looks=Looks(config.adviser, device=config.device),
    )  # fmt: skip


def play_app(room: Room, config: PlayConfig, at: Address) -> Guard:
    """The application."""
    access = Access(
        at.token, f"zebfast-{at.port}", frozenset(name.lower() for name in config.names), GUESTS
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        room.start()
        yield

    return make_app(routes(room, access), access, lifespan=lifespan)
