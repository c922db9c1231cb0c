"""One labelled game on the plain-Python law: the twin of csrc/labelling.c.

Every rollout is played to its end, also those that the game itself shows; the solver and the worlds
are the compiled ones, which have twins of their own.
"""

from __future__ import annotations

import numpy as np
from slow_contract import decided, outcome
from slow_game import choose
from slow_tree import hashed_evaluate

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.records import contract_of_record, contract_record
from zebfast.core.solve import Solver
from zebfast.core.worlds import WorldSet
from zebfast.rules import Position, Stream
from zebfast.selfplay.play_values import pack
from zebfast.selfplay.teaching import TeachingConfig


class SlowTeaching:
    """Plays and labels u2[28, 7] of game ``number`` of a seed.

    ``start``, a record of GAME_DTYPE, is what it begins with where it is not dealt.
    """

    def __init__(
        self, number: int, seed: int, config: TeachingConfig, start: np.void | None = None
    ) -> None:
        self.number, self.seed, self.config = number, seed, config
        if start is None:
            self.position = Position(*rules.deal(seed, number))
        else:
            hands = start["hands"].tolist()
            self.position = Position(hands, int(start["decl"]), int(start["leader"]))
            self.position.contract = contract_of_record(start["contract"])
        self.labels = np.zeros((28, 7), np.uint16)
        self.n_labels = 0
        self._solver = Solver()
        while not self.position.over:
            self._play()

    @property
    def plays(self) -> list[int]:
        return [domino for _, domino in self.position.plays]

    def _draw(self, stream: Stream, index: int) -> int:
        return rules.bits(rules.stream_key(self.seed, stream, self.number), index)

    def _play(self) -> None:
        position, ply = self.position, len(self.position.plays)
        legal = position.legal()
        if len(legal) == 1:
            position.play(legal[0])
            return
        ended = self.position.contract is not None and decided(self.position)
        if not ended and unit(self._draw(Stream.CAP, ply)) < np.float32(self.config.label_share):
            self._label(ply, legal)
        if unit(self._draw(Stream.NOISE, 2 * ply)) < np.float32(self.config.explore):
            played = legal[(self._draw(Stream.NOISE, 2 * ply + 1) * len(legal)) >> 64]
        else:
            weights = [float(p) for p in priors(position)]
            played = legal[choose(weights, self.config.temperature, self._draw(Stream.PLAY, ply))]
        position.play(played)

    def _label(self, ply: int, legal: list[int]) -> None:
        seat, worlds = self.position.to_play, self._worlds()
        own = self.position.dealt[seat]
        for domino in legal:
            points, signs = [], []
            for hands in worlds:
                ends = self._exact if self.config.teacher == "exact" else self._rollout
                team0 = ends(hands, domino)
                points.append(42 - team0 if seat % 2 else team0)
                signs.append(outcome(self.position, team0) * (-1 if seat % 2 else 1))
            self.labels[ply, own.index(domino)] = pack(np.mean(points), np.mean(signs))
        self.n_labels += 1

    def _worlds(self) -> list[list[list[int]]]:
        """Hands as they were dealt, in each world of the decision."""
        n, position = self.config.n_worlds, self.position
        if n == 0:
            return [position.dealt]
        batch = batch_of(position.dealt, position)
        known = WorldSet(batch, 0)
        if known.count <= n:
            masks = known.unrank(range(known.count))
        else:
            masks = known.sample(n, seed=self.seed, game=self.number, stream=Stream.WORLDS)
        made: list[list[int]] = [[], [], [], []]
        for seat, domino in position.plays:
            made[seat].append(domino)
        held = [[[d for d in range(28) if mask >> d & 1] for mask in row] for row in masks.tolist()]
        return [[sorted(a + b) for a, b in zip(row, made, strict=True)] for row in held]

    def _exact(self, hands: list[list[int]], domino: int) -> int:
        """Final points of team 0 under best play behind this one."""
        batch = batch_of(hands, self.position)
        batch.play([domino])
        return self._solved(batch)

    def _solved(self, batch: GameBatch) -> int:
        points = batch.points[0].astype(int)
        if batch.over[0]:
            return int(points[0])
        margin = int(self._solver.values(batch.positions())[0])
        return int((42 + points[0] - points[1] + margin) // 2)

    def _rollout(self, hands: list[list[int]], domino: int) -> int:
        """Final points of team 0 when all play favourites behind this one."""
        position = Position(hands, self.position.decl, self.position.leader)
        position.contract = self.position.contract
        for _, played in self.position.plays:
            position.play(played)
        position.play(domino)
        while len(position.plays) < 28 - 4 * self.config.exact_tricks:
            legal = position.legal()
            position.play(legal[int(np.argmax(priors(position))) if len(legal) > 1 else 0])
        return self._solved(batch_of(hands, position))


def priors(position: Position) -> np.ndarray:
    """The stand-in network's priors of the legal plays, in their order."""
    batch = batch_of(position.dealt, position)
    own = position.dealt[position.to_play]
    answer = hashed_evaluate(batch.observe())[0]
    return np.array([answer[own.index(domino)] for domino in position.legal()])


def batch_of(hands: list[list[int]], position: Position) -> GameBatch:
    """The game with these hands, played as far as ``position``."""
    contract = contract_record(position.contract)
    batch = GameBatch([hands], [position.decl], [position.leader], contracts=contract)
    for _, domino in position.plays:
        batch.play([domino])
    return batch


def unit(bits: int) -> float:
    return (bits >> 11) * 2.0**-53
