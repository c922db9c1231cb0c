"""A hand of Texas 42 for OpenSpiel, and players of zebfast as its bots.

    import pyspiel
    import zebfast.environments.openspiel  # registers the game

    game = pyspiel.load_game("python_texas42_hand(rewards=points)")

What the game is, and what OpenSpiel's own bots do with it, is said in `zebfast.arena.openspiel`.
"""

from __future__ import annotations

# Says what is missing where OpenSpiel is, so it comes first.
from zebfast.arena.openspiel import NAME, HandGame, HandObserver, HandState  # isort: split

import pyspiel

from zebfast.arena.players.api import load_player
from zebfast.rules import LEAST_BID

__all__ = ["NAME", "HandGame", "HandObserver", "HandState", "PlayerBot"]


class PlayerBot(pyspiel.Bot):  # type: ignore[misc]
    """A player of zebfast, at any seat: `PlayerBot("zeb")`. It sees what the seat to play knows.

    Args:
        player: as in `zebfast.load_player`.
        seed: of whatever it draws.
        bid: of the side that led first, 30..42, for players that play for it.
    """

    def __init__(self, player: str = "zeb", *, seed: int = 0, bid: int = LEAST_BID) -> None:
        super().__init__()
        self._player = load_player(player, seed=seed)
        self._bid = bid
        self._number = 0

    def step(self, state: HandState) -> int:
        """The domino that it plays. Raises ValueError where no seat is to play."""
        if state.hand is None:
            raise ValueError("the dominoes are still being dealt: nobody is to play")
        return self._player.choose(state.hand, bid=self._bid, number=self._number)

    def restart(self) -> None:
        """The next game: its draws are others."""
        self._number += 1

    def restart_at(self, state: HandState) -> None:
        """Nothing is kept between plays."""
        self.restart()

    def provides_force_action(self) -> bool:
        """Whether it can be told that something else was played: it needs not be told."""
        return True

    def force_action(self, state: HandState, action: int) -> None:
        """Nothing is kept between plays."""
