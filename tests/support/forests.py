"""Forests searched to their end."""

from __future__ import annotations

import numpy as np
from slow_tree import hashed_evaluate

from zebfast.core.forest import Forest
from zebfast.core.observe import uniform_evaluate
from zebfast.core.records import OBS_DTYPE


def run(forest: Forest, *, hashed: bool = True) -> None:
    """Every search of a forest, with the stand-in for a network or the constant evaluator."""
    leaves, evals = np.zeros(len(forest), OBS_DTYPE), np.zeros((len(forest), 8), np.float32)
    while n := forest.select(leaves):
        if hashed:
            evals[:n] = hashed_evaluate(leaves[:n])
        else:
            uniform_evaluate(leaves[:n], evals[:n])
        forest.update(evals[:n])
