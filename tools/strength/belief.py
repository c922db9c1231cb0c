"""How well a network knows where the hidden dominoes are, against what counting tells anyone.

Only dominoes in the three other hands are asked for: those in the own hand or played are known, and
to count them makes any belief look good. These answers are compared on the same decisions:

    a third        every seat alike
    possible       every seat alike that may still hold it (did follow, has dominoes left)
    head           the network's belief head as it is
    layouts        the share of the layouts that a search draws: all alike that agree with what is
                   known (none), by the head's chances (head), or by how likely the network would
                   have made the plays seen (play)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strength.states import Answers, States
from zebfast.net.output import N_OTHER_SEATS
from zebfast.rules import N_TRICKS

_LEAST = 1e-6  # a chance below counts as this in the log loss


def beliefs(
    answers: Answers, states: States, *, sources: Sequence[str], worlds: int
) -> dict[str, dict[str, Any]]:
    """Figures of every answer: over all hidden dominoes, over those not known, and by trick.

    sources: what `layouts` were weighed by. worlds: how many they are; one more, spread over the
    seats that are possible, is added, so that none of those gets a chance of 0.
    """
    possible = states.open / np.maximum(states.open.sum(axis=2, keepdims=True), 1)
    said: dict[str, NDArray[Any]] = {
        "a third": np.full(states.open.shape, 1 / N_OTHER_SEATS, np.float32),
        "possible": possible.astype(np.float32),
    }
    if answers.belief is not None:
        said["head"] = answers.belief.astype(np.float32)
    for number, source in enumerate(sources):
        shares = worlds * states.layouts[:, number] + possible.astype(np.float32)
        said[f"layouts, {source}"] = shares / (worlds + 1)
    return {name: _figures(chances, states) for name, chances in said.items()}


def _figures(chances: NDArray[Any], states: States) -> dict[str, Any]:
    at, domino = np.nonzero(states.hidden)
    score = Scores(chances[at, domino], states.dealt[at, domino], states.deals[at])
    unknown = states.open[at, domino].sum(axis=1) > 1
    tricks = states.tricks[at]
    return {
        "hidden": score.figures(),
        "unknown": score.of(unknown).figures(),
        "tricks": [
            {"trick": trick, **score.of(of).figures()}
            for trick in range(1, N_TRICKS + 1)
            if (of := (tricks == trick) & unknown).any()
        ],
    }


class Scores:
    """Chances f4[n, 3] for n dominoes, the seats intp[n] that have them, and deals int64[n]."""

    def __init__(
        self, chances: NDArray[Any], truth: NDArray[np.int64], deals: NDArray[np.int64]
    ) -> None:
        self.chances, self.truth, self.deals = chances, truth, deals

    def of(self, some: NDArray[np.bool_]) -> Scores:
        """Those of a part."""
        return Scores(self.chances[some], self.truth[some], self.deals[some])

    def figures(self) -> dict[str, Any]:
        """Accuracy of the likeliest seat (where k are equal, each counts a k-th), Brier score as
        a mean over the three seats (0.222 for a third each), log loss in nats, and the gap between
        how sure the likeliest seat was and how often it was right."""
        right_one = np.take_along_axis(self.chances, self.truth[:, None], axis=1)[:, 0]
        top = self.chances.max(axis=1)
        equal = self.chances >= top[:, None] - 1e-6
        hit = np.where(right_one >= top - 1e-6, 1.0 / equal.sum(axis=1), 0.0)
        accuracy, error = clustered_mean(hit, self.deals)
        squares = (self.chances.astype(np.float64) ** 2).sum(axis=1) - 2 * right_one + 1
        return {
            "dominoes": len(hit),
            "accuracy": round(accuracy, 5),
            "accuracy_se": round(error, 5),
            "brier": round(float(squares.mean()) / N_OTHER_SEATS, 5),
            "log_loss": round(float(-np.log(np.maximum(right_one, _LEAST)).mean()), 5),
            "overconfident": round(float(top.mean()) - accuracy, 5),
        }


def clustered_mean(values: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
    """Mean and its standard error where values of one group are not independent."""
    mean = float(values.mean())
    _, row = np.unique(groups, return_inverse=True)
    sums = np.bincount(row, values - mean)
    return mean, float(np.sqrt((sums**2).sum())) / len(values)
