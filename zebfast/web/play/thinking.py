"""Computer players think in threads of their own, so that no page waits for a thought."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from zebfast.arena.table.hands import choice
from zebfast.arena.table.players import TablePlayer, table_player
from zebfast.rules import SeatView

#: Computer players that a table may have, and what they are in words; the first is the default.
PLAYERS = {
    "zeb": "zeb: the network, one look a play",
    "search:ms=100": "zeb, thinking a tenth of a second a play",
    "eq:n=20": "solver over 20 layouts",
    "heuristic2": "rules of thumb",
    "random": "any legal domino",
}


class Players:
    """The computer players that tables may have; each thread has its own of each.

    Args:
        specs: what may be chosen.
        seed: of whatever they draw.
    """

    def __init__(self, specs: Sequence[str], *, seed: int = 0, device: str = "cpu") -> None:
        self.specs = tuple(specs)
        self._seed = seed
        self._device = device
        self._own = threading.local()

    def words(self, spec: str) -> str:
        """A player in words."""
        return PLAYERS.get(spec, spec)

    def choose(self, spec: str, view: SeatView) -> int:
        """What the player does, from what its seat knows; what is forced without a thought."""
        if len(view.legal) == 1:
            return view.legal[0]
        return choice(self._player(spec), view)

    def check(self, spec: str) -> None:
        """Raises what `table_player` raises for a player that cannot be used."""
        self._player(spec)

    def _player(self, spec: str) -> TablePlayer:
        loaded: dict[str, TablePlayer] = self._own.__dict__.setdefault("loaded", {})
        if spec not in loaded:
            loaded[spec] = table_player(spec, seed=self._seed, device=self._device)
        return loaded[spec]
