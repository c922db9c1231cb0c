"""Many search trees side by side: one leaf per tree per step, evaluated by the caller."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

from zebfast.core.records import OBS_DTYPE
from zebfast.rules import Stream

from zebfast.core.engine cimport GameBatch, zf_legal, zf_over
from zebfast.core.observe cimport zf_obs
from zebfast.core.solve cimport zf_solver_free, zf_solver_new

MIN_NODES, MAX_NODES, MAX_VISITS = ZF_MIN_NODES, ZF_MAX_NODES, ZF_MAX_VISITS
MAX_WORLDS, N_TRICKS = ZF_MAX_WORLDS, ZF_N_TRICKS
WORLDS = ("sampled", "true")
COUNTS = ("simulations", "evaluations", "terminals", "solved", "reused", "full", "searches",
          "games", "plays")


def check_worlds(worlds):
    """Raise ValueError, in one sentence, unless this is one of WORLDS."""
    if worlds not in WORLDS:
        raise ValueError(f"worlds is {worlds!r}, but must be one of: {', '.join(WORLDS)}")


cdef zf_search search_struct(object options) except *:
    """The C twin of a checked SearchOptions."""
    cdef zf_search search
    search.c_puct = options.c_puct
    search.n_simulations = options.n_simulations
    search.max_nodes = options.max_nodes
    search.n_worlds = options.n_worlds
    search.exact_tricks = options.exact_tricks
    search.temperature = options.temperature
    search.noise_alpha = options.noise_alpha
    search.noise_fraction = options.noise_fraction
    return search


cdef class Forest:
    """One tree for each game of a batch that stands at a decision."""

    def __cinit__(self, *args, **kwargs):
        self.trees = NULL
        self.nodes = NULL
        self.edges = NULL
        self.scratch = NULL
        self.waiting = NULL
        self.worlds = NULL
        self.solver = NULL

    def __init__(self, GameBatch games, *, options, seed=0, game_numbers=None, worlds="sampled",
                 stream=Stream.WORLDS):
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
        self.numbers = np.array(game_numbers, np.uint64, order="C")
        if self.numbers.shape[0] != self.size:
            raise ValueError(f"{len(game_numbers)} game numbers for {self.size} games")
        self._allocate(worlds == "sampled")
        for i in range(self.size):
            zf_tree_reset(&self.trees[i], &games.states[i])

    cdef _allocate(self, bint sampled):
        """Room for all trees; trees share what only one of them needs at a time."""
        cdef Py_ssize_t i, n = max(self.size, 1), max_nodes = self.search.max_nodes
        cdef uint32_t capacity = zf_edge_capacity(max_nodes)
        cdef uint32_t room = zf_worlds_room(&self.search)
        self.trees = <zf_tree *>calloc(n, sizeof(zf_tree))
        self.nodes = <zf_node *>calloc(n * max_nodes, sizeof(zf_node))
        self.edges = <zf_edge *>calloc(n * capacity, sizeof(zf_edge))
        self.scratch = <uint16_t *>calloc(max_nodes, sizeof(uint16_t))
        self.waiting = <uint32_t *>calloc(n, sizeof(uint32_t))
        if sampled:
            self.worlds = <zf_world *>calloc(n * room, sizeof(zf_world))
        if self.search.exact_tricks:
            self.solver = zf_solver_new(ZF_DEFAULT_TABLE_BITS)
        if (self.trees == NULL or self.nodes == NULL or self.edges == NULL
                or self.scratch == NULL or self.waiting == NULL
                or (sampled and self.worlds == NULL)
                or (self.search.exact_tricks and self.solver == NULL)):
            raise MemoryError(f"no memory for {n} trees of {max_nodes} nodes")
        for i in range(self.size):
            self.trees[i].nodes = self.nodes + i * max_nodes
            self.trees[i].edges = self.edges + i * capacity
            self.trees[i].scratch = self.scratch
            self.trees[i].solver = self.solver
            if sampled:
                self.trees[i].worlds = self.worlds + i * room

    def __dealloc__(self):
        free(self.trees)
        free(self.nodes)
        free(self.edges)
        free(self.scratch)
        free(self.waiting)
        free(self.worlds)
        if self.solver != NULL:
            zf_solver_free(self.solver)

    def __len__(self):
        return self.size

    def select(self, leaves):
        """Run every unfinished tree to its next leaf.

        Args:
            leaves: OBS_DTYPE [trees], written from the front.

        Returns:
            Number of leaves; 0 = every search is complete.
        """
        cdef uint8_t[::1] raw = leaves.view(np.uint8)
        cdef Py_ssize_t i
        if leaves.dtype != OBS_DTYPE or len(leaves) < self.size:
            raise ValueError(f"leaves must hold {self.size} records of {OBS_DTYPE.itemsize} bytes")
        if self.n_waiting:
            raise ValueError(f"{self.n_waiting} leaves still wait for their evaluations")
        if self.size == 0:
            return 0
        cdef zf_obs *out = <zf_obs *>&raw[0]
        with nogil:
            for i in range(self.size):
                if zf_tree_descend(&self.trees[i], &self.search, out + self.n_waiting,
                                   &self.totals) == ZF_LEAF:
                    self.waiting[self.n_waiting] = i
                    self.n_waiting += 1
        return self.n_waiting

    def update(self, evals):
        """Give the leaves of the last select their evaluations, float32 [leaves, 8], in order."""
        cdef const float[:, ::1] e = evals
        cdef Py_ssize_t i
        cdef zf_tree *tree
        cdef bint is_root
        if e.shape[0] < self.n_waiting or e.shape[1] != 8:
            raise ValueError(f"evaluations have shape {evals.shape}, not [{self.n_waiting}, 8]")
        if not np.isfinite(evals[:self.n_waiting]).all():
            raise FloatingPointError("an evaluation is not finite: check the network's weights")
        for i in range(self.n_waiting):
            tree = &self.trees[self.waiting[i]]
            is_root = tree.n_nodes == 0
            zf_tree_expand(tree, &e[i, 0], &self.totals)
            if not is_root:
                continue
            if self.search.noise_fraction > 0:
                zf_tree_add_noise(tree, &self.search, self.seed, self.numbers[self.waiting[i]])
            zf_tree_draw_worlds(
                tree, &self.search, self.seed, self.stream, self.numbers[self.waiting[i]])
        self.n_waiting = 0

    def visits(self):
        """Visits of the root's plays by slot of the seat to play, uint16 [trees, 7]."""
        return self._root()[1]

    def values(self):
        """Mean value of the root's plays by slot for the side to play, float32 [trees, 7]; NaN
        where a play was not visited."""
        return self._root()[0]

    def _root(self):
        values = np.full((self.size, 7), np.nan, np.float32)
        visits = np.zeros((self.size, 7), np.uint16)
        cdef Py_ssize_t i, k
        cdef uint32_t legal, dealt, seat
        for i in range(self.size):
            if self.trees[i].n_nodes == 0:
                continue
            seat = self.trees[i].root.to_play
            legal, dealt = zf_legal(&self.trees[i].root), self.trees[i].root.dealt[seat]
            k = 0
            for slot, domino in enumerate(d for d in range(28) if dealt >> d & 1):
                if not legal >> domino & 1:
                    continue
                edge = self.trees[i].edges[self.trees[i].nodes[0].first_edge + k]
                visits[i, slot] = edge.visits
                if edge.visits:
                    values[i, slot] = edge.total / edge.visits
                k += 1
        return values, visits

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
        if not (0 <= domino < 28 and legal >> domino & 1):
            raise ValueError(f"domino {domino} is not legal at the root of tree {tree}")
        for d in range(domino):
            edge += legal >> d & 1
        return zf_tree_advance(&self.trees[tree], edge)

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
        hands, children = np.zeros((n, 4), np.uint32), np.zeros((n, 7), np.uint16)
        for w in range(n):
            world = self.trees[tree].worlds[w]
            hands[w] = world.hands
            children[w] = [_node(child) for child in world.child]
        return hands, children


def _node(child):
    return child if child < ZF_FIRST_ENDING else 0
