"""Games side by side that a teacher labels; observations out, finished games back."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

import numpy as np

from zebfast.core.records import OBS_DTYPE


TEACHERS = ("exact", "rollout")


cdef class TaughtGames(FinishedGames):
    """n_games games at once, numbered first_game, first_game + stride, ..., until a limit.

    A game and its labels depend only on (seed, its number, the options, the evaluations): never on
    how many run beside it.
    """

    def __cinit__(self, *args, **kwargs):
        self.games = NULL

    def __init__(self, Py_ssize_t n_games, *, teacher, seed, first_game=0, stride=1, n_worlds=0,
                 label_share=1.0, temperature=1.0, explore=0.0, exact_tricks=0):
        cdef zf_teaching_config config
        if n_games < 1 or stride < 1:
            raise ValueError(f"n_games is {n_games} and stride {stride}, but both must be 1 or more")
        if teacher not in TEACHERS:
            raise ValueError(f"teacher is {teacher!r}, but must be {' or '.join(TEACHERS)}")
        if n_worlds < 0 or not 0 <= exact_tricks <= 7:
            raise ValueError(f"n_worlds is {n_worlds} and exact_tricks {exact_tricks}, but must be 0 "
                             "or more and 0 to 7")
        config.seed = seed & 0xFFFFFFFFFFFFFFFF
        config.first_game = first_game
        config.stride = stride
        config.n_games = n_games
        config.n_worlds = n_worlds
        config.teacher = ZF_TEACHER_EXACT if teacher == "exact" else ZF_TEACHER_ROLLOUT
        config.label_share = label_share
        config.temperature = temperature
        config.explore = explore
        config.exact_tricks = exact_tricks
        self.games = zf_teaching_new(&config)
        if self.games == NULL:
            raise MemoryError(f"no memory for {n_games} games with {n_worlds} worlds a decision")
        self.room, self.n_waiting = zf_teaching_room(&config), 0

    def __dealloc__(self):
        zf_teaching_free(self.games)

    cdef _set_limit(self, uint64_t limit, zf_game *records, uint8_t *done, uint64_t capacity):
        zf_teaching_limit(self.games, limit, records, done, capacity)

    def select(self, obs):
        """Run games and rollouts until they need the network, or have solved for some milliseconds.

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
            n = zf_teaching_select(self.games, <zf_obs *>&raw[0])
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
            bad = zf_teaching_update(self.games, &e[0, 0])
        if bad >= 0:
            raise FloatingPointError(
                f"the evaluation of observation {bad} is not finite: check the network's weights")
        self.n_waiting = 0

    def forget(self):
        """Drop what evaluations have shown of games under way: those to come are another network's."""
        zf_teaching_forget(self.games)

    def counts(self):
        """Totals since the start: games, plays, labels, rollouts, evaluations, solver_calls."""
        cdef zf_teaching_counts counts
        zf_teaching_counts_of(self.games, &counts)
        return counts

    @property
    def nbytes(self):
        """Memory of games, rollouts and the solver in bytes."""
        return zf_teaching_bytes(self.games)
