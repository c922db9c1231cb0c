"""The compiled rules: one game with a pleasant API, many games with NumPy arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

def isa() -> str:
    """Instruction set that the hot kernels run with here: 'x86-64-v3', 'baseline' or 'native'."""

def random_games(n: int, *, seed: int, first_game: int = 0) -> NDArray[np.uint8]:
    """Points of team 0 in n whole random games, uint8 [n].

    Game i is numbered first_game + i: its deal, declaration and leader come from stream 0 and its
    plays from stream 1 of the seed, so any split into calls gives the same games.
    """

class Game:
    """One game of straight 42: deal, look, play, take back.

    >>> game = Game.deal(seed=1)
    >>> game.play(game.legal()[0])
    >>> len(game.plays)
    1
    """

    def __init__(self, hands: Sequence[Sequence[int]], decl: int, leader: int) -> None:
        """Four hands of seven domino ids, declaration 0..9, seat that leads.

        Raises:
            ImpossibleDeal: names the rule that the deal breaks.
        """

    @staticmethod
    def deal(seed: int, game: int = 0) -> Game:
        """Random deal number ``game`` of a seed (stream 0), with random declaration and leader."""

    @property
    def decl(self) -> int: ...
    @property
    def leader(self) -> int:
        """Seat that led the first trick."""

    @property
    def hands(self) -> list[list[int]]:
        """Dominoes still held by each seat, ascending."""

    @property
    def dealt(self) -> list[list[int]]:
        """Dominoes dealt to each seat, ascending: a seat's slots 0..6."""

    @property
    def to_play(self) -> int:
        """Seat to play; after the last trick, its winner."""

    @property
    def plays(self) -> list[tuple[int, int]]:
        """(seat, domino) of every play so far."""

    @property
    def trick(self) -> list[int]:
        """Dominoes on the table, the lead first."""

    @property
    def points(self) -> list[int]:
        """Points taken by team 0 (seats 0 and 2) and team 1; 42 in all at the end."""

    @property
    def over(self) -> bool: ...
    def legal(self) -> list[int]:
        """Legal dominoes of the seat to play, ascending; empty when the game is over."""

    def play(self, domino: int) -> None:
        """Play a domino. IllegalPlay names the seat and what it may play."""

    def undo(self) -> None:
        """Take the last play back; IndexError when there is none."""

    def observation(self) -> np.void:
        """What the seat to play knows, one OBS_DTYPE record; ValueError when the game is over."""

    def perft(self, depth: int) -> int:
        """Number of legal play sequences of the given depth from here."""

    def __copy__(self) -> Game: ...

class GameBatch:
    """n games side by side. Rows are games; every array it returns has the games first."""

    def __init__(self, hands: ArrayLike, decl: ArrayLike, leader: ArrayLike) -> None:
        """hands integer [n, 4, 7] (any order), decl and leader integer [n].

        Raises:
            ImpossibleDeal: names the first bad game and the rule that it breaks.
        """

    @staticmethod
    def deal(n: int, *, seed: int, first_game: int = 0, stream: int = 0) -> GameBatch:
        """n random deals; game i is number first_game + i of the given stream of the seed."""

    def copy(self) -> GameBatch:
        """An independent copy of all games."""

    def take(self, rows: ArrayLike) -> GameBatch:
        """A new batch of the games in rows (int [k], may repeat). IndexError if out of range."""

    def __len__(self) -> int: ...
    @property
    def to_play(self) -> NDArray[np.uint8]:
        """Seats to play [n]; of finished games the winner of the last trick."""

    @property
    def n_plays(self) -> NDArray[np.uint8]:
        """Plays made [n], 0..28."""

    @property
    def over(self) -> NDArray[np.bool_]:
        """Whether all 28 dominoes are down [n]."""

    @property
    def decl(self) -> NDArray[np.uint8]: ...
    @property
    def leader(self) -> NDArray[np.uint8]:
        """Seats that led the first trick [n]."""

    @property
    def points(self) -> NDArray[np.uint8]:
        """Points taken by team 0 and team 1, [n, 2]."""

    @property
    def held(self) -> NDArray[np.uint32]:
        """Dominoes still held, 28-bit masks, [n, 4]."""

    @property
    def hands(self) -> NDArray[np.uint8]:
        """Dominoes dealt, ascending per seat, [n, 4, 7]."""

    @property
    def history(self) -> NDArray[np.uint8]:
        """Dominoes played in order, [n, 28]; 255 from n_plays on."""

    @property
    def seats(self) -> NDArray[np.uint8]:
        """Seats that made the plays of history, [n, 28]; 255 from n_plays on."""

    def legal(self, rows: ArrayLike | None = None) -> NDArray[np.uint32]:
        """Masks of the legal dominoes of the seats to play, [k]; 0 = game over."""

    def play(self, dominoes: ArrayLike, rows: ArrayLike | None = None) -> None:
        """Play one domino, integer [k], in each listed game; 255 leaves a game alone.

        All plays are checked before any is made.

        Raises:
            IllegalPlay: names the first bad game, its seat and what that seat may play.
        """

    def play_random(
        self,
        *,
        seed: int,
        games: ArrayLike | None = None,
        stream: int = 1,
        rows: ArrayLike | None = None,
    ) -> None:
        """One uniformly random legal play in each listed game that is not over.

        The draw depends only on (seed, stream, game number, ply). games uint64 [k] numbers the
        games for it; by default a game's number is its row.
        """

    def observe(self, rows: ArrayLike | None = None) -> np.ndarray:
        """What the seats to play know, OBS_DTYPE [k]. ValueError if a listed game is over."""

    def positions(self, rows: ArrayLike | None = None) -> np.ndarray:
        """The positions of the listed games, all hands as they are, for a solver: POSITION_DTYPE [k]."""
