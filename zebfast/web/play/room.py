"""All tables of a server, and what makes them go on: people's acts and computer players' thoughts.

Everything about a table happens in the event loop, one thing at a time behind the table's lock;
thinking and the disk are elsewhere. An act counts once it is on the disk: a server that is killed
loses none that anybody was told of.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from zebfast.rules import RuleSet
from zebfast.system.files import fault_text
from zebfast.web.answers import Refused
from zebfast.web.lane import Lane
from zebfast.web.play.looks import Looks
from zebfast.web.play.store import MAX_TABLES, Store, table_bytes
from zebfast.web.play.table import PACES, Seat, Table
from zebfast.web.play.thinking import Players
from zebfast.web.stream import Changes

_LOG = logging.getLogger(__name__)
MAX_WINDOWS = 32  # that watch one table
RETRY_SECONDS = 5.0  # after what a disk or a player failed at
TRICK_PACES = 2.0  # as long as so many acts a finished trick lies there
MAX_LOOKS = 16  # hints and reviews that wait
HAND_SECONDS = 6.0  # between hands at a table without people
_FAILED = "A computer player failed; the server's messages say how."


class Seated:
    """A table with what watches it and makes it go on."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.changes = Changes(MAX_WINDOWS)
        self.lock = asyncio.Lock()
        self.trouble = ""  # a sentence about why it does not go on
        self.going: asyncio.Task[None] | None = None


class Room:
    """The tables.

    Players think in the lane ``thinking``, hints and reviews are worked out in ``looking``, and
    ``disk`` keeps tables.
    """

    def __init__(
        self,
        store: Store,
        players: Players,
        *,
        thinking: Lane,
        disk: Lane,
        looking: Lane,
        looks: Looks,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self.players = players
        self._thinking = thinking
        self._disk = disk
        self._looking = looking
        self.looks = looks
        self._n_looks = 0
        self._clock = clock
        self._tables = {table.id: Seated(table) for table in store.load()}
        self.changes = Changes()  # of the list of tables

    def __len__(self) -> int:
        return len(self._tables)

    def tables(self) -> list[Table]:
        """All of them, the one that changed last first."""
        found = (seated.table for seated in self._tables.values())
        return sorted(found, key=lambda table: -table.changed)

    def find(self, table_id: str) -> Seated:
        """A table by its id. Refused where there is none."""
        seated = self._tables.get(table_id)
        if seated is None:
            raise Refused(404, "There is no such table: it may have been removed.")
        return seated

    def start(self) -> None:
        """Have all tables go on. Within the event loop."""
        for seated in self._tables.values():
            self._go_on(seated)

    def close(self) -> None:
        """Watchers end, and nobody thinks any more."""
        for seated in self._tables.values():
            seated.changes.close()
            if seated.going is not None:
                seated.going.cancel()
        self.changes.close()

    # --- tables come and go ----------------------------------------------------------------------

    async def open_table(
        self, rule_set: RuleSet, seats: tuple[Seat, ...], *, pace: str, hints: bool
    ) -> Table:
        """A new table, saved. Refused where there are too many, or a player cannot be used."""
        for spec in dict.fromkeys(seat.player for seat in seats if seat.player):
            await self.check_player(spec)
        return await self.add(Table.new(rule_set, seats, pace=pace, hints=hints, now=self._clock()))

    async def add(self, table: Table) -> Table:
        """A table, saved. Refused where there are too many."""
        if len(self._tables) >= MAX_TABLES:
            raise Refused(
                503, f"There are {MAX_TABLES} tables, which is all that fit: remove some."
            )
        seated = self._tables[table.id] = Seated(table)
        try:
            await self._save(table)
        except BaseException:
            del self._tables[table.id]
            raise
        self.changes.tell()
        self._go_on(seated)
        return table

    async def check_player(self, spec: str) -> None:
        """Refused for a computer player that is not offered, or cannot be used."""
        if spec not in self.players.specs:
            raise Refused(400, f"{spec[:60]!r} is not among the players that this server offers.")
        try:
            await self._do(self._thinking, partial(self.players.check, spec))
        except ValueError as error:
            raise Refused(400, str(error)) from error

    async def remove(self, table_id: str) -> None:
        """Forget a table."""
        seated = self.find(table_id)
        async with seated.lock:
            await self._do(self._disk, partial(self._store.remove, table_id))
            self._tables.pop(table_id, None)
            if seated.going is not None:
                seated.going.cancel()
            seated.changes.close()
        self.changes.tell()

    # --- what people do --------------------------------------------------------------------------

    async def do(
        self, table_id: str, act: Callable[[Table], None], *, at: int | None = None
    ) -> Table:
        """Do something at a table, keep it, and have the table go on.

        Args:
            at: the version that the person saw; what was decided by looking at another one is
                refused. None where it does not matter.
        """
        seated = self.find(table_id)
        async with seated.lock:
            table = seated.table
            if at is not None and at != table.version:
                raise Refused(
                    409, "The table has gone on meanwhile (in another window?): look again."
                )
            await self._change(seated, act)
        self._go_on(seated)
        return table

    async def _change(self, seated: Seated, act: Callable[[Table], None]) -> None:
        """Do it and keep it, or neither; nobody is shown what is not kept."""
        after = seated.table.snapshot()
        act(after)
        after.changed = self._clock()
        await self._save(after)
        seated.table.become(after)
        seated.trouble = ""
        seated.changes.tell()
        self.changes.tell()

    async def _save(self, table: Table) -> None:
        content = table_bytes(table)
        try:
            await self._do(self._disk, partial(self._store.save, table.id, content))
        except OSError as error:
            raise Refused(507, f"The table could not be saved: {fault_text(error)}.") from error

    @staticmethod
    async def _do(lane: Lane, job: Callable[[], Any]) -> Any:
        return await asyncio.wrap_future(lane.do(job))

    # --- what is worked out when somebody asks ---------------------------------------------------

    async def look(self, job: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Have a hint or review worked out. Refused where too many wait for theirs."""
        if self._n_looks >= MAX_LOOKS:
            raise Refused(503, "Too much is being worked out just now: ask again in a moment.")
        self._n_looks += 1
        try:
            found: dict[str, Any] = await self._do(self._looking, job)
        except ValueError as error:  # a network that cannot be used
            raise Refused(422, str(error)) from error
        finally:
            self._n_looks -= 1
        return found

    # --- what goes on by itself ------------------------------------------------------------------

    def _go_on(self, seated: Seated) -> None:
        """See that somebody makes the table go on, if nobody does and it waits for no person."""
        if seated.going is None and self._waits_for_us(seated.table):
            seated.going = asyncio.get_running_loop().create_task(self._go(seated))

    @staticmethod
    def _waits_for_us(table: Table) -> bool:
        if table.review_only or table.game.over:
            return False
        return bool(table.thinker) or (table.between_hands and not table.n_people)

    async def _go(self, seated: Seated) -> None:
        try:
            while self._waits_for_us(seated.table):
                try:
                    await self._step(seated)
                except Exception as error:  # whatever it is, the other tables go on
                    told = str(error) if isinstance(error, Refused) else _FAILED
                    seated.trouble = f"{told} It is tried again in a few seconds."
                    _LOG.warning(f"table {seated.table.id}: {type(error).__name__}: {error}")
                    seated.changes.tell()
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            seated.going = None

    async def _step(self, seated: Seated) -> None:
        """One thought or deal, no sooner than the pace allows."""
        table, version = seated.table, seated.table.version
        if table.between_hands:
            await asyncio.sleep(HAND_SECONDS * PACES[table.pace])
            value = -1
        else:
            value = await self._think(table)
        async with seated.lock:
            if table.version != version:
                return  # a person took something back, or changed a seat
            if value < 0:
                await self._change(seated, lambda table: table.next_hand())
                return
            seat = table.game.seat
            assert seat is not None
            await self._change(seated, lambda table: table.act(seat, value))

    async def _think(self, table: Table) -> int:
        game, spec = table.game, table.thinker
        assert game.seat is not None
        view = game.seen_by(game.seat)
        between = game.phase == "play" and bool(game.plays) and not game.trick
        pace = PACES[table.pace] * (TRICK_PACES if between else 1.0)
        thought = asyncio.wrap_future(self._thinking.do(partial(self.players.choose, spec, view)))
        await asyncio.sleep(pace)
        return await thought
