"""Exact values of positions with all hands open, by the compiled solver."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: What play_values holds for a domino that may not be played.
NO_PLAY: int

class ImpossiblePosition(ValueError):
    """A position that no game can come to; the message is "position ROW: RULE".

    row is its place in the array; rule is a clause that names the rule it breaks.
    """

    row: int
    rule: str

class SolverInterrupted(Exception):
    """A solver's call ended early because another thread asked for it."""

def check_positions(positions: np.ndarray) -> None:
    """Check POSITION_DTYPE [n]: owners, hand sizes, and that nobody on the table revoked.

    An ended deal (no dominoes left) is fine: it is worth 0.

    Raises:
        ImpossiblePosition: names the first bad row and the rule that it breaks.
    """

def points_to_come(positions: np.ndarray) -> NDArray[np.int8]:
    """Points of both sides still to come in POSITION_DTYPE [n]: int8 [n], 0..42.

    One for each unfinished trick and the count in the hands and on the table. Raises
    ImpossiblePosition.
    """

class Solver:
    """One solving context: 2 ** table_bits (4..20) entries of 8 bytes, for one thread at a time.

    No answer depends on the size of the table or on what was solved before. The GIL is released;
    Ctrl-C is noticed in the main thread within some tens of milliseconds of work.

    Every question takes positions POSITION_DTYPE [n] and may raise ImpossiblePosition (before
    anything is solved), SolverInterrupted (see interrupt) or RuntimeError (at work in another
    thread).
    """

    def __init__(self, table_bits: int = 15) -> None: ...
    def values(self, positions: np.ndarray) -> NDArray[np.int8]:
        """Points to come, team 0 minus team 1, under best play by all four seats: int8 [n]."""

    def play_values(self, positions: np.ndarray) -> NDArray[np.int8]:
        """The same after each domino that may be played now: int8 [n, 28], NO_PLAY elsewhere."""

    def at_least(self, positions: np.ndarray, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether team 0 takes at least points (int [n], any value) of those to come: bool [n].

        Cheaper than values where only that matters.
        """

    def interrupt(self) -> None:
        """Make the call that another thread has under way, or else the next one, raise.

        It raises SolverInterrupted after the position it is at, which takes milliseconds. May be
        called from any thread.
        """

    @property
    def nodes(self) -> int:
        """Positions searched so far."""

    @property
    def nbytes(self) -> int:
        """Memory of the context in bytes."""
