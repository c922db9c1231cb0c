"""Games side by side that a teacher labels; observations out, finished games back."""

from libc.stdint cimport int64_t

from zebfast.core.selfplay import MOST_GAMES

from zebfast.core.options cimport label_options


cdef class LabelledGames(RunningGames):
    """LabelledGames(n_games, *, options, seed, first_game=0, stride=1, given=False)

    n_games games at once, numbered first_game, first_game + stride, ..., until a limit.

    A game and its labels depend only on (seed, its number, the options, the evaluations): never on
    how many run beside it. One select solves for some milliseconds at most.

    Deals come from stream 0 of the seed, plays from 1, random plays from 2, worlds from 5, which
    decisions are labelled from 9. The records' policy holds labels as zebfast.selfplay.play_values
    packs them.

    Args:
        options: TeachingOptions. A rollout of the deal itself that the game then follows is not
            played again; and no decision of a hand whose contract is decided is labelled.
        given: nothing is dealt; `begin` says what games begin with.
    """

    def __cinit__(self, Py_ssize_t n_games, *, options, seed, first_game=0, stride=1, given=False):
        cdef zf_labelling_config config
        if not 0 < n_games <= MOST_GAMES or stride < 1:
            raise ValueError(f"n_games is {n_games} and stride {stride}, but both must be 1 or more, "
                             f"games at most {MOST_GAMES}")
        config.seed = seed & 0xFFFFFFFFFFFFFFFF
        config.first_game = first_game
        config.stride = stride
        config.n_games = n_games
        config.labels = label_options(options)
        self.games = zf_labelling_new(&config)
        if self.games == NULL:
            raise MemoryError(f"no memory for {n_games} games with {options.n_worlds} worlds a decision")
        self.queue, self.room = zf_labelling_queue(self.games), zf_labelling_room(&config)
        self.queue.given = given

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
