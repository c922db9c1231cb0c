"""Worlds: layouts of the hidden dominoes that one seat thinks possible, counted and drawn exactly.

A seat (the viewer) knows its own hand, every play, hence the size of every hand, and the voids
shown: who did not follow a led suit holds none of it, now and later. Every layout of the other
dominoes that agrees is a world; none is left out, and none is likelier than another unless weights
say so. The count is a dynamic program over what each hidden hand can still take, and a world is
drawn by its rank, so that nothing is ever tried and rejected.

Layouts are 28-bit masks of the dominoes still held, uint32 [..., 4] by seat, the viewer's own hand
included. Random numbers: world i at ply p of game g is a function of (seed, stream, g, p, i), one
64-bit draw of the counter-based generator (zebfast.rules.rng), the draw numbered p * 2**32 + i.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.engine import GameBatch
from zebfast.rules import Stream

class ImpossibleWorlds(ValueError):
    """No layout of the hidden dominoes agrees with what is known; the message says why."""

def world_counts(
    games: GameBatch, rows: ArrayLike | None = None, viewers: ArrayLike | None = None
) -> NDArray[np.uint64]:
    """Numbers of worlds that a seat of each listed game thinks possible, uint64 [k]; at least 1.

    Args:
        games: any number of games.
        rows: int [k], may repeat; all games by default.
        viewers: seats 0..3, int [k]; by default the seats to play.

    Raises:
        ValueError: a listed game is over, or a viewer is no seat.
        IndexError: a row is out of range.
    """

def sample_worlds(
    games: GameBatch,
    rows: ArrayLike | None,
    n: int,
    *,
    seed: int,
    game_numbers: ArrayLike,
    stream: int = Stream.EVAL_WORLDS,
    first: int = 0,
    viewers: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> NDArray[np.uint32]:
    """n worlds of each listed game, drawn independently: hands, uint32 [k, n, 4].

    World i of a game is a function of (seed, stream, game number, plies played, first + i) and of
    what the viewer knows: no split into calls changes it, and the hidden hands do not enter.

    Args:
        games: any number of games; the GIL is released meanwhile, so do not play in them.
        rows: int [k], may repeat; None for all games.
        n: worlds a game.
        seed, stream: of the random numbers.
        game_numbers: integer [k], the number of each listed game in its stream.
        first: number of the first world; worlds are numbered below 2**32.
        viewers: seats 0..3, int [k]; by default the seats to play.
        weights: float64 [k, 28, 4] as in WorldSet; without them all worlds are equally likely.

    Raises:
        ImpossibleWorlds: all worlds of a game have weight 0.
        ValueError: a listed game is over, a viewer is no seat, or a weight is negative, not finite
            or, multiplied up, too small for float64.
        IndexError: a row is out of range.
    """

def world_positions(games: GameBatch, rows: ArrayLike | None, hands: ArrayLike) -> np.ndarray:
    """The positions that worlds of the listed games give, POSITION_DTYPE [k, n].

    Args:
        games, rows: as in sample_worlds.
        hands: uint32 [k, n, 4], as sample_worlds gives them.

    Raises:
        ValueError: a layout does not deal out the dominoes still held in its game (voids are not
            looked at).
    """

class WorldSet:
    """The worlds that one seat of one game thinks possible.

    Ranks are lexicographic: the hidden dominoes in ascending order, each with the seat that holds
    it, counted from the viewer's left (left, partner, right). Weights change neither ranks nor
    count, only what is drawn and how likely it is.
    """

    def __init__(
        self,
        games: GameBatch,
        row: int,
        *,
        viewer: int | None = None,
        weights: ArrayLike | None = None,
    ) -> None:
        """The worlds of a game as it stands; later plays do not change the set.

        Args:
            games, row: the game.
            viewer: the seat that looks; by default the seat to play.
            weights: float64 [28, 4], by domino and seat, finite and not negative, in any scale
                (a belief head's probabilities, say). A world's probability is then proportional
                to the product of weights[d, seat that holds d] over the hidden dominoes d. The
                viewer's column does not matter, nor do rows of dominoes that are not hidden.

        Raises:
            ImpossibleWorlds: all worlds have weight 0.
            ValueError: the game is over, the viewer is no seat, or a weight is negative, not
                finite or, multiplied up, too small for float64.
            IndexError: the row is out of range.
        """

    @staticmethod
    def from_knowledge(
        *,
        hidden: Sequence[int],
        sizes: Sequence[int],
        barred: Sequence[Sequence[int]],
        viewer: int,
        hand: Sequence[int],
        weights: ArrayLike | None = None,
    ) -> WorldSet:
        """The worlds of explicit knowledge.

        Args:
            hidden: dominoes in the three other hands.
            sizes: dominoes in each of the four hands, 0..7.
            barred: for each of the four seats, dominoes that it cannot hold; the viewer's list
                does not matter.
            viewer: the seat that looks.
            hand: its dominoes.
            weights: as in the constructor.

        Raises:
            ImpossibleWorlds: no layout agrees; the sentence names the seat or the dominoes that
                cannot be placed.
        """

    @property
    def count(self) -> int:
        """Number of worlds, 1..399,072,960."""

    @property
    def viewer(self) -> int: ...
    @property
    def hidden(self) -> list[int]:
        """Dominoes in the three other hands, ascending."""

    @property
    def barred(self) -> list[list[int]]:
        """For each seat the dominoes that its plays rule out; empty for the viewer."""

    def __len__(self) -> int: ...
    def sample(
        self,
        n: int,
        *,
        seed: int,
        game: int = 0,
        stream: int = Stream.EVAL_WORLDS,
        first: int = 0,
    ) -> NDArray[np.uint32]:
        """n worlds drawn independently, uint32 [n, 4]: those of sample_worlds for this game."""

    def unrank(self, ranks: ArrayLike) -> NDArray[np.uint32]:
        """The worlds of ranks integer [m], uint32 [m, 4]. IndexError if one is out of range."""

    def rank(self, hands: ArrayLike) -> NDArray[np.uint64]:
        """The ranks of layouts uint32 [m, 4], uint64 [m]. ValueError names one that is no world."""

    def enumerate(self, limit: int = 1_000_000) -> NDArray[np.uint32]:
        """All worlds in the order of their ranks, uint32 [count, 4]; ValueError beyond limit."""

    def probability(self, hands: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of layouts uint32 [m, 4], float64 [m]; 0 for one that is no world."""
