"""What a game is worth by its contract, from a position of the plain rules."""

from __future__ import annotations

import numpy as np
from contract_observations import random_contract

from zebfast.core.records import contract_record
from zebfast.rules import Position, aim_of


def outcome(position: Position, team0: int) -> int:
    """+1, -1 or 0 for team 0 with so many points in the end."""
    won, lost = aim_of(position.contract, 0)
    return int(team0 >= won) - int(team0 <= lost)


def decided(position: Position) -> bool:
    """Whether the points taken so far say the outcome."""
    won, lost = aim_of(position.contract, 0)
    return position.points[0] >= won or position.points[1] >= 42 - lost


def seen_contract(position: Position) -> np.ndarray:
    """CONTRACT_DTYPE[] as the seat to play sees it."""
    contract = position.contract
    return contract_record(contract and contract.seen_by(position.to_play))


def played_for(position: Position, seed: int) -> Position:
    """The same position, now played for some contract of its leader's side."""
    position.contract = random_contract(seed, position.leader)
    return position
