"""Players: each chooses for many games at once, from what the seat to play can see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import Bids, Dominoes, PlayRng, Rows
from zebfast.arena.players.heuristics import (
    Preference,
    choose_preferred,
    heuristic2_preference,
    heuristic_preference,
)
from zebfast.arena.players.specs import DEFAULT_TEMPERATURE
from zebfast.core.engine import GameBatch
from zebfast.core.masks import domino_bits, has_choice
from zebfast.core.records import CONTRACT_DTYPE
from zebfast.rules import N_SEATS

if TYPE_CHECKING:  # so that players without a network need no torch
    from zebfast.selfplay.groups import BatchEvaluator

EVALUATION_ROWS = 1024  # rows a network sees in one call; bounds its memory, not its results


class Player(Protocol):
    """What a match needs of a player. A player keeps no state between calls."""

    @property
    def name(self) -> str:
        """What results are labelled with."""

    def choose(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        """One legal domino u1[k] for each of the unfinished games `rows` intp[k] of `batch`.

        `rng` holds one random number for each row; it is the only randomness a player may use.
        `bids` u1[k] is the bid of each row's game, 30..42 points: the team of `batch.leader[row]`
        declared and makes its contract by taking at least that many. A game that has a contract of
        its own is played for that. A choice may depend on nothing else: not on the other rows, nor
        on how many there are.
        """


class RandomPlayer:
    """Any legal domino, all equally likely."""

    name = "random"

    def choose(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        """See Player.choose; the j-th legal domino in ascending order for a bounded draw j."""
        legal = domino_bits(batch.legal(rows))
        seen = legal.cumsum(axis=1)
        wanted = rng.below(seen[:, -1]) + 1
        return first_true(seen == wanted[:, None]).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class PreferencePlayer:
    """A fixed order of preference over dominoes, by declaration, for leading and following."""

    name: str
    preference: Preference

    def choose(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        """See Player.choose; deterministic, `rng` is not used."""
        return choose_preferred(
            preference=self.preference,
            legal=batch.legal(rows),
            decl=batch.decl[rows],
            leading=batch.n_plays[rows] % N_SEATS == 0,
        )


class ThinkingPlayer(ABC):
    """Plays the only legal domino where there is but one, and asks `_choose_open` elsewhere.

    Attributes:
        at_once: most rows that `_choose_open` is given; has no influence on what it says.
    """

    at_once: int

    def choose(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        """See Player.choose; `bids` are not used."""
        legal = batch.legal(rows)
        dominoes = first_true(domino_bits(legal)).astype(np.uint8)
        open_rows = np.flatnonzero(has_choice(legal))
        for start in range(0, len(open_rows), self.at_once):
            part = open_rows[start : start + self.at_once]
            dominoes[part] = self._choose_open(batch, rows[part], rng.take(part))
        return dominoes

    @abstractmethod
    def _choose_open(self, batch: GameBatch, rows: Rows, rng: PlayRng) -> Dominoes:
        """One of two legal dominoes or more for each row."""


@dataclass(kw_only=True, eq=False)
class NetworkPlayer(ThinkingPlayer):
    """Plays from a network's policy alone, no search: p ** (1/temperature) over legal dominoes.

    temperature 0 always plays the favourite (the lowest slot among equals); 1 plays the policy
    as it is. The value output is not used.
    """

    name: str
    evaluator: BatchEvaluator
    temperature: float = DEFAULT_TEMPERATURE
    at_once = EVALUATION_ROWS

    def __post_init__(self) -> None:
        if not self.temperature >= 0.0:
            raise ValueError(f"temperature {self.temperature} is below 0")

    def _choose_open(self, batch: GameBatch, rows: Rows, rng: PlayRng) -> Dominoes:
        obs = batch.observe(rows)
        evals = np.empty((len(rows), 8), dtype=np.float32)
        self.evaluator.evaluate(obs, evals)
        legal = slot_bits(obs["legal"])
        slots = sample_slots(
            priors=evals[:, :7], legal=legal, temperature=self.temperature, rng=rng
        )
        return slot_dominoes(obs["hand"], slots)


@dataclass(frozen=True, eq=False)
class AimingPlayer:
    """A player that is told the contract of a match's hand, for which it then plays.

    The hands of a match have no auction: the leader has the bid, nobody's calls are known, and no
    side has marks.
    """

    name: str
    player: Player

    def choose(self, batch: GameBatch, rows: Rows, rng: PlayRng, bids: Bids) -> Dominoes:
        """See Player.choose."""
        contracts = np.zeros(len(rows), CONTRACT_DTYPE)
        leader = batch.leader[rows]
        contracts["bid"], contracts["bidder"] = bids, leader
        contracts["shaker"] = (leader + N_SEATS - 1) % N_SEATS  # the seat left of it speaks first
        aimed = batch.take(rows).playing_for(contracts)
        return self.player.choose(aimed, np.arange(len(rows)), rng, bids)


def sample_slots(
    *,
    priors: NDArray[np.float32],
    legal: NDArray[np.bool_],
    temperature: float,
    rng: PlayRng,
) -> NDArray[np.intp]:
    """A legal slot intp[k] for each row, from priors f4[k, 7] and legal bool[k, 7].

    Probability is proportional to prior ** (1/temperature), worked out in float64 relative to
    the row's largest prior, so that no temperature underflows every slot.
    """
    masked = np.where(legal, priors.astype(np.float64), -1.0)
    best: NDArray[np.intp] = masked.argmax(axis=1)
    if temperature == 0.0:
        return best
    top = np.maximum(masked.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    with np.errstate(divide="ignore", over="ignore"):  # -inf is right: that slot has no weight
        log_ratio = np.log(np.maximum(masked, 0.0) / top)
        weights = np.where(legal, np.exp(log_ratio / temperature), 0.0)
    ladder = weights.cumsum(axis=1)
    wanted = rng.uniform()[:, None] * ladder[:, -1:]
    chosen = first_true(ladder > wanted)
    # A row without any weight (all priors zero) has no rung above the draw: take its best slot.
    return np.where(ladder[:, -1] > 0.0, chosen, best)


def slot_bits(masks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Slot masks u1[k] spread to bool[k, 7]."""
    return ((masks[:, None] >> np.arange(7, dtype=np.uint8)) & 1).astype(np.bool_)


def slot_dominoes(hands: NDArray[np.uint32], slots: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Domino u1[k] in slot intp[k] of each original hand u4[k]: the slot-th bit of the mask."""
    seen = domino_bits(hands).cumsum(axis=1)
    return first_true(seen == slots[:, None] + 1).astype(np.uint8)


def first_true(table: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Column intp[k] of the first True in each row of bool[k, m]; 0 where there is none."""
    columns: NDArray[np.intp] = table.argmax(axis=1)
    return columns


def plain_player(kind: str) -> Player:
    """The player that a spec without options names. Raises ValueError for any other kind."""
    if kind == "random":
        return RandomPlayer()
    if kind == "heuristic":
        return PreferencePlayer(name=kind, preference=heuristic_preference())
    if kind == "heuristic2":
        return PreferencePlayer(name=kind, preference=heuristic2_preference())
    raise ValueError(f"no plain player is called {kind!r}")
