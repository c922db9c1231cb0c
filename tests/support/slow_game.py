"""One game of self-play on the plain-Python law and search: the twin of csrc/selfplay.c."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import slow_policy
from slow_contract import decided
from slow_tree import SlowTree, hashed_evaluate

from zebfast import rules
from zebfast.arena.policies.view import View
from zebfast.core.options import SearchOptions
from zebfast.rules import Stream
from zebfast.selfplay.config import SelfPlayConfig


class SlowGame:
    """Plays and policy weights of game ``number`` of a seed."""

    def __init__(
        self,
        number: int,
        seed: int,
        config: SelfPlayConfig,
        position: rules.Position | None = None,
        opponent: tuple[Callable[[View, int], int], float] | None = None,
    ) -> None:
        """position: of the deal, if it is given. opponent: a policy, and its share of the games."""
        self.opponent, self.side = opponent, -1
        if opponent is not None:
            drawn = rules.stream_key(seed, Stream.CAP, number)
            if (rules.bits(drawn, 28) >> 11) * 2.0**-53 < opponent[1]:
                self.side = rules.bits(drawn, 29) >> 63
        self.number, self.seed, self.config = number, seed, config
        self.position = position or rules.Position(*rules.deal(seed, number))
        self.weights: list[list[int]] = []
        self.n_fast = 0
        self._play()

    @property
    def plays(self) -> list[int]:
        return [domino for _, domino in self.position.plays]

    def _play(self) -> None:
        options, position = self.config.search, self.position
        key = rules.stream_key(self.seed, Stream.PLAY, self.number)
        self._force()
        tree = self._tree()
        while not position.over:
            legal, bits = position.legal(), rules.bits(key, len(position.plays))
            if options.skip_decided and decided(position):
                self._record([0] * len(legal), (bits * len(legal)) >> 64)
            elif position.to_play % 2 == self.side:
                self._ask()
                self._force()
                tree = self._tree()
            else:
                edge = self._search(tree, bits)
                tree.advance(edge)
            self._force()

    def _tree(self) -> SlowTree:
        worlds, game = self.config.worlds, self.number
        return SlowTree(self.position, self.config.search, worlds=worlds, seed=self.seed, game=game)

    def _ask(self) -> None:
        """The opponent plays, and has no target."""
        assert self.opponent is not None
        key = rules.stream_key(self.seed, Stream.EVAL_PLAY, self.number)
        random = rules.bits(key, len(self.position.plays)) >> 1
        domino = self.opponent[0](slow_policy.seen(self.position, 30), random)
        legal = self.position.legal()
        self._record([0] * len(legal), legal.index(domino))

    def _search(self, tree: SlowTree, bits: int) -> int:
        """Search the tree's root, record, play. Returns the edge that was played."""
        full = self._is_full()
        tree.options = self.config.search if full else fast(self.config.search)
        tree.search(hashed_evaluate)
        weights = tree.policy()
        if tree.options.root == "gumbel":
            edge = tree.choice()
        else:
            edge = choose(weights, tree.options.temperature, bits)
        self.n_fast += not full
        self._record(weights if full else [0] * len(weights), edge)
        return edge

    def _is_full(self) -> bool:
        share = self.config.search.full_share
        key = rules.stream_key(self.seed, Stream.CAP, self.number)
        return (rules.bits(key, len(self.position.plays)) >> 11) * 2.0**-53 < share

    def _record(self, weights: list[int], edge: int) -> None:
        legal, own = self.position.legal(), self.position.dealt[self.position.to_play]
        row = [0] * 7
        for domino, n in zip(legal, weights, strict=True):
            row[own.index(domino)] = n
        self.weights.append(row)
        self.position.play(legal[edge])

    def _force(self) -> None:
        while len(self.position.legal()) == 1:
            self._record([1], 0)


def fast(options: SearchOptions) -> SearchOptions:
    """The search of a decision that is not recorded."""
    return dataclasses.replace(
        options, n_simulations=options.fast_simulations, noise_fraction=0.0, gumbel_scale=0.0
    )


def choose(visits: list[int], temperature: float, bits: int) -> int:
    """Draw by visits ** (1 / temperature) relative to the most visited play."""
    if temperature == 0:
        return visits.index(max(visits))
    weight = [(v / max(visits)) ** (1 / temperature) for v in visits]
    at = (bits >> 11) * 2.0**-53 * sum(weight)
    for i, w in enumerate(weight):
        if visits[i] and at < w:
            return i
        at -= w
    return visits.index(max(visits))
