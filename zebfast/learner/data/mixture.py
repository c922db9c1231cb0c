"""The replay mixture of two streams: self-play, and evaluation games as an auxiliary.

Everything that treats them differently is decided here: which buffer a file goes to, which files
are too old, and how batches are mixed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zebfast.core.records import EXAMPLE_DTYPE, EXAMPLE_EVAL_AUX, EXAMPLE_HAS_PLAY_VALUES
from zebfast.learner.config import EvalAuxConfig, TrainerConfig
from zebfast.learner.data.replay import EXAMPLE_BYTES, ReplayBuffer


def chance_to_keep(lag: int, config: EvalAuxConfig) -> float:
    """Probability that an eval-aux file played ``lag`` cycles ago is trained on."""
    lag = max(0, lag)
    if 0 <= config.max_model_lag < lag:
        return 0.0
    return max(config.min_keep_weight, float(0.5 ** (lag / config.lag_half_life)))


def is_kept(name: str, lag: int, config: EvalAuxConfig) -> bool:
    """Is the eval-aux file ``name``, played ``lag`` cycles ago, trained on?

    The draw is a function of the name, so a restart decides alike.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64 < chance_to_keep(lag, config)


@dataclass(frozen=True)
class Batches:
    """Batches for some steps.

    ``rows`` are uint8[n_steps, batch, 64], of which ``n_eval_aux`` are eval-aux ones;
    ``has_teacher`` says whether any has a teacher's action values.
    """

    rows: NDArray[np.uint8]
    n_eval_aux: int
    has_teacher: bool


class ReplayMixture:
    """The replay buffers of both streams and the mixture that batches are drawn from."""

    def __init__(self, config: TrainerConfig) -> None:
        self.config = config.eval_aux
        self.selfplay = ReplayBuffer(config.training.replay_buffer_size)
        self.eval_aux = ReplayBuffer(config.eval_aux.replay_buffer_size, stream=1)

    def add_eval_aux(self, records: NDArray[np.void]) -> None:
        """EXAMPLE_DTYPE[N] of evaluation games; they carry their mark into the batches."""
        marked = records.copy()
        marked["flags"] |= EXAMPLE_EVAL_AUX
        self.eval_aux.add(marked)

    def eval_aux_share(self) -> float:
        """Part of a batch that comes from the eval-aux buffer now."""
        usable = self.config.enabled and len(self.eval_aux)
        return self.config.batch_fraction if usable else 0.0

    def draw(self, *, n_steps: int, batch_size: int, seed: int, step: int) -> Batches:
        """Batches of optimizer steps ``step`` to ``step + n_steps - 1``.

        Step k has floor((k+1) x) - floor(k x) eval-aux rows, x = batch size times share: over any
        run of steps that is the share to within one row. They come after the self-play rows.
        """
        edges = np.floor(np.arange(step, step + n_steps + 1) * (batch_size * self.eval_aux_share()))
        n_eval = np.diff(edges).astype(np.int64)
        rows = np.empty((n_steps, batch_size, EXAMPLE_BYTES), np.uint8)
        from_eval = np.arange(batch_size) >= (batch_size - n_eval)[:, None]
        n_selfplay = batch_size - n_eval
        if n_selfplay.any():
            rows[~from_eval] = self.selfplay.sample(n_selfplay, seed=seed, step=step)
        if n_eval.any():
            rows[from_eval] = self.eval_aux.sample(n_eval, seed=seed, step=step)
        flags = rows.view(EXAMPLE_DTYPE)["flags"]
        return Batches(rows, int(n_eval.sum()), bool((flags & EXAMPLE_HAS_PLAY_VALUES).any()))
