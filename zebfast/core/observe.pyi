"""Finished games to training examples, and the constant evaluator."""

import numpy as np

def games_to_examples(games: np.ndarray) -> np.ndarray:
    """28 examples of each finished game, game by game, ply 0 first.

    Args:
        games: GAME_DTYPE [G].

    Returns:
        EXAMPLE_DTYPE [28 G]; value is +1, -1 or 0 by points for the side of the seat to play, and
        that side's final points are in the flags.

    Raises:
        ValueError: a game is no legal game; the sentence names it and the rule.
    """

def uniform_evaluate(obs: np.ndarray, out: np.ndarray) -> None:
    """The constant evaluator: uniform priors over legal slots, value 0.

    Args:
        obs: OBS_DTYPE [B].
        out: float32 [B, 8], written: seven priors by slot and the value.
    """
