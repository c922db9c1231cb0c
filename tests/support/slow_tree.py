"""The search of csrc/tree.c in plain Python on the plain-Python law, float32 step by float32 step.

Positions are stored in the nodes, nothing is packed, nothing is reused across steps; only the
order of the float operations is shared with C, because it decides the last bit. Worlds come from
the compiled sampler, which has a twin of its own; exact endings from the solver's twin.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from drawn_worlds import draw_worlds
from slow_contract import decided, outcome, seen_contract
from slow_gumbel import SlowGumbel
from slow_solver import SlowSolver

from zebfast import rules
from zebfast.core.options import SearchOptions
from zebfast.core.records import OBS_DTYPE
from zebfast.rules import Position, Stream

F = np.float32
Evaluate = Callable[[np.ndarray], np.ndarray]


def observe(position: Position) -> np.ndarray:
    """OBS_DTYPE [1] of the seat to play, field by field from the rules."""
    seat = position.to_play
    own = position.dealt[seat]
    obs = np.zeros(1, OBS_DTYPE)
    obs["hand"] = sum(1 << d for d in own)
    obs["decl"] = position.decl
    obs["n_plays"] = len(position.plays)
    obs["legal"] = sum(1 << own.index(d) for d in position.legal())
    obs["in_hand"] = sum(1 << own.index(d) for d in position.hands[seat])
    for i, (player, domino) in enumerate(position.plays):
        obs["plays"][0, i] = domino | (player - seat) % 4 << 5
    obs["contract"] = seen_contract(position)
    return obs


def hashed_evaluate(obs: np.ndarray) -> np.ndarray:
    """A deterministic stand-in for a network: uneven priors and values, float32 [B, 8]."""
    out = np.zeros((len(obs), 8), F)
    for i, row in enumerate(obs):
        seen = row.tobytes()  # the contract comes last
        crc = zlib.crc32(seen if row["contract"]["bid"] else seen[:-8])
        legal = [s for s in range(7) if row["legal"] >> s & 1]
        weights = [1 + (crc >> 4 * s & 15) for s in legal]
        for s, w in zip(legal, weights, strict=True):
            out[i, s] = F(w) / F(sum(weights))
        out[i, 7] = F(crc % 2001 - 1000) / F(1000)
    return out


class HashedEvaluator:
    """That network, as the arena and self-play ask it. rows: evaluations so far."""

    def __init__(self) -> None:
        self.rows = 0
        self.version = 1

    def evaluate(self, obs: np.ndarray, out: np.ndarray) -> None:
        """See zebfast.selfplay.groups.Evaluator."""
        self.rows += len(obs)
        out[:] = hashed_evaluate(obs)


@dataclass
class Edge:
    prior: np.float32
    visits: int = 0
    total: np.float32 = field(default_factory=lambda: F(0))
    child: int = 0


@dataclass
class Node:
    position: Position
    total: np.float32
    edges: list[Edge]


class SlowTree:
    """One tree; see csrc/tree.h for what a node is and how worlds share the root.

    seed, game and stream say which worlds are drawn, seed and game the gumbel root's noise.
    """

    def __init__(
        self,
        position: Position,
        options: SearchOptions,
        *,
        worlds: str = "true",
        seed: int = 0,
        game: int = 0,
        stream: int = Stream.WORLDS,
    ) -> None:
        self.root = copy.deepcopy(position)
        self.options = options
        self.nodes: list[Node] = []
        self.sampled = worlds == "sampled"
        self.draw = {"seed": seed, "game": game, "stream": int(stream)}
        self.worlds: list[Position] = []
        self.children: list[list[int]] = []  # nodes behind the root's edges, by world
        self.solver = SlowSolver(position.decl)
        self.shared: dict[
            tuple[object, ...] | None, int
        ] = {}  # nodes at starts of tricks, by what counts
        self.gumbel: SlowGumbel | None = None
        self.transposed = 0

    @property
    def root_visits(self) -> int:
        return sum(e.visits for e in self.nodes[0].edges) if self.nodes else 0

    def search(self, evaluate: Evaluate) -> str:
        """Simulate until complete, full or stopped."""
        if not self.nodes:
            self._make_node(self.root, evaluate)
            self._draw_worlds()
        if self.options.root == "gumbel" and self.gumbel is None:
            self.gumbel = SlowGumbel(
                self.nodes[0].edges, self.options.n_simulations, self.options.gumbel_scale,
                seed=self.draw["seed"], game=self.draw["game"], ply=len(self.root.plays),
            )  # fmt: skip
        while self.root_visits < self.options.n_simulations:
            if self._choice_is_final():
                return "stopped"
            if self._full():
                return "full"
            self._simulate(evaluate)
        return "complete"

    def _draw_worlds(self) -> None:
        if self.sampled:
            n = min(self.options.n_worlds, self.options.n_simulations)
            self.worlds = draw_worlds(self.root, n, **self.draw)
            self.children = [[0] * len(self.nodes[0].edges) for _ in self.worlds]

    def _choice_is_final(self) -> bool:
        visits = sorted(e.visits for e in self.nodes[0].edges)
        left = self.options.n_simulations - self.root_visits
        return self.options.early_stop and self.gumbel is None and visits[-1] > visits[-2] + left

    def choice(self) -> int:
        """Edge to play at temperature 0."""
        if self.gumbel is not None:
            return self.gumbel.best(self.nodes[0].total)
        visits = [e.visits for e in self.nodes[0].edges]
        return visits.index(max(visits))

    def policy(self) -> list[int]:
        """Weights of the policy target."""
        if self.gumbel is not None:
            return self.gumbel.policy(self.nodes[0].total)
        return [e.visits for e in self.nodes[0].edges]

    def _full(self) -> bool:
        edges = sum(len(n.edges) for n in self.nodes)
        limit = self.options.max_nodes
        return len(self.nodes) >= limit or edges + 7 > limit * 9 // 2

    def _make_node(self, position: Position, evaluate: Evaluate) -> np.float32:
        seat = position.to_play
        row = evaluate(observe(position))[0]
        slots = [position.dealt[seat].index(d) for d in position.legal()]
        edges = [Edge(row[s]) for s in slots]
        self.nodes.append(Node(copy.deepcopy(position), row[7], edges))
        return row[7]

    def _simulate(self, evaluate: Evaluate) -> None:
        path, index, world, position = [], 0, None, self.root
        while True:
            node, at = self.nodes[index], self._choose(index)
            edge = node.edges[at]
            if self.worlds and index == 0:
                world = edge.visits % len(self.worlds)
                position = self.worlds[world]
            path.append((node, edge))
            position = follow(position, at)
            child = self._child(index, at, world) or self._share(index, at, world, position)
            if child == 0:
                break
            index = child
        ending, key = self._ending(position), self._key(position, world)
        if ending is not None:
            value0 = F(ending)
        else:
            if key is not None:
                self.shared[key] = len(self.nodes)
            self._link(index, at, world, len(self.nodes))
            value = self._make_node(position, evaluate)
            value0 = -value if position.to_play % 2 else value
        for node, edge in path:
            v = -value0 if node.position.to_play % 2 else value0
            edge.total = F(edge.total + v)
            edge.visits += 1
            node.total = F(node.total + v)

    def _choose(self, index: int) -> int:
        node = self.nodes[index]
        if self.gumbel is not None and index == 0:
            return self.gumbel.next(node.total)
        best = self._best(node)
        return next(i for i, e in enumerate(node.edges) if e is best)

    def _child(self, index: int, at: int, world: int | None) -> int:
        if world is None or index:
            return self.nodes[index].edges[at].child
        return self.children[world][at]

    def _link(self, index: int, at: int, world: int | None, child: int) -> int:
        if world is None or index:
            self.nodes[index].edges[at].child = child
        else:
            self.children[world][at] = child
        return child

    def _share(self, index: int, at: int, world: int | None, position: Position) -> int:
        """Link the edge to the node that another order of play has made; 0 where there is none."""
        child = self.shared.get(self._key(position, world), 0)
        if child == 0 or self._ending(position) is not None:
            return 0
        self.transposed += 1
        return self._link(index, at, world, child)

    def _key(self, position: Position, world: int | None) -> tuple[object, ...] | None:
        """What decides whether a position is a node that is there already; None: nothing does."""
        if not self.options.transpositions or position.trick or position.over:
            return None
        hands = tuple(tuple(hand) for hand in position.hands)
        return world, hands, position.to_play, tuple(position.points)

    def _ending(self, position: Position) -> int | None:
        """The outcome for team 0 where it is known without the network."""
        a, b = position.points
        exact = self.options.exact_tricks
        if not position.over and (exact == 0 or not decided(position)):
            if 7 - len(position.plays) // 4 > exact:
                return None
            hands = tuple(sum(1 << d for d in hand) for hand in position.hands)
            leader = (position.to_play - len(position.trick)) % 4
            a += self.solver.value(hands, leader, tuple(position.trick))  # type: ignore[arg-type]
        return outcome(position, (42 + a - b) // 2)

    def _best(self, node: Node) -> Edge:
        visits = 1 + sum(e.visits for e in node.edges)
        explore = F(F(self.options.c_puct) * np.sqrt(F(visits)))
        unvisited = F(node.total / F(visits))
        best, best_score = node.edges[0], F(-np.inf)
        for e in node.edges:
            q = F(e.total / F(e.visits)) if e.visits else unvisited
            score = F(q + F(F(explore * e.prior) / F(F(1) + F(e.visits))))
            if score > best_score:
                best, best_score = e, score
        return best

    def advance(self, edge_index: int) -> int:
        """Keep the subtree behind an edge: its root first, the others in order of creation."""
        new_root = self.nodes[0].edges[edge_index].child
        self.root = follow(self.root, edge_index)
        self.worlds, self.children, self.gumbel = [], [], None
        old, keep, waiting = self.nodes, set(), [new_root] if new_root else []
        while waiting:
            index = waiting.pop()
            if index not in keep:
                keep.add(index)
                waiting += [e.child for e in old[index].edges if e.child]
        order = sorted(keep, key=lambda i: (i != new_root, i))
        self.nodes = [old[i] for i in order]
        for node in self.nodes:
            for e in node.edges:
                e.child = order.index(e.child) if e.child else 0
        kept = {key: order.index(i) for key, i in self.shared.items() if i in keep}
        self.shared = {key: i for key, i in kept.items() if i}
        return self.root_visits

    def dump(self) -> list[tuple[float, list[tuple[float, int, float, int]]]]:
        return [
            (
                float(n.total),
                [(float(e.prior), e.visits, float(e.total), e.child) for e in n.edges],
            )
            for n in self.nodes
        ]


def follow(position: Position, edge: int) -> Position:
    """The position after the edge-th legal play and the forced plays behind it."""
    after = copy.deepcopy(position)
    after.play(after.legal()[edge])
    while len(after.legal()) == 1:
        after.play(after.legal()[0])
    return after


def decision(seed: int, plies: int) -> rules.Position | None:
    """A random position with a choice, at least ``plies`` plays into a random deal."""
    position = rules.Position(*rules.deal(seed, 0))
    key = rules.stream_key(seed, rules.Stream.PLAY, 0)
    while len(position.plays) < plies or len(position.legal()) == 1:
        legal = position.legal()
        if not legal:
            return None
        position.play(legal[rules.bounded(key, len(position.plays), len(legal))])
    return position if position.legal() else None
