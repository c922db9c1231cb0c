"""What browsers ask of the tables. Who asks has the server's token, or the link of one seat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from zebfast.arena.analysis.read import MAX_CHARACTERS, UnreadableGame, read_games
from zebfast.arena.analysis.steps import finished_hands, game_record
from zebfast.rules import ALL_DECLARATIONS, N_SEATS, RuleSet, call_of
from zebfast.rules.notation import read_domino
from zebfast.system.settings import SettingError, decode, setting_of
from zebfast.web.answers import Refused, json_answer, json_bytes, read_json
from zebfast.web.app import page
from zebfast.web.guard import Access, keep
from zebfast.web.play import views
from zebfast.web.play.room import Room, Seated
from zebfast.web.play.table import PACES, PLACES, Seat, Table, check_pace, imported, seat_of
from zebfast.web.stream import EventStream

#: Beginnings of paths that people with the link of a seat may ask for.
GUESTS = ("/static/", "/table/", "/api/table/", "/review/", "/join/")
_MAX_ACT = 4096


def routes(room: Room, access: Access) -> list[BaseRoute]:
    """The pages of the tables and what they ask."""
    return Tables(room, access).routes()


class Tables:
    """Requests, each checked, handed on to the room, and answered."""

    def __init__(self, room: Room, access: Access) -> None:
        self.room = room
        self._access = access

    def routes(self) -> list[BaseRoute]:
        """Paths and what answers them."""
        post = ["POST"]
        return [
            Route("/", page("lobby.html")),
            Route("/table/{id}", page("table.html")),
            Route("/join/{id}/{key}", self.join),
            Route("/api/lobby", self.lobby),
            Route("/api/lobby/events", self.lobby_events),
            Route("/api/tables", self.open_table, methods=post),
            Route("/api/table/{id}", self.state),
            Route("/api/table/{id}/events", self.events),
            Route("/api/table/{id}/act", self.act, methods=post),
            Route("/api/table/{id}/next", self.next_hand, methods=post),
            Route("/api/table/{id}/end", self.end_hand, methods=post),
            Route("/api/table/{id}/undo", self.undo, methods=post),
            Route("/api/table/{id}/settings", self.settings, methods=post),
            Route("/api/table/{id}/remove", self.remove, methods=post),
            Route("/api/table/{id}/links", self.links),
            Route("/api/table/{id}/hint", self.hint),
            Route("/review/{id}", page("review.html")),
            Route("/api/table/{id}/hands", self.hands),
            Route("/api/table/{id}/review", self.review),
            Route("/api/table/{id}/record", self.record),
            Route("/api/import", self.import_game, methods=post),
        ]

    # --- who asks --------------------------------------------------------------------------------

    def _seated(self, request: Request) -> Seated:
        """The table that is asked about. Refused for who has no seat there."""
        is_owner = request.state.is_owner
        try:
            seated = self.room.find(request.path_params["id"])
        except Refused:
            if is_owner:
                raise
            raise Refused(403, _NO_SEAT) from None
        if not is_owner and not self._own(request, seated.table):
            raise Refused(403, _NO_SEAT)
        return seated

    def _own(self, request: Request, table: Table) -> frozenset[int]:
        """The seats of whoever asks: by the owner's browser, and by a link's key."""
        key = request.cookies.get(self._cookie(table), "")
        return frozenset(
            place for place, seat in enumerate(table.seats)
            if (seat.kind == "here" and request.state.is_owner) or (seat.key and seat.key == key)
        )  # fmt: skip

    def _cookie(self, table: Table) -> str:
        return f"{self._access.cookie}-{table.id}"

    def _seat(self, request: Request, table: Table) -> tuple[int | None, frozenset[int]]:
        """The seat to be looked from, and all that are one's own."""
        own, asked = self._own(request, table), request.query_params.get("seat", "")
        if asked == "":
            return None, own
        if asked not in map(str, own):
            raise Refused(403, "That is not your seat.")
        return int(asked), own

    def _owner(self, request: Request) -> None:
        if not request.state.is_owner:
            raise Refused(403, "Only who started the server may do that.")

    # --- the list of tables ----------------------------------------------------------------------

    async def join(self, request: Request) -> Response:
        """The link of a seat: from now on this browser sits there."""
        table_id, key = request.path_params["id"], request.path_params["key"]
        try:
            table = self.room.find(table_id).table
        except Refused:
            raise Refused(403, _NO_SEAT) from None
        if not any(seat.key == key for seat in table.seats if seat.key):
            raise Refused(403, _NO_SEAT)
        answer = RedirectResponse(f"/table/{table.id}", 303)
        keep(answer, self._cookie(table), key)
        return answer

    def _lobby(self) -> bytes:
        players = self.room.players
        return json_bytes({
            "tables": [views.summary(table) for table in self.room.tables()],
            "players": [[spec, players.words(spec)] for spec in players.specs],
            "paces": list(PACES), "places": list(PLACES), "rules": rule_form(),
        })  # fmt: skip

    async def lobby(self, request: Request) -> Response:
        """All tables, and what a new one may be."""
        return Response(self._lobby(), media_type="application/json")

    async def lobby_events(self, request: Request) -> EventStream:
        """The same, as it changes."""
        return EventStream(self.room.changes, self._lobby)

    async def open_table(self, request: Request) -> Response:
        """A new table: its seats, rules, pace."""
        asked = await read_json(request, _MAX_ACT * 4)
        seats = asked.get("seats")
        if not isinstance(seats, list) or len(seats) != N_SEATS:
            raise Refused(400, "A table has four seats.")
        made = tuple(_read_seat(seat, place) for place, seat in enumerate(seats))
        pace = check_pace(_text(asked, "pace", "calm"))
        table = await self.room.open_table(
            _read_rules(asked.get("rules", {})), made, pace=pace, hints=asked.get("hints") is True
        )
        return json_answer({"id": table.id})

    async def remove(self, request: Request) -> Response:
        """Forget a table."""
        self._owner(request)
        await self.room.remove(request.path_params["id"])
        return json_answer({})

    async def links(self, request: Request) -> Response:
        """The links of the seats that people elsewhere have, for the owner to hand on."""
        self._owner(request)
        table = self._seated(request).table
        return json_answer({
            "links": {
                str(place): f"/join/{table.id}/{seat.key}"
                for place, seat in enumerate(table.seats) if seat.key
            }
        })  # fmt: skip

    # --- one table -------------------------------------------------------------------------------

    def _view(self, seated: Seated, seat: int | None, request: Request) -> bytes:
        own = self._own(request, seated.table)
        found = views.view(seated.table, seat, own, is_owner=request.state.is_owner)
        return json_bytes(found | {"trouble": seated.trouble})

    async def state(self, request: Request) -> Response:
        """The table as a seat sees it."""
        seated = self._seated(request)
        seat, _ = self._seat(request, seated.table)
        return Response(self._view(seated, seat, request), media_type="application/json")

    async def events(self, request: Request) -> EventStream:
        """The same, as it changes."""
        seated = self._seated(request)
        seat, _ = self._seat(request, seated.table)
        return EventStream(seated.changes, partial(self._view, seated, seat, request))

    async def act(self, request: Request) -> Response:
        """Call, declare or play."""
        seated = self._seated(request)
        asked = await read_json(request, _MAX_ACT)
        seat, own = asked.get("seat"), self._own(request, seated.table)
        if type(seat) is not int or seat not in own:
            raise Refused(403, "That is not your seat.")
        phase, value = _text(asked, "phase"), _text(asked, "value")
        # Read when it is done: what a window meant that has not seen the table as it is counts for
        # nothing, and it is told that first.
        return await self._do(
            request, lambda table: table.act(seat, _read_value(phase, value, table)), asked
        )

    async def next_hand(self, request: Request) -> Response:
        """Deal the next hand."""
        return await self._do(request, lambda table: table.next_hand())

    async def end_hand(self, request: Request) -> Response:
        """End a decided hand."""
        return await self._do(request, lambda table: table.end_hand())

    async def undo(self, request: Request) -> Response:
        """Take back."""
        own = self._own(request, self._seated(request).table)
        return await self._do(request, lambda table: table.undo(own))

    async def settings(self, request: Request) -> Response:
        """Pace and hints; whether there are hints is the owner's to say."""
        asked = await read_json(request, _MAX_ACT)
        hints = asked.get("hints")
        if hints is not None:
            self._owner(request)
        pace = _text(asked, "pace") if "pace" in asked else None
        allowed = None if hints is None else bool(hints)
        return await self._do(request, lambda table: table.change(pace=pace, hints=allowed), {})

    # --- hints, and looking back -----------------------------------------------------------------

    async def hint(self, request: Request) -> Response:
        """What is good for a seat that is to act, where the table has hints."""
        table = self._seated(request).table
        seat, _ = self._seat(request, table)
        if not table.hints:
            raise Refused(403, "There are no hints at this table; who opened it can allow them.")
        if seat is None or table.game.seat != seat:
            raise Refused(409, "There are hints when it is your turn.")
        view = table.game.seen_by(seat)
        return json_answer(await self.room.look(partial(self.room.looks.hint, view)))

    async def hands(self, request: Request) -> Response:
        """The hands that can be looked back at."""
        table = self._seated(request).table
        game = finished_hands(table.game)
        return json_answer({
            "names": _names(table), "marks": game.marks, "over": game.over, "winner": game.winner,
            "own": sorted(self._own(request, table)), "scoring": game.rule_set.scoring,
            "results": [views.result(each) for each in game.results], "target":
            game.rule_set.target, "review_only": table.review_only,
            "is_owner": request.state.is_owner,
        })  # fmt: skip

    async def review(self, request: Request) -> Response:
        """One hand that is over, or with none named all of them and the totals."""
        table = self._seated(request).table
        game, asked = finished_hands(table.game), request.query_params.get("hand", "")
        looks, names = self.room.looks, _names(table)
        if asked == "":
            return json_answer(await self.room.look(partial(looks.summary, game, names)))
        if asked not in map(str, range(1, len(game.results) + 1)):
            raise Refused(404, f"Hand {asked[:10]} is not over, or there is none.")
        return json_answer(await self.room.look(partial(looks.review, game, int(asked), names)))

    async def record(self, request: Request) -> Response:
        """The hands that are over as a file: text, or of a whole game a table's JSON."""
        table = self._seated(request).table
        game, kind = finished_hands(table.game), request.query_params.get("form", "text")
        if kind == "json" and not game.over:
            raise Refused(409, "A game has a table's JSON once it is over; it has text before.")
        if not game.results:
            raise Refused(409, "No hand is over yet.")
        if kind == "json":
            found = game_record(game, _names(table))
            content, suffix, media = json_bytes(found) + b"\n", "jsonl", "application/json"
        else:
            content, suffix, media = f"{game}\n".encode(), "txt", "text/plain"
        file = f'attachment; filename="texas-42-{table.id}.{suffix}"'
        return Response(content, media_type=media, headers={"content-disposition": file})

    async def import_game(self, request: Request) -> Response:
        """A game from elsewhere, to be looked back at."""
        asked = await read_json(request, 2 * MAX_CHARACTERS)
        text = asked.get("text")
        if not isinstance(text, str):
            raise Refused(400, "The request has no text of a game.")
        try:
            game = read_games(text)[0]
        except UnreadableGame as error:
            raise Refused(422, str(error)) from error
        if not finished_hands(game).results:
            raise Refused(422, "No hand of this game is over: there is nothing to look back at.")
        return json_answer(
            {"id": (await self.room.add(imported(finished_hands(game), now=time.time()))).id}
        )

    async def _do(
        self, request: Request, act: Callable[[Table], None], asked: dict[str, Any] | None = None
    ) -> Response:
        """Do it if the table is still as it was seen, ``at`` of what was asked."""
        seated = self._seated(request)
        if not self._own(request, seated.table) and not request.state.is_owner:
            raise Refused(403, _NO_SEAT)
        if asked is None:
            asked = await read_json(request, _MAX_ACT)
        at = asked.get("at")
        table = await self.room.do(seated.table.id, act, at=at if type(at) is int else None)
        return json_answer({"version": table.version})


_NO_SEAT = "You have no seat at this table: open the link that you were given."


def _names(table: Table) -> list[str]:
    return [seat.name for seat in table.seats]


def _text(asked: dict[str, Any], key: str, default: str | None = None) -> str:
    found = asked.get(key, default)
    if not isinstance(found, str) or len(found) > 200:
        raise Refused(400, f"The request has no text {key!r}.")
    return found


def _read_seat(asked: object, place: int) -> Seat:
    if not isinstance(asked, dict):
        raise Refused(400, "A seat is an object with kind, name and player.")
    return seat_of(
        _text(asked, "kind"), _text(asked, "name", ""), _text(asked, "player", ""), place
    )


def _read_rules(asked: object) -> RuleSet:
    if not isinstance(asked, dict):
        raise Refused(400, "Rules are an object of settings.")
    try:
        found: RuleSet = decode(RuleSet, asked, "the rules")
    except SettingError as error:
        raise Refused(400, f"{error}.") from error
    return found


def _read_value(phase: str, text: str, table: Table) -> int:
    """What somebody chose, by its name."""
    if phase != table.game.phase:
        raise Refused(
            409, f"Nothing of that kind is asked now: the table is at {table.game.phase}."
        )
    try:
        if phase == "call":
            return call_of(text)
        if phase == "declare":
            return ALL_DECLARATIONS.index(text)
        return read_domino(text)
    except ValueError as error:
        raise Refused(400, f"{text[:20]!r} is nothing that one can {phase}.") from error


def rule_form() -> list[dict[str, Any]]:
    """The settings of a rule set for a form: name, help, default, and what it may be."""
    found = []
    for each in fields(RuleSet):
        about = setting_of(each)
        kind = "switch" if isinstance(each.default, bool) else "number"
        found.append({
            "name": each.name, "help": about.help, "default": each.default,
            "kind": "choice" if about.choices else kind, "choices": list(about.choices),
            "least": about.least, "most": about.most,
        })  # fmt: skip
    return found
