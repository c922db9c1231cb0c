"""Decisions of games with what a network says of them, and what then came of them.

Games are matches' games: deals of stream EVAL_DEAL, both ways, a network by its favourite plays
against itself or another player. Nothing hidden enters what the network sees; what is hidden is
kept beside it, to judge the answers by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zebfast.arena.pairs import PairedGames, PlayRng
from zebfast.arena.players.base import NetworkPlayer, Player
from zebfast.arena.players.options import BELIEFS
from zebfast.arena.players.world_weights import WorldSource
from zebfast.arena.records import RecordError
from zebfast.core.engine import GameBatch
from zebfast.core.features import feature_bits
from zebfast.core.masks import domino_bits
from zebfast.net import checkpoint
from zebfast.net.devices import open_evaluator
from zebfast.net.features import GROUPS, START
from zebfast.net.output import N_OTHER_SEATS
from zebfast.net.torch.encoding import record_bytes
from zebfast.rules import HAND_SIZE, N_DOMINOES, N_SEATS, TOTAL_POINTS

CHUNK = 4096  # observations in one call; bounds memory
DEALS = 250  # played side by side
WORLDS = 128  # drawn for what layouts tell


@dataclass(frozen=True)
class Answers:
    """What a network says of n observations.

    value: f8[n], chance to have won by points less that of having lost. points: f8[n, 43], chance
    of every final number of points of the own side, or None. belief: f8[n, 28, 3], chance that the
    left, partner and right seat was dealt a domino, or None.
    """

    value: NDArray[np.float64]
    points: NDArray[np.float64] | None
    belief: NDArray[np.float64] | None


class Network:
    """Weights under the name that records use, with all heads and as a player."""

    def __init__(self, name: str, path: Path) -> None:
        """Read the file. BadCheckpoint if it cannot be used."""
        found = checkpoint.load(path)
        self.name = name
        self.net: Any = found.network().eval().requires_grad_(False)  # of either kind
        self.has_belief = found.config.belief_head
        self.evaluator = open_evaluator(found.config, found.weights, device="cpu")
        self.player: Player = NetworkPlayer(name=name, evaluator=self.evaluator, temperature=0.0)

    @property
    def beliefs(self) -> tuple[str, ...]:
        """How its searches can weigh layouts: those of BELIEFS that need no head it lacks."""
        return tuple(belief for belief in BELIEFS if self.has_belief or belief != "head")

    def source(self, belief: str) -> WorldSource:
        """Layouts as its searches draw and weigh them."""
        head = self._head if belief == "head" else None
        return WorldSource(belief=belief, power=1.0, evaluator=self.evaluator, head=head)

    def _head(self, obs: NDArray[Any]) -> NDArray[np.float64]:
        found = self.answers(obs).belief
        assert found is not None
        return found

    def answers(self, obs: NDArray[Any]) -> Answers:
        """All heads' answers to OBS_DTYPE[n]."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(obs), CHUNK):
                raw = record_bytes(obs[start : start + CHUNK])
                parts.append(self.net.run(self.net.prepare(raw)))
        points = belief = None
        if parts[0].points is not None:
            points = _softmax([part.points for part in parts])
        if parts[0].belief is not None:
            belief = _softmax([part.belief for part in parts])
        value = torch.cat([part.value for part in parts]).double().numpy()
        return Answers(value, points, belief)


def _softmax(parts: list[Any]) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = torch.cat(parts).double().softmax(-1).numpy()
    return chances


def read_network(given: str) -> tuple[str, Path]:
    """Split NAME=FILE. RecordError for anything else."""
    name, equals, path = given.partition("=")
    if not (name and equals and path):
        raise RecordError(f"--network {given!r}: expected NAME=FILE, as in new=run/best.pt")
    return name, Path(path)


@dataclass(frozen=True)
class States:
    """n decisions and forced plays, with what came of their games.

    obs: OBS_DTYPE[n]. deals: int64[n], the deal each belongs to. final: int64[n], points that the
    seat's side had in the end. needed: int64[n], points its side must have to get its way with the
    contract: the bid if it declared, else one more than leaves the others short of theirs.
    dealt: int64[n, 28], 0 left, 1 partner, 2 right, -1 the seat itself. open: bool[n, 28, 3], the
    hidden dominoes and the seats that may still hold them. layouts: f4[n, s, 28, 3], the share of
    layouts in which another seat holds a domino, as searches draw and weigh them by each of
    `Network.beliefs`; s is 0 where none were drawn.
    """

    obs: NDArray[Any]
    deals: NDArray[np.int64]
    final: NDArray[np.int64]
    needed: NDArray[np.int64]
    dealt: NDArray[np.int64]
    open: NDArray[np.bool_]
    layouts: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.obs)

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """Dominoes that are in others' hands, bool[n, 28]."""
        return np.asarray(self.open.any(axis=2))

    @property
    def tricks(self) -> NDArray[np.int64]:
        """The trick of each decision, 1..7."""
        return self.obs["n_plays"].astype(np.int64) // N_SEATS + 1


def played_states(
    network: Network,
    opponent: Player | None,
    *,
    seed: int,
    n_deals: int,
    worlds: int = 0,
    say: Callable[[int, int], None] = lambda done, total: None,
) -> States:
    """Every play of a network in n deals both ways; without an opponent, it plays all seats.

    worlds: layouts drawn at each for every source of `layouts`. World i at a decision is the i-th
    of stream EVAL_WORLDS of the seed.
    """
    parts = []
    for first in range(0, n_deals, DEALS):
        count = min(DEALS, n_deals - first)
        parts.append(_Watched(network, seed, first, count, worlds).states(opponent))
        say(2 * (first + count), 2 * n_deals)
    return States(
        **{
            one.name: np.concatenate([getattr(part, one.name) for part in parts])
            for one in fields(States)
        }
    )


class _Watched:
    """A network's player that notes what it is asked."""

    def __init__(self, network: Network, seed: int, first: int, n_deals: int, worlds: int) -> None:
        self.network, self.name = network, network.name
        self.games = PairedGames(seed=seed, first_deal=first, n_deals=n_deals)
        self.first, self.worlds = first, worlds
        self.sources = [network.source(belief) for belief in network.beliefs] if worlds else []
        self.notes: list[dict[str, NDArray[Any]]] = []

    def choose(
        self,
        batch: GameBatch,
        rows: NDArray[np.intp],
        rng: PlayRng,
        bids: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """See Player.choose."""
        seats = batch.to_play[rows].astype(np.int64)
        declared = (batch.leader[rows] & 1) == (seats & 1)
        obs = batch.observe(rows)
        self.notes.append(
            {
                "obs": obs,
                "rows": rows,
                "seats": seats,
                "needed": np.where(declared, bids, TOTAL_POINTS + 1 - bids.astype(np.int64)),
                "layouts": self._layouts(batch, rows, rng, seats),
            }
        )
        return self.network.player.choose(batch, rows, rng, bids)

    def _layouts(
        self,
        batch: GameBatch,
        rows: NDArray[np.intp],
        rng: PlayRng,
        seats: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """`States.layouts` of these decisions."""
        games, others = batch.take(rows), (seats[:, None] + np.arange(1, N_SEATS)) & 3
        found = np.zeros((len(rows), len(self.sources), N_DOMINOES, N_OTHER_SEATS), np.float32)
        for number, source in enumerate(self.sources):
            worlds, logs = source.draw(games, rng, 0, self.worlds, source.weights(games))
            weights = np.exp(logs - logs.max(axis=1, keepdims=True)).astype(np.float32)
            weights /= weights.sum(axis=1, keepdims=True)
            held = domino_bits(worlds.held.reshape(-1)).astype(np.float32)
            held = held.reshape(len(rows), self.worlds, N_SEATS * N_DOMINOES)
            shares = (weights[:, None] @ held).reshape(len(rows), N_SEATS, N_DOMINOES)
            own = np.take_along_axis(shares, others[:, :, None], axis=1)
            found[:, number] = own.swapaxes(1, 2)
        return found

    def states(self, opponent: Player | None) -> States:
        """Play the games out and put everything together."""
        choose = self.choose if opponent is None else opponent.choose
        while not self.games.over:
            self.games.advance(self.choose, choose)
        notes = {key: np.concatenate([note[key] for note in self.notes]) for key in self.notes[0]}
        batch, rows, seats = self.games.batch, notes["rows"], notes["seats"]
        owner = np.empty((len(batch), N_DOMINOES), np.int64)
        np.put_along_axis(
            owner,
            batch.hands.reshape(-1, N_DOMINOES).astype(np.intp),
            np.repeat(np.arange(N_SEATS), HAND_SIZE)[None],
            axis=1,
        )
        return States(
            obs=notes["obs"],
            deals=self.first + rows // 2,
            final=batch.points[rows, seats & 1].astype(np.int64),
            needed=notes["needed"],
            dealt=((owner[rows] - seats[:, None]) & 3) - 1,
            open=open_seats(notes["obs"]),
            layouts=notes["layouts"],
        )


def open_seats(obs: NDArray[Any]) -> NDArray[np.bool_]:
    """Where each hidden domino may be, bool[n, 28, 3]: left, partner, right; all False for others.

    A seat is barred by a suit that it did not follow, and when it has nothing left to play.
    """
    found = []
    for first, last in pairwise([*range(0, len(obs), CHUNK), len(obs)]):
        part = obs[first:last]
        bits = np.unpackbits(feature_bits(part), axis=1, bitorder="little") > 0
        shape = (len(part), -1, N_DOMINOES)
        groups = {
            name: bits[:, START[name] : START[name] + GROUPS[name]].reshape(shape)
            for name in ("held", "played", "cannot")
        }
        hidden = ~(groups["held"][:, 0] | groups["played"].any(axis=1))
        left = groups["played"][:, 1:].sum(axis=2) < 7
        found.append((hidden[:, None] & ~groups["cannot"] & left[:, :, None]).swapaxes(1, 2))
    return np.concatenate(found)
