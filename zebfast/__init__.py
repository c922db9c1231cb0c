"""zebfast: learns the domino game Texas 42 from its own games.

Importing this package is cheap and needs neither torch nor the compiled core; the names below are
loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Game", "GameBatch", "GamePlayer", "Solver", "WorldSet", "__version__", "load_player"]

if TYPE_CHECKING:
    from zebfast.arena.players.api import GamePlayer, load_player
    from zebfast.core.engine import Game, GameBatch
    from zebfast.core.solve import Solver
    from zebfast.core.worlds import WorldSet

_MODULES = {
    "Game": "core.engine",
    "GameBatch": "core.engine",
    "GamePlayer": "arena.players.api",
    "Solver": "core.solve",
    "WorldSet": "core.worlds",
    "load_player": "arena.players.api",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    Raises AttributeError for a name that is not there, and ImportError if the core is not built.
    """
    if name in _MODULES:
        return getattr(importlib.import_module(f"zebfast.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'zebfast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
