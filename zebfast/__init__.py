"""zebfast: learns the domino game Texas 42 from its own games.

Importing this package is cheap and needs neither torch nor the compiled core; the names below are
loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Game", "GameBatch", "__version__"]

if TYPE_CHECKING:
    from zebfast.core.engine import Game, GameBatch


def __getattr__(name: str) -> object:
    """Load `Game` and `GameBatch` from the compiled engine on first use.

    Raises AttributeError for any other name, and ImportError if the engine is not built.
    """
    if name in ("Game", "GameBatch"):
        from zebfast.core import engine

        return getattr(engine, name)
    raise AttributeError(f"module 'zebfast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
