"""Many search trees side by side: one leaf per tree per step, evaluated by the caller.

PUCT as in AlphaZero (Silver et al. 2017) over decision positions. A position is evaluated once and
all its legal plays become edges; forced plays are skipped, finished games are scored by the rules.
Unvisited plays count with the mean value of their position. The root may share out its simulations
by sequential halving instead (SearchOptions.root).

A tree searches the true deal, or worlds sampled from what the seat to play knows: then the root's
priors, visits and values are shared by all worlds, each world has its own subtree below, and the
n-th visit of a root's play searches world n mod W (perfect-information Monte Carlo under one root;
compare the determinized search of Cowling, Powley & Whitehouse 2012). Positions with at most
exact_tricks tricks left, and hands that one side has won by points, are endings valued exactly.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.engine import GameBatch
from zebfast.core.options import SearchOptions
from zebfast.rules import Stream

MIN_NODES: int
MAX_NODES: int
MAX_VISITS: int
MAX_WORLDS: int
N_TRICKS: int
MAX_CACHE_MB: int
"""Limits of a tree and of a search, as csrc/tree.h defines them."""

WORLDS: tuple[str, ...]
"""What a tree may search: "sampled" worlds, or the "true" deal of all hands (the published way)."""

COUNTS: tuple[str, ...]
"""Names of the totals: descents (simulations), leaves handed out (evaluations), leaves whose
evaluation was remembered (cache_hits), edges led to a node that they share (transposed),
simulations that ended the game (terminals), simulations that ended in an exactly valued position
(solved), positions given to the solver (solver_calls), root visits inherited (reused), searches cut
short by a full tree (full) or because nothing could change their choice (stopped), decisions
searched, of those without a policy target (fast), games finished, dominoes played."""

def check_worlds(worlds: str) -> None:
    """Raise ValueError, in one sentence, unless this is one of WORLDS."""

class Forest:
    """One tree for each game of a batch; every game must stand at a decision."""

    def __init__(
        self,
        games: GameBatch,
        *,
        options: SearchOptions,
        seed: int = 0,
        game_numbers: ArrayLike | None = None,
        worlds: str = "sampled",
        stream: int = Stream.WORLDS,
    ) -> None:
        """Copies the positions.

        Args:
            seed, game_numbers: number the draws of root noise (streams 2 and 8) and worlds; uint64
                [trees], by default a tree's own index.
            worlds: one of WORLDS. With "sampled" nothing depends on the hands that are hidden from
                the seat to play.
            stream: of the worlds' draws.

        Raises:
            ValueError: a game is over or has a forced play; an unknown kind of worlds.
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

    def policy(self) -> NDArray[np.uint16]:
        """The weights that self-play records of each root, by slot of the seat to play, [trees, 7]:
        visits of the puct root, the improved policy of the gumbel root (the largest is 65535)."""

    def choices(self) -> NDArray[np.uint8]:
        """Slot that each root plays at temperature 0, [trees]: the puct root's most visited play, the
        gumbel root's best.

        Raises:
            ValueError: a tree has not been searched.
        """

    def advance(self, tree: int, domino: int) -> int:
        """Play a legal domino and any forced ones behind it, keeping the subtree (true deal only).

        Returns:
            Visits kept. Afterwards the tree stands at a decision, or its game is over.
        """

    def counts(self) -> dict[str, int]:
        """Totals over all trees, by the names in COUNTS."""

    def dump(self, tree: int) -> list[tuple[float, list[tuple[float, int, float, int]]]]:
        """All nodes of one tree in order of creation: (total, [(prior, visits, total, child)]).

        Edges are in ascending domino order; child 0 = none (unvisited, an ending, or a root's edge
        on sampled worlds, whose children drawn_worlds gives).
        """

    def drawn_worlds(self, tree: int) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """The worlds that one tree's root is searched on, in order of use; none on the true deal.

        Returns:
            (hands, children): the four hands as they stand, uint32 [W, 4], and the nodes behind the
            root's edges in each world, uint16 [W, 7], 0 = none, edges in ascending domino order.
        """
