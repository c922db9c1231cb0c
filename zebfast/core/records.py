"""The packed records that cross between C, NumPy and the network, as NumPy dtypes.

Little-endian, no padding; C asserts the same sizes at compile time. Slot ``s`` of a seat is the
``s``-th of its seven original dominoes in ascending id order, that is: the rank of the domino
among the set bits of its 28-bit hand mask.
"""

from __future__ import annotations

import numpy as np

from zebfast.rules import HAND_SIZE, N_PLIES, N_SEATS, Contract

#: What a hand is played for (8 bytes); all zero: for points.
#:
#: Bids and calls are 30..41 for points and 41 + m for m marks (plunge and splash as their marks).
#: In an observation seats and sides are counted from the observer, else they have their numbers.
CONTRACT_DTYPE = np.dtype(
    [
        ("bid", "u1"),  # 0: none, and then nothing else counts
        ("bidder", "u1"),  # seat; its side must take the bid, or all points for marks
        ("shaker", "u1"),  # seat
        ("marks", "u1"),  # of the two sides, low and high four bits; 15 where there are more
        ("calls", "u1", (N_SEATS,)),  # by seat: 0 none made or not known, 1 a pass, else a bid
    ]
)


def contract_record(contract: Contract | None) -> np.ndarray:
    """A contract, or none, as CONTRACT_DTYPE []."""
    found = np.zeros((), CONTRACT_DTYPE)
    if contract is not None:
        own, other = contract.marks
        found[()] = (contract.bid, contract.bidder, contract.shaker, own | other << 4,
                     contract.calls)  # fmt: skip
    return found


def contract_of_record(record: np.void | np.ndarray) -> Contract | None:
    """The contract of a CONTRACT_DTYPE record; None where there is none. Raises ImpossibleDeal."""
    if not record["bid"]:
        return None
    marks, calls = int(record["marks"]), record["calls"].tolist()
    return Contract(
        int(record["bid"]), int(record["bidder"]), int(record["shaker"]), (marks & 15, marks >> 4),
        (calls[0], calls[1], calls[2], calls[3]),
    )  # fmt: skip


#: One information state as the seat to play sees it (44 bytes).
OBS_DTYPE = np.dtype(
    [
        ("hand", "<u4"),  # 28-bit mask of the seven dominoes dealt to the observer
        ("decl", "u1"),  # declaration id 0..9
        ("n_plays", "u1"),  # plays made so far, 0..27
        ("legal", "u1"),  # bit s: slot s may be played now
        ("in_hand", "u1"),  # bit s: slot s has not been played
        # Play i is domino | rel << 5, rel = (seat - observer) mod 4; zero from n_plays on.
        ("plays", "u1", (N_PLIES,)),
        ("contract", CONTRACT_DTYPE),
    ]
)

#: One finished game (458 bytes).
GAME_DTYPE = np.dtype(
    [
        ("hands", "u1", (N_SEATS, HAND_SIZE)),  # dominoes dealt to each seat, ascending
        ("decl", "u1"),
        ("leader", "u1"),  # seat that leads the first trick
        ("plays", "u1", (N_PLIES,)),  # domino ids in order of play
        # Weights per slot of the seat that made the play; the policy target is the row divided by
        # its sum, and an all-zero row means that no policy target was recorded. Games of a
        # teacher have labels of selfplay.play_values instead.
        ("policy", "<u2", (N_PLIES, HAND_SIZE)),
        ("contract", CONTRACT_DTYPE),
    ]
)

#: One training example (72 bytes).
EXAMPLE_DTYPE = np.dtype(
    [
        ("obs", OBS_DTYPE),
        ("policy", "<u2", (HAND_SIZE,)),  # weights per slot, as in GAME_DTYPE
        ("flags", "<u2"),  # the EXAMPLE_ bits below; from bit 8 on final points, if known
        ("value", "<f4"),  # in [-1, 1], for the observer's side
        ("left", "<u4"),  # 28-bit mask dealt to the seat on the observer's left
        ("partner", "<u4"),  # 28-bit mask dealt to the partner; the right seat has the rest
    ]
)


def without_contract(dtype: np.dtype[np.void]) -> np.dtype[np.void]:
    """The layout of these records before there were contracts."""
    assert dtype.names is not None
    return np.dtype([
        (name, without_contract(dtype[name]) if dtype[name].names else dtype[name])
        for name in dtype.names
        if name != "contract"
    ])  # fmt: skip


def laid_out_as(records: np.ndarray, dtype: np.dtype[np.void]) -> np.ndarray:
    """The same records in another layout: fields by their names, zeros where there was none."""
    if records.dtype == dtype:
        return records
    found = np.zeros(records.shape, dtype)
    for name in dtype.names or ():
        if records.dtype.names and name in records.dtype.names:
            inner, field = dtype[name], records[name]
            found[name] = laid_out_as(field, inner) if inner.names else field
    return found


EXAMPLE_HAS_POLICY = 1
EXAMPLE_HAS_BELIEF = 2
EXAMPLE_EVAL_AUX = 4  # from the evaluation stream; set by the learner, which weighs the sources
EXAMPLE_HAS_POINTS = 8  # what the observer's side had in the end is known, whoever won
EXAMPLE_HAS_PLAY_VALUES = 16  # policy holds labels of selfplay.play_values; HAS_POLICY is clear
EXAMPLE_POINTS_SHIFT = 8  # those points, 0..42, are flags >> 8; 0 where they are not known

#: One position with open hands, to be solved (24 bytes).
POSITION_DTYPE = np.dtype(
    [
        # 28-bit masks of the dominoes still held; those on the table are in none
        ("hands", "<u4", (N_SEATS,)),
        ("decl", "u1"),
        ("leader", "u1"),  # of the trick on the table or, if it is empty, of the next one
        ("n_table", "u1"),  # dominoes on the table, 0..3
        ("table", "u1", (3,)),  # in order from the leader; zero beyond n_table
        ("pad", "u1", (2,)),
    ]
)

#: What a hand of a whole game brought (12 bytes).
HAND_RESULT_DTYPE = np.dtype(
    [
        ("award", "<u2", (2,)),  # to the two teams: marks, or points in a game for points
        ("bid", "<u2"),  # the call that won the auction; 0 where the hand was thrown in
        ("bidder", "u1"),  # 4 where it was thrown in
        ("decl", "u1"),  # house contracts included; 255 where there was none
        ("made", "u1"),  # 0 set, 1 made, 2 thrown in, 3 before the first hand has ended
        ("points", "u1", (2,)),  # of the two teams in the tricks that were played
        ("pad", "u1"),
    ]
)

#: What a policy of somebody's is asked with (156 bytes): what the seat that is asked knows. Seats
#: are relative: 0 is its own, 1 its left neighbour, 2 its partner. csrc/policy.h has the same
#: fields.
VIEW_DTYPE = np.dtype(
    [
        ("phase", "<i4"),  # 1 call, 2 declare, 3 play: places in zebfast.PHASES
        ("legal", "<i4"),  # mask of legal calls by place in zebfast.CALLS, declarations or dominoes
        ("hand", "<i4"),  # mask of the dominoes held
        ("dealt", "<i4"),  # mask of the seven dealt
        ("played", "<i4", (N_SEATS,)),  # masks of what each seat has played
        ("winners", "<i4"),  # mask of legal dominoes that would take the trick as it stands
        ("trumps", "<i4"),  # mask of the trumps among all 28
        ("decl", "<i4"),  # -1: not declared
        ("n_plays", "<i4"),  # of the hand
        ("n_table", "<i4"),  # dominoes on the table, 0..3
        ("table", "<i4", (N_SEATS - 1,)),  # from the leader on; -1 beyond n_table
        ("suit", "<i4"),  # led suit, 7 the called one; -1 where the seat leads
        ("leader", "<i4"),  # seat that leads the trick
        ("best", "<i4"),  # seat whose domino takes it so far; -1 where the seat leads
        ("table_points", "<i4"),  # count on the table
        ("points", "<i4", (2,)),  # taken by the own side and the other
        ("bid", "<i4"),  # standing: 0 none, 30..41, 42 m for m marks
        ("bidder", "<i4"),  # seat; -1: none
        ("shaker", "<i4"),  # seat; -1: not known
        ("calls", "<i4", (N_SEATS,)),  # by seat; -1: none made, or not known
        ("marks", "<i4", (2,)),  # of the own side and the other
        ("target", "<i4"),  # marks that win; 0: a hand alone, or not known
        ("plays", "i1", (N_PLIES,)),  # domino | seat << 5 in order; -1 from n_plays on
    ]
)
