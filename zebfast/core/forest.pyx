"""Many search trees side by side: one leaf per tree per step, evaluated by the caller.

PUCT as in AlphaZero (Silver et al. 2017) over decision positions. A position is evaluated once and
all its legal plays become edges; forced plays are skipped, finished games are scored by the rules.
Unvisited plays count with the mean value of their position. The root may share out its simulations
by sequential halving instead (SearchOptions.root).

A tree searches the true deal, or worlds sampled from what the seat to play knows: then the root's
priors, visits and values are shared by all worlds, each world has its own subtree below, and the
n-th visit of a root's play searches world n mod W (perfect-information Monte Carlo under one root;
compare the determinized search of Cowling, Powley & Whitehouse 2012). Positions with at most
exact_tricks tricks left, and hands that one side has won by points, are endings valued exactly.
"""

from libc.math cimport isfinite
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

from zebfast.core.arrays import integers
from zebfast.core.records import OBS_DTYPE
from zebfast.rules import Stream

from zebfast.core.engine cimport (
    ZF_HAND_SIZE, ZF_N_DOMINOES, ZF_N_SEATS, GameBatch, dominoes_of, zf_legal, zf_over)
from zebfast.core.network cimport Network, zf_net_evaluate
from zebfast.core.observe cimport zf_obs
from zebfast.core.options cimport search_struct

# Limits of a tree and of a search, as csrc/tree.h defines them.
MIN_NODES, MAX_NODES, MAX_VISITS = ZF_MIN_NODES, ZF_MAX_NODES, ZF_MAX_VISITS
MAX_WORLDS = ZF_MAX_WORLDS
MAX_CACHE_MB = 65536
#: What a tree may search: sampled worlds, or the true deal of all hands (the published way).
WORLDS = ("sampled", "true")
#: Names of the totals: descents (simulations), leaves handed out (evaluations), leaves whose
#: evaluation was remembered (cache_hits), edges led to a node that they share (transposed),
#: simulations that ended the game (terminals), simulations that ended in an exactly valued position
#: (solved), positions given to the solver (solver_calls), root visits inherited (reused), searches
#: cut short by a full tree (full) or because nothing could change their choice (stopped), decisions
#: searched, of those without a policy target (fast), games finished, dominoes played.
COUNTS = ("simulations", "evaluations", "cache_hits", "transposed", "terminals", "solved",
          "solver_calls", "reused", "full", "stopped", "searches", "fast", "games", "plays")


def check_worlds(worlds):
    """Raise ValueError, in one sentence, unless this is one of WORLDS."""
    if worlds not in WORLDS:
        raise ValueError(f"worlds is {worlds!r}, but must be one of: {', '.join(WORLDS)}")


cdef class Forest:
    """Forest(games, *, options, seed=0, game_numbers=None, worlds='sampled', stream=Stream.WORLDS)

    One tree for each game of a batch; every game must stand at a decision. Copies the positions.

    Args:
        seed, game_numbers: number the draws of root noise (streams 2 and 8) and worlds; integer
            [trees], by default a tree's own index.
        worlds: one of WORLDS. With "sampled" nothing depends on the hands that are hidden from the
            seat to play.
        stream: of the worlds' draws.

    Raises:
        ValueError: a game is over or has a forced play; an unknown kind of worlds.
    """

    def __cinit__(self, GameBatch games not None, *, options, seed=0, game_numbers=None,
                  worlds="sampled", stream=Stream.WORLDS):
        cdef Py_ssize_t i
        cdef uint32_t legal
        check_worlds(worlds)
        for i in range(games.size):
            legal = zf_legal(&games.states[i])
            if legal & (legal - 1) == 0:
                why = "is over" if zf_over(&games.states[i]) else "has a forced play"
                raise ValueError(f"game {i} {why}: only a position with a choice is searched")
        self.search = search_struct(options)
        self.size, self.n_waiting = games.size, 0
        self.seed, self.stream = seed & 0xFFFFFFFFFFFFFFFF, stream
        if game_numbers is None:
            game_numbers = np.arange(self.size)
        self.numbers = np.array(integers("game_numbers", game_numbers, (self.size,)), np.uint64)
        self.waiting = <uint32_t *>calloc(max(self.size, 1), sizeof(uint32_t))
        if self.waiting == NULL or not zf_tree_pool_alloc(
                &self.pool, &self.search, max(self.size, 1), worlds == "sampled"):
            raise MemoryError(f"no memory for {self.size} trees of {options.max_nodes} nodes")
        self.trees = self.pool.trees
        for i in range(self.size):
            zf_tree_reset(&self.trees[i], &games.states[i])

    def __dealloc__(self):
        free(self.waiting)
        zf_tree_pool_free(&self.pool)

    def __len__(self):
        return self.size

    @property
    def waiting(self):
        """Leaves that wait for their evaluations."""
        return self.n_waiting

    def select(self, leaves):
        """Run every unfinished tree to its next leaf; the GIL is released.

        Args:
            leaves: OBS_DTYPE [trees], written from the front.

        Returns:
            Number of leaves; 0 = every search is complete.
        """
        cdef uint8_t[::1] raw = leaves.view(np.uint8)
        if leaves.dtype != OBS_DTYPE or len(leaves) < self.size:
            raise ValueError(f"leaves must hold {self.size} records of {OBS_DTYPE.itemsize} bytes")
        if self.n_waiting:
            raise ValueError(f"{self.n_waiting} leaves still wait for their evaluations")
        if self.size == 0:
            return 0
        with nogil:
            self._select(<zf_obs *>&raw[0])
        return self.n_waiting

    cdef Py_ssize_t _select(self, zf_obs *leaves) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.size):
            if zf_tree_descend(&self.trees[i], &self.search, leaves + self.n_waiting,
                               &self.totals) == ZF_LEAF:
                self.waiting[self.n_waiting] = i
                self.n_waiting += 1
        self.totals.evaluations += self.n_waiting
        return self.n_waiting

    def update(self, evals):
        """Give the leaves of the last select their evaluations, float32 [leaves, 8], in order.

        Columns 0..6 are priors by slot, 7 the value for the seat to play.

        Raises:
            FloatingPointError: an evaluation is not finite; nothing was applied.
        """
        cdef const float[:, ::1] e = evals
        if e.shape[0] < self.n_waiting or e.shape[1] != 8:
            raise ValueError(f"evaluations have shape {evals.shape}, not [{self.n_waiting}, 8]")
        if self.n_waiting and not self._update(&e[0, 0]):
            raise FloatingPointError("an evaluation is not finite: check the network's weights")

    cdef bint _update(self, const float *evals) noexcept nogil:
        """False, and nothing applied, if an evaluation is not finite."""
        cdef Py_ssize_t i
        cdef bint is_root
        for i in range(8 * self.n_waiting):
            if not isfinite(evals[i]):
                return False
        for i in range(self.n_waiting):
            is_root = self.trees[self.waiting[i]].n_nodes == 0
            zf_tree_expand(&self.trees[self.waiting[i]], evals + 8 * i, &self.totals)
            if is_root:
                self._open(self.waiting[i])
        self.n_waiting = 0
        return True

    def run(self, Network network not None, leaves, float[:, ::1] evals not None, *,
            double seconds):
        """Select, ask a network of the core and update, again and again; the GIL is released.

        Searches are those of as many calls of select and update. If an answer is not finite it
        stops with that batch `waiting` in leaves, for whoever is to say so.

        Args:
            network: its answers hang on nothing but each leaf.
            leaves, evals: OBS_DTYPE [trees] and float32 [trees, 8], C-contiguous, which it writes.
            seconds: after which it returns, give or take a batch. One is asked.

        Returns:
            False when every search is complete.
        """
        if leaves.dtype != OBS_DTYPE or len(leaves) < self.size:
            raise ValueError(f"leaves must hold {self.size} records of {OBS_DTYPE.itemsize} bytes")
        if evals.shape[0] < self.size or evals.shape[1] != 8:
            raise ValueError(f"evals must have shape [{self.size}, 8]")
        if self.n_waiting:
            raise ValueError(f"{self.n_waiting} leaves still wait for their evaluations")
        if self.size == 0:
            return False
        cdef uint8_t[::1] raw = leaves.view(np.uint8)
        cdef size_t n = 0
        cdef double ends = zf_now() + seconds
        with nogil:
            while True:
                n = self._select(<zf_obs *>&raw[0])
                if n == 0 or zf_net_evaluate(network.net, <zf_obs *>&raw[0], n, &evals[0, 0]) < n:
                    break
                if not self._update(&evals[0, 0]) or zf_now() >= ends:
                    break
        return n > 0

    cdef void _open(self, Py_ssize_t tree) noexcept nogil:
        """Noise and worlds of an expanded root."""
        zf_tree_open(
            &self.trees[tree], &self.search, self.seed, self.stream, self.numbers[tree])

    cdef list _slots(self, Py_ssize_t tree):
        """Slots of the root's edges; none where the root has no evaluation yet."""
        if self.trees[tree].n_nodes == 0:
            return []
        cdef uint32_t legal = zf_legal(&self.trees[tree].root)
        cdef uint32_t dealt = self.trees[tree].root.dealt[self.trees[tree].root.to_play]
        return [slot for slot, domino in enumerate(dominoes_of(dealt)) if legal >> domino & 1]

    def visits(self):
        """Visits of the root's plays by slot of the seat to play, uint16 [trees, 7]."""
        return self._root()[1]

    def values(self):
        """Mean value of the root's plays by slot for the side to play, float32 [trees, 7]; NaN
        where a play was not visited."""
        return self._root()[0]

    def _root(self):
        values = np.full((self.size, ZF_HAND_SIZE), np.nan, np.float32)
        visits = np.zeros((self.size, ZF_HAND_SIZE), np.uint16)
        cdef Py_ssize_t i, k
        for i in range(self.size):
            for k, slot in enumerate(self._slots(i)):
                edge = self.trees[i].edges[self.trees[i].nodes[0].first_edge + k]
                visits[i, slot] = edge.visits
                if edge.visits:
                    values[i, slot] = edge.total / edge.visits
        return values, visits

    def policy(self):
        """The weights that self-play records of each root, uint16 [trees, 7] by slot of its seat:
        visits of the puct root, the improved policy of the gumbel root (the largest is 65535)."""
        policy = np.zeros((self.size, ZF_HAND_SIZE), np.uint16)
        cdef Py_ssize_t i, k
        cdef uint16_t weights[ZF_HAND_SIZE]
        for i in range(self.size):
            slots = self._slots(i)
            if slots:
                zf_tree_policy(&self.trees[i], &self.search, weights)
            for k, slot in enumerate(slots):
                policy[i, slot] = weights[k]
        return policy

    def choices(self):
        """Slot that each root plays at temperature 0, uint8 [trees]: the puct root's most visited
        play, the gumbel root's best. ValueError if a tree has not been searched."""
        choices = np.zeros(self.size, np.uint8)
        cdef Py_ssize_t i
        for i in range(self.size):
            slots = self._slots(i)
            if not slots or self.n_waiting:
                raise ValueError(f"tree {i} has no finished search to choose from")
            choices[i] = slots[zf_tree_choose(&self.trees[i], &self.search, 0, 0)]
        return choices

    def advance(self, Py_ssize_t tree, int domino):
        """Play a legal domino and any forced ones behind it, keeping the subtree (true deal only).

        Returns:
            Visits kept. Afterwards the tree stands at a decision, or its game is over.
        """
        if not 0 <= tree < self.size:
            raise IndexError(f"tree {tree} lies outside 0..{self.size - 1}")
        cdef uint32_t legal = zf_legal(&self.trees[tree].root)
        cdef uint32_t edge = 0
        if self.trees[tree].n_nodes == 0 or self.n_waiting:
            raise ValueError("the tree has no finished search to advance from")
        if not (0 <= domino < ZF_N_DOMINOES and legal >> domino & 1):
            raise ValueError(f"domino {domino} is not legal at the root of tree {tree}")
        for d in range(domino):
            edge += legal >> d & 1
        kept = zf_tree_advance(&self.trees[tree], edge)
        if self.trees[tree].n_nodes:
            self._open(tree)
        return kept

    def counts(self):
        """Totals over all trees, by the names in COUNTS."""
        return self.totals

    def dump(self, Py_ssize_t tree):
        """All nodes of one tree, for tests and inspection.

        Returns:
            A list of nodes in order of creation, each (total, [(prior, visits, total, child)]),
            edges in ascending domino order, child 0 = none (unvisited, an ending, or a root's edge
            on sampled worlds: see worlds).
        """
        if not 0 <= tree < self.size:
            raise IndexError(f"tree {tree} lies outside 0..{self.size - 1}")
        nodes = []
        for i in range(self.trees[tree].n_nodes):
            node = self.trees[tree].nodes[i]
            first, n = node.first_edge, node.n_edges
            edges = [self.trees[tree].edges[first + k] for k in range(n)]
            nodes.append((node.total, [(e["prior"], e["visits"], e["total"], _node(e["child"]))
                                       for e in edges]))
        return nodes

    def drawn_worlds(self, Py_ssize_t tree):
        """The worlds that one tree's root is searched on, in order of use; none on the true deal.

        Returns:
            (hands, children): the four hands as they stand, uint32 [W, 4], and the nodes behind the
            root's edges in each world, uint16 [W, 7], 0 = none, edges in ascending domino order.
        """
        if not 0 <= tree < self.size:
            raise IndexError(f"tree {tree} lies outside 0..{self.size - 1}")
        cdef uint32_t w, n = self.trees[tree].n_worlds
        hands = np.zeros((n, ZF_N_SEATS), np.uint32)
        children = np.zeros((n, ZF_HAND_SIZE), np.uint16)
        for w in range(n):
            world = self.trees[tree].worlds[w]
            hands[w] = world.hands
            children[w] = [_node(child) for child in world.child]
        return hands, children


def _node(child):
    return child if child < ZF_FIRST_ENDING else 0
