"""Learning from play values: what a teacher says every legal play of a decision is worth.

A play's utility is the mean sign of (final points - 21), which is what deals are won by, plus a
small share of the points themselves, so that plays differ where the deal is decided. A network's
policy logits ARE utilities: ``TAU`` times a logit, up to a constant of the decision, is regressed
on them. So softmax(logits) is the Boltzmann policy at temperature TAU, which searches take as
priors and players sharpen, and a regression does not need many worlds a decision: labels of the
deal itself, one draw from what the player cannot see, have the right mean, which is all it learns.

The value is that of the play the network likes best, which is what it will play.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zebfast.selfplay.play_values import (
    BALANCE_BITS,
    BALANCE_STEPS,
    EPSILON,
    POINT_STEPS,
    POINTS,
    TAU,
)

#: Weights of play values, value (or points) and belief on such examples. The play values are a
#: squared error of some tenths, the others entropies of one to four: they help as side lines.
TAUGHT_WEIGHTS = (1.0, 0.1, 0.05)


class PlayLabels(NamedTuple):
    """Labels of a batch on the device; all 0 in rows without."""

    legal: Tensor  # bool[B, 7]: slots that have a label
    points: Tensor  # float[B, 7]: mean final points of the observer's side, 0..42
    balance: Tensor  # float[B, 7]: mean sign of (final points - 21), -1..1
    has: Tensor  # bool[B]


class OwnPlay(NamedTuple):
    """What the labels say of the play that a network likes best, in rows that have them."""

    points: Tensor  # float[B]
    balance: Tensor  # float[B]
    has: Tensor  # bool[B]: which rows those are


def unpack_labels(packed: Tensor, has: Tensor) -> PlayLabels:
    """Labels int32[B, 7] as selfplay.play_values packs them, in the rows where ``has`` bool[B]."""
    packed = packed * has.unsqueeze(1)
    legal = packed > 0
    points = ((packed >> BALANCE_BITS) - 1).to(torch.float32) / POINT_STEPS
    balance = (packed & (1 << BALANCE_BITS) - 1).to(torch.float32) / BALANCE_STEPS - 1
    return PlayLabels(legal, points * legal, balance * legal, has)


def utilities(labels: PlayLabels) -> Tensor:
    """float[B, 7], 0 where there is no label."""
    return (labels.balance + EPSILON * (2 * labels.points - POINTS)) * labels.legal


def boltzmann(labels: PlayLabels) -> Tensor:
    """The policy float[B, 7] that logits equal to the labels give; 0 in rows without."""
    logits = (utilities(labels) / TAU).masked_fill(~labels.legal, -torch.inf)
    # A row without labels is all -inf, of which softmax makes no numbers.
    return logits.softmax(1).masked_fill(~labels.legal, 0.0)


def play_losses(logits: Tensor, labels: PlayLabels) -> Tensor:
    """Mean squared error of the utilities of a row's legal plays, both about their mean.

    float32[B]: the sum of squares over the free ones, that is legal plays less one.
    """
    legal = labels.legal.to(torch.float32)
    n = legal.sum(1, keepdim=True)
    error = (TAU * logits.float()).masked_fill(~labels.legal, 0.0) - utilities(labels)
    error = (error - error.sum(1, keepdim=True) / n.clamp(min=1)) * legal
    return error.square().sum(1) / (n.squeeze(1) - 1).clamp(min=1)


def own_play(logits: Tensor, labels: PlayLabels) -> OwnPlay:
    """The labels of each row's favourite legal play; no gradient."""
    liked = logits.detach().float().masked_fill(~labels.legal, -torch.inf).argmax(1, keepdim=True)
    points = labels.points.gather(1, liked).squeeze(1)
    return OwnPlay(points, labels.balance.gather(1, liked).squeeze(1), labels.has)


def own_points_loss(log_p: Tensor, points: Tensor) -> Tensor:
    """Cross-entropy float32[B] of mean final points float[B] under log-chances [B, 43].

    A mean between two numbers of points is as much of each as puts the mean there.
    """
    low = points.floor().clamp(max=POINTS - 1)
    share = points - low
    chosen = torch.stack([low, low + 1], 1).to(torch.int64)
    below, above = log_p.gather(1, chosen).unbind(1)
    return -((1 - share) * below + share * above)
