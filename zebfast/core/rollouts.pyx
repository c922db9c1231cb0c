"""Rollouts: games that go on side by side, forced plays made, each until so many plays are made."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

import numpy as np

from zebfast.core.records import OBS_DTYPE


def laid_out(GameBatch games, rows, hands):
    """Games in which the dominoes still held lie as in the worlds given: a batch of k * n games."""
    cdef const int64_t[::1] r = games._rows(rows)
    cdef const uint32_t[:, :, ::1] h = np.ascontiguousarray(hands, np.uint32)
    cdef Py_ssize_t i, j, k = h.shape[0], n = h.shape[1]
    if k != r.shape[0] or h.shape[2] != 4:
        raise ValueError(f"hands has shape [{k}, {n}, {h.shape[2]}], not [{r.shape[0]}, n, 4]")
    cdef GameBatch out = games.take(np.repeat(np.asarray(r), n))
    for i in range(k):
        for j in range(n):
            if not zf_worlds_fit(&games.states[r[i]], &h[i, j, 0]):
                raise ValueError(f"game {r[i]}: layout {j} does not deal out the dominoes still "
                                 "held there, each seat as many as it holds")
            zf_worlds_apply(&out.states[i * n + j], &h[i, j, 0])
    return out


def rewound(GameBatch games, int n_plays):
    """Every game as it was after its first n_plays plays, with the same dominoes dealt."""
    cdef GameBatch out = games.copy()
    cdef Py_ssize_t i
    for i in range(out.size):
        if not 0 <= n_plays <= out.states[i].n_plays:
            raise ValueError(f"game {i} has {out.states[i].n_plays} plays, not {n_plays}")
        zf_rewind(&out.states[i], n_plays)
    return out


cdef class RolloutGames:
    """Copies of games that go on side by side; a rollout is a row of `games`."""

    def __init__(self, GameBatch games, *, until=28):
        plays = np.asarray(until)
        if plays.dtype.kind not in "iu" or (plays.size and not 0 <= plays.min() <= plays.max() <= 28):
            raise ValueError("rollouts run until a number of plays, 0 to 28, is made")
        if plays.shape not in ((), (games.size,)):
            raise ValueError(f"until has shape {list(plays.shape)}, not [{games.size}]")
        self.games = games.copy()
        self.until = np.ascontiguousarray(np.broadcast_to(plays, games.size), np.uint8)
        self.live = np.arange(games.size)
        self.n_live = games.size

    def __len__(self):
        return self.games.size

    @property
    def waiting(self):
        return np.array(self.live[:self.n_live if self.waiting_now else 0])

    def advance(self, obs):
        """Make the forced plays of every rollout, and observe where there is a choice."""
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
        """The waiting rollouts marked, bool [m], go no further."""
        marked = np.asarray(which)
        if marked.dtype != np.bool_ or marked.shape != (self.n_live if self.waiting_now else 0,):
            raise ValueError(f"which has shape {list(marked.shape)} of {marked.dtype}, but "
                             f"{self.n_live if self.waiting_now else 0} rollouts wait for a play")
        live = np.asarray(self.live)
        kept = live[:marked.size][~marked]
        live[:kept.size] = kept
        self.n_live = kept.size

    def play_greedy(self, const float[:, ::1] evals):
        """Every waiting rollout plays its legal slot of the largest prior, the lowest of equals."""
        if evals.shape[1] != 8:
            raise ValueError(f"evals are 8 a rollout, not {evals.shape[1]}")
        self._answered(evals.shape[0])
        if self.n_live:
            with nogil:
                zf_rollouts_greedy(self.games.states, &self.live[0], <size_t>self.n_live,
                                   &evals[0, 0])
