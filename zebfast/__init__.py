"""zebfast: learns the domino game Texas 42 from its own games.

Importing this package is cheap and needs neither torch nor the compiled core; the names below are
loaded when they are first used.

- A hand: `Game`, many of them: `GameBatch`; `Declaration`, `Contract`, and helpers for dominoes and
  masks.
- A game to seven marks: `WholeGame`, many of them: `WholeGameBatch`; `RuleSet` says what is played.
- Exact tools: `Solver` and `SolverPool` for positions with open hands, `WorldSet` and
  `sample_worlds` for the layouts of hidden dominoes that a seat thinks possible.
- A player: `load_player`. One of your own, compiled: `policy`.
- The errors that all of these raise. Each is a ValueError with one sentence, but for
  `SolverInterrupted`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "CALLS",
    "CONTRACT_DTYPE",
    "DOMINOES",
    "NO_PLAY",
    "PHASES",
    "POSITION_DTYPE",
    "BadNotation",
    "Contract",
    "Declaration",
    "Game",
    "GameBatch",
    "GamePlayer",
    "HandResult",
    "HouseDeclaration",
    "IllegalCall",
    "IllegalDeclaration",
    "IllegalPlay",
    "ImpossibleDeal",
    "ImpossiblePosition",
    "ImpossibleWorlds",
    "NoStraightHand",
    "PlayerLoadError",
    "PlayerSpecError",
    "Policy",
    "PolicyError",
    "RuleSet",
    "SeatView",
    "SettingError",
    "Solver",
    "SolverInterrupted",
    "SolverPool",
    "WholeGame",
    "WholeGameBatch",
    "WorldSet",
    "WrongPhase",
    "__version__",
    "call_name",
    "call_of",
    "check_positions",
    "domino_id",
    "domino_name",
    "dominoes_of",
    "load_player",
    "mask_of",
    "points_to_come",
    "policy",
    "positions_from_text",
    "positions_to_text",
    "sample_worlds",
    "world_counts",
    "world_positions",
]

if TYPE_CHECKING:
    from zebfast.arena.players.api import GamePlayer, load_player
    from zebfast.arena.players.build import PlayerLoadError
    from zebfast.arena.players.specs import PlayerSpecError
    from zebfast.arena.policies.policy import Policy, PolicyError, policy
    from zebfast.core.engine import Game, GameBatch, dominoes_of, mask_of
    from zebfast.core.records import CONTRACT_DTYPE, POSITION_DTYPE
    from zebfast.core.solve import (
        NO_PLAY,
        ImpossiblePosition,
        Solver,
        SolverInterrupted,
        check_positions,
        points_to_come,
        positions_from_text,
        positions_to_text,
    )
    from zebfast.core.solver_pool import SolverPool
    from zebfast.core.whole_game import WholeGame
    from zebfast.core.whole_game_batch import WholeGameBatch
    from zebfast.core.whole_rules import NoStraightHand
    from zebfast.core.worlds import (
        ImpossibleWorlds,
        WorldSet,
        sample_worlds,
        world_counts,
        world_positions,
    )
    from zebfast.rules import (
        CALLS,
        DOMINOES,
        PHASES,
        BadNotation,
        Contract,
        Declaration,
        HandResult,
        HouseDeclaration,
        IllegalCall,
        IllegalDeclaration,
        IllegalPlay,
        ImpossibleDeal,
        RuleSet,
        SeatView,
        WrongPhase,
        call_name,
        call_of,
        domino_id,
        domino_name,
    )
    from zebfast.system.settings import SettingError

#: Where each name is defined; the imports above say the same to a type checker.
_HOMES = {
    "arena.players.api": "GamePlayer load_player",
    "arena.players.build": "PlayerLoadError",
    "arena.players.specs": "PlayerSpecError",
    "arena.policies.policy": "Policy PolicyError policy",
    "core.engine": "Game GameBatch dominoes_of mask_of",
    "core.records": "CONTRACT_DTYPE POSITION_DTYPE",
    "core.solve": "NO_PLAY ImpossiblePosition Solver SolverInterrupted check_positions "
    "points_to_come positions_from_text positions_to_text",
    "core.solver_pool": "SolverPool",
    "core.whole_game": "WholeGame",
    "core.whole_game_batch": "WholeGameBatch",
    "core.whole_rules": "NoStraightHand",
    "core.worlds": "ImpossibleWorlds WorldSet sample_worlds world_counts world_positions",
    "rules": "CALLS DOMINOES PHASES BadNotation Contract Declaration HandResult HouseDeclaration "
    "IllegalCall IllegalDeclaration IllegalPlay ImpossibleDeal RuleSet SeatView WrongPhase "
    "call_name call_of domino_id domino_name",
    "system.settings": "SettingError",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    Raises AttributeError for a name that is not there, and ImportError if the core is not built.
    """
    if name in _MODULES:
        value = getattr(importlib.import_module(f"zebfast.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'zebfast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
