"""Games side by side that a teacher labels; observations out, finished games back."""

from libc.stdint cimport int64_t


TEACHERS = ("exact", "rollout")


cdef class LabelledGames(RunningGames):
    """n_games games at once, numbered first_game, first_game + stride, ..., until a limit.

    A game and its labels depend only on (seed, its number, the options, the evaluations): never on
    how many run beside it.
    """

    def __cinit__(self, *args, **kwargs):
        self.games = NULL

    def __init__(self, Py_ssize_t n_games, *, teacher, seed, first_game=0, stride=1, n_worlds=0,
                 label_share=1.0, temperature=1.0, explore=0.0, exact_tricks=0):
        cdef zf_labelling_config config
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
        self.games = zf_labelling_new(&config)
        if self.games == NULL:
            raise MemoryError(f"no memory for {n_games} games with {n_worlds} worlds a decision")
        self.queue, self.room = zf_labelling_queue(self.games), zf_labelling_room(&config)

    def __dealloc__(self):
        zf_labelling_free(self.games)

    cdef size_t _select(self, zf_obs *obs) noexcept nogil:
        return zf_labelling_select(self.games, obs)

    cdef int64_t _update(self, const float *evals) noexcept nogil:
        return zf_labelling_update(self.games, evals)

    def clear_cache(self):
        """Drop what evaluations have shown of games under way: those to come are another network's."""
        zf_labelling_clear_cache(self.games)

    def counts(self):
        """Totals since the start: games, plays, labels, rollouts, evaluations, solver_calls."""
        cdef zf_labelling_counts counts
        zf_labelling_counts_of(self.games, &counts)
        return counts

    @property
    def nbytes(self):
        """Memory of games, rollouts and the solver in bytes."""
        return zf_labelling_bytes(self.games)
