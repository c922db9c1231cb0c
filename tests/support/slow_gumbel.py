"""The gumbel root of csrc/gumbel.c in plain Python: mctx's schedule as a table, floats as in C.

Edges are anything with prior, visits and total (slow_tree.Edge). C and Python compute in double, in
the same order, with the exp and log of the same libm: equal bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from zebfast import rules
from zebfast.rules import Stream

C_VISIT, C_SCALE = 50.0, 0.25
LEAST_PRIOR = 2.0**-126  # the smallest normal float


def considered_visits(n_plays: int, n_simulations: int) -> list[int]:
    """For each simulation the visits of the plays that it chooses among (mctx's table)."""
    log2max = math.ceil(math.log2(n_plays))
    sequence: list[int] = []
    visits, considered = [0] * n_plays, n_plays
    while len(sequence) < n_simulations:
        extra = max(1, int(n_simulations / (log2max * considered)))
        for _ in range(extra):
            sequence.extend(visits[:considered])
            for i in range(considered):
                visits[i] += 1
        considered = max(2, considered // 2)
    return sequence[:n_simulations]


def gumbel(bits: int) -> float:
    return -math.log(-math.log(((bits >> 12) + 0.5) * 2.0**-52))


class SlowGumbel:
    """One search from a root with these edges; ``total`` is the root node's own."""

    def __init__(
        self, edges: Sequence[Any], n_simulations: int, scale: float, *, seed: int, game: int,
        ply: int,
    ) -> None:  # fmt: skip
        key = rules.stream_key(seed, Stream.GUMBEL, game)
        noise = [gumbel(rules.bits(key, (ply << 32) + i)) for i in range(len(edges))]
        self.edges = edges
        self.inherited = [e.visits for e in edges]
        self.leads = [self.logit(e) + scale * g for e, g in zip(edges, noise, strict=True)]
        left = max(n_simulations - sum(self.inherited), 0)
        self.schedule = considered_visits(len(edges), left)

    @staticmethod
    def logit(edge: Any) -> float:
        return math.log(max(float(edge.prior), LEAST_PRIOR))

    def new_visits(self) -> list[int]:
        return [e.visits - n for e, n in zip(self.edges, self.inherited, strict=True)]

    def next(self, total: float) -> int:
        """Edge of the next simulation."""
        return self._best_at(self.schedule[sum(self.new_visits())], total)

    def best(self, total: float) -> int:
        """Edge to play."""
        return self._best_at(max(self.new_visits()), total)

    def policy(self, total: float) -> list[int]:
        """The improved policy, 65535 for the likeliest play."""
        sigmas = self._sigmas(total)
        scores = [s + self.logit(e) for s, e in zip(sigmas, self.edges, strict=True)]
        return [int(math.exp(s - max(scores)) * 65535.0 + 0.5) for s in scores]

    def _best_at(self, level: int, total: float) -> int:
        scores = [a + b for a, b in zip(self.leads, self._sigmas(total), strict=True)]
        at_level = [i for i, n in enumerate(self.new_visits()) if n == level]
        return max(at_level, key=lambda i: (scores[i], -i))

    def _sigmas(self, total: float) -> list[float]:
        scale = (C_VISIT + max(e.visits for e in self.edges)) * C_SCALE
        mixed = self._mixed_value(total)
        return [scale * (self._value(e) if e.visits else mixed) for e in self.edges]

    @staticmethod
    def _value(edge: Any) -> float:
        return (float(edge.total) / edge.visits + 1.0) * 0.5

    def _mixed_value(self, total: float) -> float:
        own, visits, mass, mean = float(total), 0, 0.0, 0.0
        for e in self.edges:
            if e.visits:
                prior = max(float(e.prior), LEAST_PRIOR)
                own -= float(e.total)
                visits += e.visits
                mass += prior
                mean += prior * self._value(e)
        own = (own + 1.0) * 0.5
        return (own + visits * (mean / mass)) / (visits + 1.0) if visits else own
