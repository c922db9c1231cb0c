"""Rollouts: games that go on side by side, forced plays made, each until so many plays are made.

    rollouts = RolloutGames(games)
    while not rollouts.run(network, seconds=0.05):
        pass

With a network of the core that is all: what everybody would play is asked and played in C. Any
other evaluator is asked a batch at a time:

    obs, evals = np.empty(len(games), OBS_DTYPE), np.empty((len(games), 8), np.float32)
    while n := rollouts.advance(obs):
        evaluator.evaluate(obs[:n], evals[:n])
        rollouts.play_greedy(evals[:n])

The GIL is released while rollouts run or advance.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

import numpy as np

from zebfast.core.arrays import integers
from zebfast.core.policy import IllegalAnswer
from zebfast.core.records import OBS_DTYPE

from zebfast.core.engine cimport ZF_N_PLIES, zf_over
from zebfast.core.network cimport Network
from zebfast.core.policy cimport PolicyFunction, PolicyRun
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


def past_choices(GameBatch games not None):
    """What seats saw at the choices that they have made so far; those of the seats to play left out.

    Returns:
        (obs, asked): every distinct observation once, OBS_DTYPE [m], in the order in which games
        and their plays come to them; and int32 [n, 28] by game and ply, 8 times the number of the
        observation plus the slot that was played, which is that prior's place in an evaluator's
        [m, 8]; -1 where nobody else chose.
    """
    cdef Py_ssize_t i, n_plays = 0, n_places = 2
    for i in range(games.size):
        n_plays += games.states[i].n_plays
    while n_places <= 2 * n_plays:
        n_places *= 2
    obs = np.empty(n_plays + 1, OBS_DTYPE)
    asked = np.empty((games.size, ZF_N_PLIES), np.int32)
    cdef uint8_t[::1] raw = obs.view(np.uint8)
    cdef int32_t[:, ::1] places = asked
    cdef uint32_t[::1] table = np.empty(n_places, np.uint32)
    if games.size == 0:
        return obs[:0], asked
    with nogil:
        n_plays = <Py_ssize_t>zf_past_choices(
            games.states, <size_t>games.size, <zf_obs *>&raw[0], <int32_t (*)[28]>&places[0, 0],
            &table[0], <size_t>n_places)
    return obs[:n_plays], asked


cdef class RolloutGames:
    """RolloutGames(games, *, until=28)

    Copies of games that go on side by side; a rollout is a row of ``games``, as they stand.

    Args:
        until: plays after which a rollout stops, 0..28, int [n] or one for all. TypeError for other
            numbers, ValueError for other sizes or shapes.
    """

    def __cinit__(self, GameBatch games not None, *, until=ZF_N_PLIES):
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
        for i in range(self.n_live if self.waiting_now else 0):
            if zf_over(&self.games.states[self.live[i]]):
                raise ValueError(f"rollout {self.live[i]} is over: somebody played in its game")
        self._answered(evals.shape[0])
        if self.n_live:
            with nogil:
                zf_rollouts_greedy(self.games.states, &self.live[0], <size_t>self.n_live,
                                   &evals[0, 0])

    def run(self, Network network not None, *, double seconds, values=None, model=None):
        """Roll out by a network of the core: every choice is the one that play_greedy would make.

        Args:
            network: its answers hang on nothing but each observation.
            seconds: after which it returns at the latest, give or take a batch. One is asked.
            values: (players, since, value), uint8 [n], uint8 [n] and float32 [n], C-contiguous, or
                None. A rollout then stops at its player's first choice once `since` plays are made,
                and the network's value of that choice is written; the others' is left as it is.
            model: (function, players, bid, run), a PolicyFunction that chooses for the opponents of
                these players, uint8 [n], C-contiguous, instead; the bid that it is told of a hand
                without a contract, 30..42; and a PolicyRun, whose `at` is a row of ``games``. Its
                random number is draw n_plays of (0, EVAL_PLAY, a number made of what the seat
                sees). Or None.

        Returns:
            True when all rollouts have stopped.

        Raises:
            FloatingPointError: an answer of the network is not finite; those who wait still do.
            IllegalAnswer: one of the model's is not legal; the rollout stands where it was asked.
            ValueError: values or players of another shape, or no bid.
            RuntimeError: rollouts still wait for plays.
        """
        cdef zf_rollout_values v
        cdef zf_rollouts_end end
        cdef size_t n = self.n_live
        cdef const uint8_t[::1] players, since
        cdef float[::1] value
        cdef const zf_rollout_values *ends = NULL
        cdef PolicyFunction function
        cdef PolicyRun asking
        cdef const uint8_t[::1] whose
        cdef zf_rollout_model m
        cdef zf_rollout_model *others = NULL
        if self.waiting_now:
            raise RuntimeError(f"{self.n_live} rollouts still wait for a play")
        if not self.n_live:
            return True
        if values is not None:
            players, since, value = values
            if not players.shape[0] == since.shape[0] == value.shape[0] == self.games.size:
                raise ValueError(f"values are three arrays of {self.games.size}, one for a rollout")
            v.player, v.since, v.value = &players[0], &since[0], &value[0]
            ends = &v
        if model is not None:
            function, whose, bid, asking = model
            if function is None or asking is None:
                raise TypeError("a model is a PolicyFunction, with a PolicyRun")
            if whose.shape[0] != self.games.size:
                raise ValueError(f"the model has {whose.shape[0]} players, but there are "
                                 f"{self.games.size} rollouts")
            if not 30 <= bid <= 42:
                raise ValueError("bids run from 30 to 42")
            m.player, m.players, m.bid, m.run = function.player, &whose[0], bid, &asking.run
            m.player.replaced = 0
            others = &m
        with nogil:
            end = zf_rollouts_run(network.net, self.games.states, &self.until[0], ends, others,
                                  &self.live[0], &n, seconds)
        self.n_live = n
        if others:
            function.player.replaced += m.player.replaced
        if end == ZF_ROLLOUTS_UNUSABLE:
            raise IllegalAnswer(f"the model's answer {asking.run.answer} is not legal in rollout "
                                f"{asking.run.at}")
        if end == ZF_ROLLOUTS_REFUSED:
            raise FloatingPointError("an evaluation is not finite: check the network's weights")
        return end == ZF_ROLLOUTS_DONE
