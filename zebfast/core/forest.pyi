"""Many search trees side by side: one leaf per tree per step, evaluated by the caller.

PUCT as in AlphaZero (Silver et al. 2017) over the decision positions of known deals. A position is
evaluated once and all its legal plays become edges; forced plays are skipped, finished games are
scored by the rules. Unvisited plays count with the mean value of their position.
"""

import numpy as np
from numpy.typing import NDArray

from zebfast.core.engine import GameBatch
from zebfast.core.options import SearchOptions

MIN_NODES: int
MAX_NODES: int
MAX_VISITS: int
"""Limits of a tree and of a search, as csrc/tree.h defines them."""

COUNTS: tuple[str, ...]
"""Names of the totals: descents (simulations), leaves handed out (evaluations), simulations that
ended the game (terminals), root visits inherited (reused), searches cut short by a full tree
(full), decisions searched, games finished, dominoes played."""

class Forest:
    """One tree for each game of a batch; every game must stand at a decision."""

    def __init__(
        self, games: GameBatch, *, options: SearchOptions, seed: int = 0, first_game: int = 0
    ) -> None:
        """Copies the positions. seed and first_game number the root noise's draws (stream 2).

        Raises:
            ValueError: a game is over or has a forced play.
        """

    def __len__(self) -> int: ...
    def select(self, leaves: np.ndarray) -> int:
        """Run every unfinished tree to its next leaf; the GIL is released.

        Args:
            leaves: OBS_DTYPE [trees], written from the front.

        Returns:
            Number of leaves; 0 = every search is complete.
        """

    def update(self, evals: np.ndarray) -> None:
        """Give the leaves of the last select their evaluations, float32 [leaves, 8], in order.

        Columns 0..6 are priors by slot, 7 the value for the seat to play.

        Raises:
            FloatingPointError: an evaluation is not finite; nothing was applied.
        """

    def visits(self) -> NDArray[np.uint16]:
        """Visits of the root's plays by slot of the seat to play, [trees, 7]."""

    def values(self) -> NDArray[np.float32]:
        """Mean value of the root's plays by slot for the side to play, [trees, 7]; NaN unvisited."""

    def advance(self, tree: int, domino: int) -> int:
        """Play a legal domino and any forced ones behind it, keeping the subtree.

        Returns:
            Visits kept. Afterwards the tree stands at a decision, or its game is over.
        """

    def counts(self) -> dict[str, int]:
        """Totals over all trees, by the names in COUNTS."""

    def dump(self, tree: int) -> list[tuple[float, list[tuple[float, int, float, int]]]]:
        """All nodes of one tree in order of creation: (total, [(prior, visits, total, child)]).

        Edges are in ascending domino order; child 0 = none.
        """
