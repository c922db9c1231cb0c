"""Types of seat_planes.pyx; what everything does is said there, where help() shows it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.engine import Game, GameBatch
from zebfast.core.whole_game import WholeGame
from zebfast.core.whole_game_batch import WholeGameBatch

WHOLE_FIRST_CALL: int
WHOLE_FIRST_DECLARATION: int
N_WHOLE_ACTIONS: int
HAND_PLANES: dict[str, tuple[int, tuple[int, ...]]]
WHOLE_PLANES: dict[str, tuple[int, tuple[int, ...]]]
N_HAND_PLANES: int
N_WHOLE_PLANES: int

def planes(game: Game | WholeGame, seat: int) -> NDArray[np.uint8]: ...
def batch_planes(
    games: GameBatch | WholeGameBatch, seats: ArrayLike, rows: ArrayLike | None = None
) -> NDArray[np.uint8]: ...
def action_mask(game: Game | WholeGame) -> NDArray[np.int8]: ...
def action_masks(
    games: GameBatch | WholeGameBatch, rows: ArrayLike | None = None
) -> NDArray[np.int8]: ...
