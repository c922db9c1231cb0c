"""Dominoes, suits, following and ranking under each declaration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

N_DOMINOES = 28
N_SEATS = 4  # teams are seats 0 and 2 against 1 and 3
HAND_SIZE = 7  # dominoes dealt to a seat
N_TRICKS = HAND_SIZE
N_PLIES = N_SEATS * N_TRICKS  # plays of a whole deal
TOTAL_POINTS = 42  # of both teams: one for each trick, and the count
HALF_POINTS = TOTAL_POINTS // 2  # of each team in a tie; more wins

#: Domino id -> (high pip, low pip); id = h(h+1)/2 + l.
DOMINOES: tuple[tuple[int, int], ...] = tuple(
    (high, low) for high in range(7) for low in range(high + 1)
)

#: Number that stands for the called suit where a suit is meant; 0..6 are the pips.
CALLED_SUIT = 7


class Declaration(IntEnum):
    """What is called, by id. DOUBLES_SUIT is a house call kept for the published training data."""

    BLANKS = 0
    ONES = 1
    TWOS = 2
    THREES = 3
    FOURS = 4
    FIVES = 5
    SIXES = 6
    DOUBLES = 7  # doubles are trumps
    DOUBLES_SUIT = 8  # doubles are a suit of their own and no trumps
    NO_TRUMP = 9

    @property
    def label(self) -> str:
        """The name as it is written: ``"fives"``, ``"no-trump"``."""
        return self.name.lower().replace("_", "-")


N_DECLARATIONS = len(Declaration)


class HouseDeclaration(IntEnum):
    """Contracts of some houses that are declared in place of a suit; ids go on from Declaration's.

    Nello is to take no trick, three to a trick, without trump; what its names say is what becomes
    of the doubles. In sevens there are no suits, and pips nearest to seven win.
    """

    NELLO = 10  # doubles are a suit of their own
    NELLO_HIGH = 11  # doubles are the highest of their suits
    NELLO_LOW = 12  # doubles are the lowest of their suits
    NELLO_INVERTED = 13  # doubles are a suit of their own in which the double blank is highest
    SEVENS = 14

    @property
    def label(self) -> str:
        """The name as it is written: ``"nello-high"``."""
        return self.name.lower().replace("_", "-")

    @property
    def is_nello(self) -> bool:
        """Whether the declarer's partner lays the hand down and tricks are of three."""
        return self is not HouseDeclaration.SEVENS


N_ALL_DECLARATIONS = N_DECLARATIONS + len(HouseDeclaration)

#: Declaration id -> its label.
DECLARATIONS: tuple[str, ...] = tuple(decl.label for decl in Declaration)
#: The same, with those of house contracts.
ALL_DECLARATIONS: tuple[str, ...] = DECLARATIONS + tuple(decl.label for decl in HouseDeclaration)
_SEVENS = int(HouseDeclaration.SEVENS)
_NELLO_INVERTED = int(HouseDeclaration.NELLO_INVERTED)
_NELLO_LOW = int(HouseDeclaration.NELLO_LOW)
_DOUBLES_TRUMP = int(Declaration.DOUBLES)
#: Doubles are a suit of their own.
_OWN_SUIT = (
    int(Declaration.DOUBLES),
    int(Declaration.DOUBLES_SUIT),
    int(HouseDeclaration.NELLO),
    _NELLO_INVERTED,
)
#: Nothing leaves its pip suits.
_NOTHING_CALLED = (int(Declaration.NO_TRUMP), int(HouseDeclaration.NELLO_HIGH), _NELLO_LOW)
_MOST_PIPS_FROM_SEVEN = 7


def domino_id(a: int, b: int) -> int:
    """Id 0..27 of the domino with ends ``a`` and ``b``, in any order: high * (high + 1) / 2 + low.

    ValueError if a pip is not 0..6.
    """
    high, low = max(a, b), min(a, b)
    if low < 0 or high > 6:
        raise ValueError(f"pips run from 0 to 6, not {a}-{b}")
    return high * (high + 1) // 2 + low


def domino_name(domino: int) -> str:
    """``"6-4"`` for the id of the domino with ends 6 and 4. ValueError for no id."""
    if not 0 <= domino < N_DOMINOES:
        raise ValueError(f"domino {domino}: ids run from 0 to {N_DOMINOES - 1}")
    high, low = DOMINOES[domino]
    return f"{high}-{low}"


def _count(high: int, low: int) -> int:
    pips = high + low
    return pips if pips in (5, 10) else 0


#: Domino id -> points it is worth when taken in a trick (10, 5 or 0; 35 in all).
COUNT: tuple[int, ...] = tuple(_count(high, low) for high, low in DOMINOES)


def in_called_suit(domino: int, decl: int) -> bool:
    """Whether the declaration takes this domino out of its pip suits (in sevens: every one)."""
    high, low = DOMINOES[domino]
    if decl in _OWN_SUIT:
        return high == low
    if decl in _NOTHING_CALLED:
        return False
    return decl == _SEVENS or decl in (high, low)


def led_suit(domino: int, decl: int) -> int:
    """Suit that a lead of this domino asks for: ``CALLED_SUIT``, else its higher pip."""
    return CALLED_SUIT if in_called_suit(domino, decl) else DOMINOES[domino][0]


def follows(domino: int, suit: int, decl: int) -> bool:
    """Whether this domino belongs to the led ``suit`` (a called domino never follows a pip)."""
    if suit == CALLED_SUIT:
        return in_called_suit(domino, decl)
    return suit in DOMINOES[domino] and not in_called_suit(domino, decl)


def legal_plays(hand: Iterable[int], lead: int | None, decl: int) -> list[int]:
    """Dominoes of ``hand`` that may follow ``lead`` (None = this seat leads), ascending.

    In sevens these are the nearest to seven pips, the lead included.
    """
    held = sorted(hand)
    if decl == _SEVENS:
        nearest = max((rank(d, CALLED_SUIT, decl) for d in held), default=0)
        return [d for d in held if rank(d, CALLED_SUIT, decl) == nearest]
    if lead is None:
        return held
    suit = led_suit(lead, decl)
    following = [d for d in held if follows(d, suit, decl)]
    return following or held


def rank(domino: int, suit: int, decl: int) -> int:
    """Strength of a domino in a trick whose led suit is ``suit``; 0 = it cannot win.

    Any trump beats any follower; the double is highest in a pip suit, then the pip sum decides;
    within the doubles the pip decides. House contracts alone have equals: in sevens the first
    played of them wins.
    """
    high, low = DOMINOES[domino]
    called = in_called_suit(domino, decl)
    trump = called and decl <= _DOUBLES_TRUMP
    if not trump and not follows(domino, suit, decl):
        return 0
    if decl == _SEVENS:
        return 1 + _MOST_PIPS_FROM_SEVEN - abs(7 - high - low)
    return (32 if trump else 16) + _strength(high, low, called, decl)


def _strength(high: int, low: int, called: bool, decl: int) -> int:
    """Place within trumps or a suit."""
    if called and decl in _OWN_SUIT:
        return 6 - high if decl == _NELLO_INVERTED else high
    if high == low:
        return 0 if decl == _NELLO_LOW else 14
    return high + low


def trick_winner(dominoes: Sequence[int], decl: int) -> int:
    """Index (0 = the lead) of the winning domino of a trick."""
    suit = led_suit(dominoes[0], decl)
    ranks = [rank(d, suit, decl) for d in dominoes]
    return ranks.index(max(ranks))


def trick_points(dominoes: Iterable[int]) -> int:
    """One for the trick plus the count dominoes in it."""
    return 1 + sum(COUNT[d] for d in dominoes)
