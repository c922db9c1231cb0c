"""What players do in many whole games at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import Rows
from zebfast.arena.policies.policy import renumbered
from zebfast.core.whole_game import WholeGame, WholeGameBatch
from zebfast.rules import (
    CALLS,
    N_DECLARATIONS,
    PLUNGE,
    PLUNGE_BIT,
    SPLASH_BIT,
    TOTAL_POINTS,
    SeatView,
    contract_of,
)

if TYPE_CHECKING:
    from zebfast.arena.players.api import GamePlayer
    from zebfast.arena.table.players import TablePlayer


@runtime_checkable
class ManyPlayer(Protocol):
    """A player of whole games that can be asked of many games in one call."""

    def act(self, games: WholeGameBatch, rows: Rows) -> NDArray[np.uint8]:
        """One legal action u1[k], as `WholeGameBatch.act` takes it, for the seats to act in rows.

        It may depend on nothing but what each seat knows: not on the other rows.
        """


def hand_number(dealt: int, number: int) -> int:
    """The number of a hand by which players draw: of what the seat knows, whatever the table calls
    the game. ``dealt``: the seat's own dominoes, a mask."""
    return dealt << 8 | number & 0xFF


#: Plays nello and sevens: of rows of games, whose hands have these numbers u8[k], dominoes u1[k].
HousePlays = Callable[[WholeGameBatch, Rows, NDArray[np.uint64]], NDArray[np.uint8]]


def plays_of(
    player: GamePlayer, games: WholeGameBatch, rows: Rows, house: HousePlays
) -> NDArray[np.uint8]:
    """Dominoes u1[k] for rows in play: of a player of hands, at nello and sevens of ``house``."""
    found = np.empty(len(rows), np.uint8)
    is_straight = games.decl[rows] < N_DECLARATIONS
    straight, others = np.flatnonzero(is_straight), np.flatnonzero(~is_straight)
    if len(straight):
        some = rows[straight]
        with renumbered(straight):
            found[straight] = player.choose_many(
                games.hand_games(some),
                bids=np.minimum(games.bid[some], TOTAL_POINTS).astype(np.uint8),
                numbers=_hand_numbers(games, some),
            )
    if len(others):
        some = rows[others]
        found[others] = house(games, some, _hand_numbers(games, some))
    return found


def _hand_numbers(games: WholeGameBatch, rows: Rows) -> NDArray[np.uint64]:
    """`hand_number` of each row's hand, as its seat to act sees it."""
    dealt = games.dealt[rows, games.seat[rows]].astype(np.uint64)
    hand = (games.n_hands[rows].astype(np.uint64) + np.uint64(1)) & np.uint64(0xFF)
    return dealt << np.uint64(8) | hand


def seen(games: WholeGameBatch, row: int) -> SeatView:
    """What the seat to act knows in a row."""
    game = WholeGame.from_batch(games, int(row))
    assert game.seat is not None
    return game.seen_by(game.seat)


def choice(player: TablePlayer, view: SeatView) -> int:
    """What the player calls, declares or plays."""
    return {"call": player.call, "declare": player.declare, "play": player.play}[view.phase](view)


def act_one_by_one(player: TablePlayer, games: WholeGameBatch, rows: Rows) -> NDArray[np.uint8]:
    """What a player that sees one seat at a time does, as `ManyPlayer.act`."""
    found = np.empty(len(rows), np.uint8)
    for i, row in enumerate(rows):
        view = seen(games, row)
        with renumbered([i]):
            value = choice(player, view)
        found[i] = place_of(value) if view.phase == "call" else value
    return found


def place_of(call: int) -> int:
    """The place of a call in a mask of legal ones."""
    house = contract_of(call)
    if house:
        return PLUNGE_BIT if house == PLUNGE else SPLASH_BIT
    return CALLS.index(call)
