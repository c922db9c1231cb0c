"""The two ends of the v2 network on the CPU: its features and first layer, its answers."""

import numpy as np

def feature_bits(obs: np.ndarray) -> np.ndarray:
    """The 856 bits of each observation, packed.

    Args:
        obs: OBS_DTYPE [B].

    Returns:
        uint8 [B, 107]; bit f of an observation is bit f % 8 of byte f // 8 of its row.

    Raises:
        ValueError: an observation is not one of a seat to play.
    """

def first_layer(obs: np.ndarray, table: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
    """The first layer: ``bias`` plus the rows of ``table`` whose bits are set.

    Added in the order of the bits, in float32. Releases the GIL.

    Args:
        obs: OBS_DTYPE [B].
        table: float32 [856, W], C-contiguous; W is a multiple of 16.
        bias: float32 [W].
        out: float32 [B, W], C-contiguous, written.

    Raises:
        ValueError: shapes that do not fit, or an observation that is not one of a seat to play.
    """

def answers(obs: np.ndarray, scores: np.ndarray, out: np.ndarray) -> None:
    """From the last layer's scores to priors and a value. Releases the GIL.

    Args:
        obs: OBS_DTYPE [B].
        scores: float32 [B, 71], C-contiguous: logits of the 28 dominoes, then of 0..42 points.
        out: float32 [B, 8], C-contiguous, written: seven priors over the legal slots and the
            chance of more than 21 points less that of fewer; NaN where scores are not finite.

    Raises:
        ValueError: shapes that do not fit.
    """
