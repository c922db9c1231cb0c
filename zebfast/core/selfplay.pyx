"""Games of self-play side by side, a search tree each; leaves out, finished games back."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

import numpy as np

from zebfast.core.arrays import raw_bytes
from zebfast.core.forest import check_worlds
from zebfast.core.policy import IllegalAnswer
from zebfast.core.records import GAME_DTYPE, OBS_DTYPE

from zebfast.core.engine cimport Game, zf_state
from zebfast.core.network cimport Network, zf_net_evaluate
from zebfast.core.observe cimport ZF_GAME_OK, zf_game, zf_game_start
from zebfast.core.options cimport search_struct
from zebfast.core.policy cimport PolicyRun


#: Games side by side, as C counts them.
MOST_GAMES = (1 << 31) - 1
_NO_GAMES = np.zeros(0, GAME_DTYPE)


cdef inline void lap(Spent *spent, double *part, double *part_on_core) noexcept nogil:
    """What was done since the last lap was this part."""
    cdef double wall = zf_now(), core = zf_on_core()
    part[0] += wall - spent.wall
    part_on_core[0] += core - spent.core
    spent.wall, spent.core = wall, core


cdef class RunningGames:
    """Games side by side that wait for evaluations together; they end in any order.

    Not safe for use by two threads at once. A subclass sets ``queue`` and ``room``, and runs them.
    """

    def __cinit__(self, *args, **kwargs):
        self.queue, self.room, self.n_waiting = NULL, 0, 0
        self.capacity, self.limit, self.taken = 0, 0, 0
        self.records = np.zeros(0, GAME_DTYPE)
        self.done = np.zeros(0, np.uint8)
        if type(self) is RunningGames:
            raise TypeError("these are no games: make a SelfPlayForest or LabelledGames")

    cdef size_t _select(self, zf_obs *obs) noexcept nogil:
        return 0  # overridden, as below: here are no games

    cdef int64_t _update(self, const float *evals) noexcept nogil:
        return -1

    cdef bint _refused(self) noexcept nogil:
        return False  # overridden where others are asked, too

    cdef _expect_legal(self):
        if self._refused():
            raise IllegalAnswer("an answer of the opponent is not legal")

    def allow(self, limit):
        """Let games be started up to, not including, this number in the queue.

        Must not shrink, nor be said where games are given: `begin` allows those (ValueError). Room
        for records grows with it; what is finished stays.
        """
        if self.queue != NULL and self.queue.given:
            raise ValueError("games that are given are allowed by begin")
        self._allow(limit)

    def begin(self, starts):
        """Let the next games be started as these begin: hands, declaration, leader and contract.

        Args:
            starts: GAME_DTYPE [n]; their plays and policies do not count.

        Raises:
            ValueError: games are not given, or one is no deal; then none of them may be started.
        """
        cdef const uint8_t[::1] raw = raw_bytes(starts, GAME_DTYPE, "starts")
        cdef const zf_game *first
        cdef zf_state state
        cdef int64_t i, n = len(starts), old = self.limit
        if self.queue == NULL or not self.queue.given:
            raise ValueError("games that are dealt are not given")
        if not n:
            return
        first = <const zf_game *>&raw[0]
        for i in range(n):
            if zf_game_start(&state, &first[i]) != ZF_GAME_OK:
                raise ValueError(f"start {i} is no deal, or has a contract that cannot be")
        self._allow(old + n)
        self.records[np.arange(old, old + n) % self.capacity] = starts

    @property
    def n_unstarted(self):
        """Games that may be started and are not."""
        return 0 if self.queue == NULL else self.limit - <int64_t>self.queue.next

    cdef _allow(self, limit):
        cdef int64_t number, wanted = limit
        if self.queue == NULL:
            raise TypeError("these are no games: make a SelfPlayForest or LabelledGames")
        if wanted < self.limit:
            raise ValueError(f"the limit must not shrink from {self.limit} to {wanted}")
        needed = wanted - self.taken
        if needed > self.capacity:
            records, done = np.zeros(needed, GAME_DTYPE), np.zeros(needed, np.uint8)
            for number in range(self.taken, self.taken + self.capacity):
                records[number % needed] = self.records[number % self.capacity]
                done[number % needed] = self.done[number % self.capacity]
            self.records, self.done, self.capacity = records, done, needed
        self.limit = wanted  # once there is room for its records
        if not self.capacity:
            return
        cdef uint8_t[::1] raw = self.records.view(np.uint8)
        zf_game_queue_limit(
            self.queue, wanted, <zf_game *>&raw[0], &self.done[0], self.capacity)

    def select(self, obs):
        """Run the games to where they need the network, playing as many dominoes as that takes.

        Args:
            obs: OBS_DTYPE [room], written from the front. The GIL is released.

        Returns:
            Number of observations; 0 = all allowed games are finished.
        """
        if obs.dtype != OBS_DTYPE or len(obs) < self.room:
            raise ValueError(f"obs must hold {self.room} records of {OBS_DTYPE.itemsize} bytes")
        cdef uint8_t[::1] raw = obs.view(np.uint8)
        cdef size_t n
        if self.n_waiting:
            raise ValueError(f"{self.n_waiting} observations still wait for their evaluations")
        with nogil:
            n = self._select(<zf_obs *>&raw[0])
        self._expect_legal()
        self.n_waiting = n
        return n

    def update(self, evals):
        """Apply the evaluations of the last select's observations, float32 [n, 8], in order.

        Raises:
            FloatingPointError: an evaluation is not finite; nothing was applied.
        """
        cdef const float[:, ::1] e = evals
        cdef int64_t bad
        if e.shape[0] < self.n_waiting or e.shape[1] != 8:
            raise ValueError(f"evaluations have shape {evals.shape}, not [{self.n_waiting}, 8]")
        if self.n_waiting == 0:
            return
        with nogil:
            bad = self._update(&e[0, 0])
        if bad >= 0:
            raise FloatingPointError(
                f"the evaluation of observation {bad} is not finite: check the network's weights")
        self.n_waiting = 0

    @property
    def waiting(self):
        """Observations of the last select, or run, that wait for their evaluations."""
        return self.n_waiting

    cdef bint _finished(self, int64_t n) noexcept nogil:
        """Whether the games up to number n of the queue, not including it, are finished."""
        cdef int64_t number
        for number in range(self.taken, min(n, self.limit)):
            if not self.done[number % self.capacity]:
                return False
        return n <= self.limit

    cdef Spent _run(self, zf_net *net, zf_obs *obs, float *evals, double seconds,
                    int64_t until) noexcept nogil:
        cdef Spent spent
        cdef double ends = zf_now() + seconds
        cdef size_t n
        memset(&spent, 0, sizeof(spent))
        spent.wall, spent.core = zf_now(), zf_on_core()
        while True:
            n = self._select(obs)
            self.n_waiting = n
            lap(&spent, &spent.trees, &spent.trees_on_core)
            spent.finished = n == 0
            if n == 0 or zf_net_evaluate(net, obs, n, evals) < n:
                return spent
            lap(&spent, &spent.evaluator, &spent.evaluator_on_core)
            if self._update(evals) >= 0:
                return spent
            self.n_waiting = 0
            spent.batches += 1
            lap(&spent, &spent.trees, &spent.trees_on_core)
            if spent.wall >= ends or self._finished(until):
                return spent

    def run(self, Network network not None, obs, float[:, ::1] evals not None, *, double seconds,
            int64_t until):
        """Select, ask a network of the core and update, again and again; the GIL is released.

        Games and counts are those of as many calls of select and update. If an answer is not finite
        it stops with that batch `waiting` in obs, for whoever is to say so.

        Args:
            network: its answers hang on nothing but each observation.
            obs, evals: OBS_DTYPE [room] and float32 [room, 8], C-contiguous, which it writes.
            seconds: after which it returns, give or take a batch. One is asked.
            until: it returns, too, once the games below this number of the queue are finished.

        Returns:
            (more, spent): False when all allowed games are finished; and a dict of the batches that
            were asked and the seconds of trees and evaluator by the wall's clock and, as
            trees_on_core and evaluator_on_core, of this thread on a core.
        """
        if obs.dtype != OBS_DTYPE or len(obs) < self.room:
            raise ValueError(f"obs must hold {self.room} records of {OBS_DTYPE.itemsize} bytes")
        if evals.shape[0] < self.room or evals.shape[1] != 8:
            raise ValueError(f"evals must have shape [{self.room}, 8]")
        if self.n_waiting:
            raise ValueError(f"{self.n_waiting} observations still wait for their evaluations")
        cdef uint8_t[::1] raw = obs.view(np.uint8)
        cdef Spent spent
        with nogil:
            spent = self._run(network.net, <zf_obs *>&raw[0], &evals[0, 0], seconds, until)
        self._expect_legal()
        return not spent.finished, {
            "batches": spent.batches, "trees": spent.trees, "evaluator": spent.evaluator,
            "trees_on_core": spent.trees_on_core, "evaluator_on_core": spent.evaluator_on_core}

    def take(self):
        """Finished games in order of their number, up to the first unfinished one: GAME_DTYPE [k]."""
        cdef int64_t end = self.taken
        while end < self.limit and self.done[end % self.capacity]:
            end += 1
        if end == self.taken:  # at nearly every step; what follows would cost it microseconds
            return _NO_GAMES
        at = np.arange(self.taken, end) % self.capacity
        games = self.records[at]
        np.asarray(self.done)[at] = 0
        self.taken = end
        return games


cdef class SelfPlayForest(RunningGames):
    """SelfPlayForest(n_trees, *, options, seed, first_game=0, stride=1, worlds='sampled', cache_mb=0, given=False, opponent=None, opponent_share=0.0)

    n_trees games at once, numbered first_game, first_game + stride, ..., until a limit.

    A game depends only on (seed, its number, options, the evaluations of its leaves): never on how
    many run beside it. A game waits for one leaf at a time, none of them in the cache.

    Deals come from stream 0 of the seed unless they are given, plays from 1, root noise from 2 (puct) and 8 (gumbel),
    worlds from 5, which decisions are searched in full from 9.

    Args:
        worlds: one of zebfast.core.forest.WORLDS. On sampled worlds every play has a new tree; on
            the true deal the played subtree is kept.
        cache_mb: MiB for evaluations by information state, which are asked for once; 0 = none. 84
            bytes each, exact on all 44 bytes of an observation, the least used of four makes room.
        given: nothing is dealt; `begin` says what games begin with.
        opponent: a PolicyFunction that plays for one side of some games, whose plays are not
            searched and have no policy target; its random number is draw n_plays of stream 4. An
            answer that is not legal ends all of it: select and run raise IllegalAnswer. ``asking``
            is its PolicyRun, and asking.at the number of its game.
        opponent_share: of the games that it plays in, 0..1; which, and for whom, is drawn from
            stream 9.
    """

    def __cinit__(self, Py_ssize_t n_trees, *, options, seed, first_game=0, stride=1,
                  worlds="sampled", cache_mb=0, given=False, opponent=None, opponent_share=0.0):
        cdef zf_selfplay_config config
        memset(&config, 0, sizeof(config))
        self.opponent, self.asking = opponent, PolicyRun()
        if self.opponent is not None:
            if not 0 <= opponent_share <= 1:
                raise ValueError(f"opponent_share is {opponent_share}, but must be 0 to 1")
            config.opponent, config.opponent_share = self.opponent.player, opponent_share
            config.opponent.replaced = 0
            config.asking = &self.asking.run
        if not 0 < n_trees <= MOST_GAMES:
            raise ValueError(f"n_trees is {n_trees}, but must be 1 to {MOST_GAMES}")
        if stride < 1:
            raise ValueError(f"stride is {stride}, but must be 1 or more")
        check_worlds(worlds)
        config.search = search_struct(options)
        config.seed = seed & 0xFFFFFFFFFFFFFFFF
        config.first_game = first_game
        config.stride = stride
        config.n_trees = n_trees
        config.cache_bytes = cache_mb << 20
        config.worlds = ZF_WORLDS_TRUE if worlds == "true" else ZF_WORLDS_SAMPLED
        self.games = zf_selfplay_new(&config)
        if self.games == NULL:
            raise MemoryError(f"no memory for {n_trees} trees of {options.max_nodes} nodes")
        self.queue, self.room = zf_selfplay_queue(self.games), n_trees
        self.queue.given = given

    def __dealloc__(self):
        zf_selfplay_free(self.games)

    cdef size_t _select(self, zf_obs *leaves) noexcept nogil:
        return zf_selfplay_select(self.games, leaves)

    cdef int64_t _update(self, const float *evals) noexcept nogil:
        return zf_selfplay_update(self.games, evals)

    cdef bint _refused(self) noexcept nogil:
        return zf_selfplay_refused(self.games)

    @property
    def replaced(self):
        """Answers of the opponent that were replaced so far."""
        return zf_selfplay_replaced(self.games)

    def asked(self):
        """The game that the opponent is asked in, or was asked in when it ended, as it stands.

        A Game; ValueError where it never was asked.
        """
        cdef const zf_state *state = zf_selfplay_asked(self.games)
        if state == NULL:
            raise ValueError("no opponent was asked")
        cdef Game game = Game.__new__(Game)
        game.state = state[0]
        return game

    def clear_cache(self):
        """Drop the cached evaluations: those to come are another network's."""
        zf_selfplay_clear_cache(self.games)

    def counts(self):
        """Totals since the start, by the names in forest.COUNTS."""
        cdef zf_counts counts
        zf_selfplay_counts(self.games, &counts)
        return counts

    @property
    def nbytes(self):
        """Memory of the trees, the games and the cache in bytes."""
        return zf_selfplay_bytes(self.games)
