"""Random games for the tests of worlds, and games dealt anew from a world."""

from __future__ import annotations

import numpy as np
from contract_observations import random_contract
from slow_tree import hashed_evaluate

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.records import GAME_DTYPE, OBS_DTYPE, contract_of_record, contract_record
from zebfast.core.selfplay import RunningGames


def batch_after(n: int, plies: int, *, seed: int) -> GameBatch:
    """n random games after so many random plays."""
    games = GameBatch.deal(n, seed=seed)
    for _ in range(plies):
        games.play_random(seed=seed)
    return games


def single(seed: int, plies: int) -> tuple[GameBatch, rules.Position]:
    """The same random game in both engines."""
    games = batch_after(1, plies, seed=seed)
    return games, as_position(games, 0)


def for_contracts(games: GameBatch, *, seed: int) -> GameBatch:
    """The same games, each played for some contract of its leader's side."""
    contracts = [random_contract(seed + i, int(side)) for i, side in enumerate(games.leader)]
    return games.playing_for(np.array([contract_record(contract) for contract in contracts]))


def as_position(games: GameBatch, row: int, plies: int | None = None) -> rules.Position:
    """A game in the other engine, after so many of its plays; None = where it stands."""
    n = int(games.n_plays[row]) if plies is None else plies
    found = rules.Position(games.hands[row].tolist(), int(games.decl[row]), int(games.leader[row]))
    found.contract = contract_of_record(games.contracts[row])
    for domino in games.history[row, :n].tolist():
        found.play(domino)
    return found


def masks_to_hands(masks: np.ndarray) -> np.ndarray:
    """uint32 [n, 4] masks of seven dominoes each to uint8 [n, 4, 7]."""
    bits = (masks[..., None] >> np.arange(28, dtype=np.uint32)) & 1
    assert (bits.sum(axis=2) == 7).all()
    return np.nonzero(bits)[2].reshape(len(masks), 4, 7).astype(np.uint8)


def relaid(games: GameBatch, rows: np.ndarray, hands: np.ndarray) -> GameBatch:
    """Games dealt anew so that row i now holds hands[i]; every play is made, and checked, again."""
    base = games.take(rows)
    played = np.zeros((len(rows), 4), np.uint32)
    history, seats, plies = base.history, base.seats, int(base.n_plays[0])
    for ply in range(plies):
        bit = np.uint32(1) << history[:, ply].astype(np.uint32)
        played[np.arange(len(rows)), seats[:, ply]] |= bit
    again = GameBatch(masks_to_hands(hands | played), base.decl, base.leader)
    for ply in range(plies):
        again.play(history[:, ply])
    return again


def contract_starts(numbers: range) -> np.ndarray:
    """What games that are given begin with: these deals, each with a contract. GAME_DTYPE[n]."""
    starts = np.zeros(len(numbers), GAME_DTYPE)
    for start, number in zip(starts, numbers, strict=True):
        hands, decl, leader = rules.deal(9, number)
        start["hands"], start["decl"], start["leader"] = hands, decl, leader
        start["contract"] = contract_record(random_contract(number, leader))
    return starts


def play_out(games: RunningGames) -> np.ndarray:
    """All games that may be started, asked of the stand-in for a network: GAME_DTYPE[n]."""
    obs, evals = np.zeros(games.room, OBS_DTYPE), np.zeros((games.room, 8), np.float32)
    while n := games.select(obs):
        evals[:n] = hashed_evaluate(obs[:n])
        games.update(evals[:n])
    return games.take()
