"""The law of straight 42 in plain Python: slow, obvious, and the twin of every kernel.

Also the source of the C tables (``tools/gen_tables.py``) and of the counter-based random numbers
that Python and C share. Nothing in this room imports anything but the standard library.
"""

from zebfast.rules.notation import BadNotation, from_line, to_line
from zebfast.rules.position import (
    IllegalPlay,
    ImpossibleDeal,
    Position,
    check_deal,
    perft,
)
from zebfast.rules.rng import Stream, bits, bounded, deal, stream_key
from zebfast.rules.tiles import (
    CALLED_SUIT,
    COUNT,
    DECLARATIONS,
    DOMINOES,
    HALF_POINTS,
    HAND_SIZE,
    N_DECLARATIONS,
    N_DOMINOES,
    N_PLIES,
    N_SEATS,
    N_TRICKS,
    TOTAL_POINTS,
    Declaration,
    domino_id,
    domino_name,
    follows,
    in_called_suit,
    led_suit,
    legal_plays,
    rank,
    trick_points,
    trick_winner,
)

__all__ = [
    "CALLED_SUIT",
    "COUNT",
    "DECLARATIONS",
    "DOMINOES",
    "HALF_POINTS",
    "HAND_SIZE",
    "N_DECLARATIONS",
    "N_DOMINOES",
    "N_PLIES",
    "N_SEATS",
    "N_TRICKS",
    "TOTAL_POINTS",
    "BadNotation",
    "Declaration",
    "IllegalPlay",
    "ImpossibleDeal",
    "Position",
    "Stream",
    "bits",
    "bounded",
    "check_deal",
    "deal",
    "domino_id",
    "domino_name",
    "follows",
    "from_line",
    "in_called_suit",
    "led_suit",
    "legal_plays",
    "perft",
    "rank",
    "stream_key",
    "to_line",
    "trick_points",
    "trick_winner",
]
