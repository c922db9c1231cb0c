"""Rollouts: games that go on side by side, forced plays made, each until so many plays are made.

    rollouts = RolloutGames(games)
    obs, evals = np.empty(len(games), OBS_DTYPE), np.empty((len(games), 8), np.float32)
    while n := rollouts.advance(obs):
        evaluator.evaluate(obs[:n], evals[:n])
        rollouts.play_greedy(evals[:n])

The GIL is released while rollouts advance.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

import numpy as np

from zebfast.core.arrays import integers
from zebfast.core.records import OBS_DTYPE

from zebfast.core.engine cimport ZF_N_PLIES, zf_rewind
from zebfast.core.worlds cimport layouts_of, refuse_misfit, zf_worlds_apply, zf_worlds_fit


def laid_out(GameBatch games not None, rows, hands):
    """Games in which the dominoes still held lie as in the worlds given: a batch of k * n games.

    Plays, points and the trick on the table stay. World j of listed game i is game i * n + j.

    Args:
        games: any number of games.
        rows: which of them, k in all; None for all.
        hands: uint32 [k, n, 4], as worlds.sample_worlds gives them.

    Raises:
        ValueError: a layout does not deal out the dominoes still held in its game (voids are not
            looked at), or a shape does not fit.
        IndexError: a row is out of range.
    """
    cdef const int64_t[::1] r = games._rows(rows)
    cdef const uint32_t[:, :, ::1] h = layouts_of(hands, r.shape[0])
    cdef Py_ssize_t i, j, n = h.shape[1]
    cdef GameBatch out = games.take(np.repeat(np.asarray(r), n))
    for i in range(h.shape[0]):
        for j in range(n):
            if not zf_worlds_fit(&games.states[r[i]], &h[i, j, 0]):
                refuse_misfit(r[i], j)
            zf_worlds_apply(&out.states[i * n + j], &h[i, j, 0])
    return out


def rewound(GameBatch games not None, int n_plays):
    """Every game as it was after its first n_plays plays, with the same dominoes dealt.

    Raises ValueError for a game with fewer plays.
    """
    cdef GameBatch out = games.copy()
    cdef Py_ssize_t i
    for i in range(out.size):
        if not 0 <= n_plays <= out.states[i].n_plays:
            raise ValueError(f"game {i} has {out.states[i].n_plays} plays, not {n_plays}")
        zf_rewind(&out.states[i], n_plays)
    return out


cdef class RolloutGames:
    """Copies of games that go on side by side; a rollout is a row of ``games``, as they stand."""

    def __init__(self, GameBatch games not None, *, until=ZF_N_PLIES):
        """until: plays after which a rollout stops, 0..28, int [n] or one for all.

        TypeError for other numbers, ValueError for other sizes or shapes.
        """
        plays = integers("until", until, (games.size,))
        if games.size and not 0 <= plays.min() <= plays.max() <= ZF_N_PLIES:
            raise ValueError(f"rollouts run until a number of plays, 0 to {ZF_N_PLIES}, is made")
        self.games = games.copy()
        self.until = np.array(plays, np.uint8)
        self.live = np.arange(games.size)
        self.n_live = games.size

    def __len__(self):
        """Number of rollouts."""
        return self.games.size

    @property
    def waiting(self):
        """Rollouts that the last advance gave an observation of, ascending, int64 [m]."""
        return np.array(self.live[:self.n_live if self.waiting_now else 0])

    def advance(self, obs):
        """Make the forced plays of every rollout, and observe where there is a choice.

        Args:
            obs: OBS_DTYPE, contiguous, with room for every rollout; the first m are written.

        Returns:
            m, how many rollouts wait for a play, in ascending order; 0 when all have stopped.

        Raises:
            ValueError: obs is something else or too short.
            RuntimeError: rollouts still wait for plays.
        """
        cdef uint8_t[::1] raw
        if self.waiting_now:
            raise RuntimeError(f"{self.n_live} rollouts still wait for a play")
        if obs.dtype != OBS_DTYPE or obs.ndim != 1 or not obs.flags.c_contiguous:
            raise ValueError("obs must be a contiguous vector of observations")
        if len(obs) < self.games.size:
            raise ValueError(f"obs has room for {len(obs)} of {self.games.size} rollouts")
        if not self.n_live:
            return 0
        raw = obs.view(np.uint8)
        with nogil:
            self.n_live = <Py_ssize_t>zf_rollouts_advance(
                self.games.states, &self.until[0], &self.live[0], <size_t>self.n_live,
                <zf_obs *>&raw[0])
        self.waiting_now = self.n_live > 0
        return self.n_live

    cdef _answered(self, Py_ssize_t n):
        """Plays have come for n rollouts."""
        if n != (self.n_live if self.waiting_now else 0):
            raise ValueError(f"there are plays for {n} rollouts, but "
                             f"{self.n_live if self.waiting_now else 0} wait for one")
        self.waiting_now = False

    def leave(self, which):
        """The waiting rollouts marked, bool [m], stop where they are; the others wait on.

        ValueError for another shape or dtype.
        """
        marked = np.asarray(which)
        if marked.dtype != np.bool_ or marked.shape != (self.n_live if self.waiting_now else 0,):
            raise ValueError(f"which has shape {list(marked.shape)} of {marked.dtype}, but "
                             f"{self.n_live if self.waiting_now else 0} rollouts wait for a play")
        live = np.asarray(self.live)
        kept = live[:marked.size][~marked]
        live[:kept.size] = kept
        self.n_live = kept.size

    def play_greedy(self, const float[:, ::1] evals not None):
        """Every waiting rollout plays its legal slot of the largest prior, the lowest of equals.

        evals: float32 [m, 8], as evaluators fill it. ValueError for another shape.
        """
        if evals.shape[1] != 8:
            raise ValueError(f"evals are 8 a rollout, not {evals.shape[1]}")
        self._answered(evals.shape[0])
        if self.n_live:
            with nogil:
                zf_rollouts_greedy(self.games.states, &self.live[0], <size_t>self.n_live,
                                   &evals[0, 0])
