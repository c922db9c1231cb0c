"""The training loss on packed batches, and the diagnostics of a batch.

loss = policy cross-entropy + value squared error + 0.5 x belief cross-entropy. Each is a mean over
the rows (for belief: the dominoes) that carry that target, every row times the weight that its
source has in that loss; a source of weight 0 takes no part in it.

A network that predicts the distribution of final points learns its value by that alone, with the
value's weights: the log-probability of the points where they are known, else of who won. That is a
proper score of the distribution, and the value is a function of it; the squared error is still
reported, to be compared with other networks, but is not differentiated.

Examples with action values, what a teacher says every legal play of a decision is worth, are a
source of their own. A play's utility is the mean sign of (final points - 21), which is what deals
are won by, plus a small share of the points themselves, so that plays differ where the deal is
decided. With a contract it is that of making or setting it, with next to nothing for the points,
which nobody is paid for. A network's policy logits ARE utilities: ``TAU`` times a logit, up to a
constant of the decision, is regressed on them, with the policy's weight. So softmax(logits) is the
Boltzmann policy at temperature TAU, which searches take as priors and players sharpen, and a
regression does not need many worlds a decision: labels of the deal itself, one draw from what the
player cannot see, have the right mean, which is all it learns. Their cross-entropy is reported
only, and their value is that of the play the network likes best, which is what it will play.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from zebfast.core.records import (
    CONTRACT_DTYPE,
    EXAMPLE_DTYPE,
    EXAMPLE_EVAL_AUX,
    EXAMPLE_HAS_BELIEF,
    EXAMPLE_HAS_PLAY_VALUES,
    EXAMPLE_HAS_POINTS,
    EXAMPLE_HAS_POLICY,
    OBS_DTYPE,
)
from zebfast.net.output import N_POINTS
from zebfast.net.torch.output import Output
from zebfast.rules import HALF_POINTS, N_DOMINOES, TOTAL_POINTS
from zebfast.selfplay.play_values import (
    BALANCE_BITS,
    BALANCE_STEPS,
    CONTRACT_EPSILON,
    EPSILON,
    POINT_STEPS,
    TAU,
)

SOURCES = ("selfplay", "eval_aux", "taught")
LOSSES = ("policy_loss", "value_loss", "belief_loss", "points_loss", "play_loss")
#: Weights of policy, value (or, in its place, points) and belief for self-play.
SELFPLAY_WEIGHTS = (1.0, 1.0, 0.5)
#: The same where there are action values, whose loss is in the policy's place. That is a squared
#: error of some tenths, the others are entropies of one to four: they help as side lines.
TEACHER_WEIGHTS = (1.0, 0.1, 0.05)

#: Bytes of a packed example by field.
_PLACES = {
    name: slice(place[1], place[1] + place[0].itemsize)
    for name, place in (EXAMPLE_DTYPE.fields or {}).items()
}
#: Where a contract's bid is in them: observations end with the contract, and that begins with it.
_BID_PLACE = OBS_DTYPE.itemsize - CONTRACT_DTYPE.itemsize
_WEIGHT_OF = (0, 1, 2, 1, 0)  # which of those weights each of LOSSES has
_TEACHER = SOURCES.index("taught")
_DOMINO_BITS = np.uint32((1 << N_DOMINOES) - 1).tobytes()  # of a hand's four bytes


class Inputs(Protocol):
    """What a network's ``prepare`` makes of packed observations, as far as the loss reads it."""

    @property
    def in_hand(self) -> Tensor: ...  # bool[B, 7]


T = TypeVar("T", bound=Inputs)


class ActionValues(NamedTuple):
    """Labels of a batch on the device; all 0 in rows without."""

    legal: Tensor  # bool[B, 7]: slots that have a label
    points: Tensor  # float[B, 7]: mean final points of the observer's side, 0..42
    balance: Tensor  # float[B, 7]: mean sign of (final points - 21), or of the contract, -1..1
    has: Tensor  # bool[B]
    per_point: Tensor  # float[B, 1]: utility of one point more than the other side


class GreedyValues(NamedTuple):
    """What the labels say of the play that a network likes best, in rows that have them."""

    points: Tensor  # float[B]
    balance: Tensor  # float[B]
    has: Tensor  # bool[B]: which rows those are


class Batch(NamedTuple, Generic[T]):
    """A batch of B examples on the device, ready for the network and the loss."""

    inputs: T
    policy: Tensor  # float[B, 7], rows sum to 1 (0 without a policy target)
    has_policy: Tensor  # float[B]
    value: Tensor  # float[B]
    belief: Tensor  # int64[B, 28]: 0 left, 1 partner, 2 right
    belief_weight: Tensor  # float[B, 28]: 1 for dominoes of others where beliefs are recorded
    source: Tensor  # float[B, 3]: one-hot, in the order of SOURCES
    points: Tensor  # int64[B]: final points of the observer's side, 0..42; 0 where not known
    has_points: Tensor  # bool[B]
    actions: ActionValues | None  # None: it is known that no row has action values


class Losses(NamedTuple):
    """Losses of a batch, on the device.

    ``total`` is what is differentiated; the others are plain means over the rows that take part
    in them, 0 for a head that is not there. ``sums`` and ``counts`` (float[3, 5], by SOURCES and
    LOSSES) cover all rows with that target, whatever the weights.
    """

    total: Tensor
    policy: Tensor
    value: Tensor
    belief: Tensor
    points: Tensor
    q: Tensor
    sums: Tensor
    counts: Tensor


def unpack_batch(
    packed: Tensor, prepare: Callable[[Tensor], T], *, has_teacher: bool = True
) -> Batch[T]:
    """Packed examples uint8[B, 72] -> Batch, on the device where they are, without a sync.

    ``prepare`` is the network's own: what it reads, from packed observations uint8[B, 44].
    ``has_teacher``: may rows have action values? Runs without a teacher need not pay for them.
    """
    field = {name: packed[:, place] for name, place in _PLACES.items()}
    weights = field["policy"].contiguous().view(torch.int16).to(torch.int32) & 0xFFFF
    flags, points = field["flags"].to(torch.int64).unbind(1)  # EXAMPLE_POINTS_SHIFT is a byte
    value = field["value"].contiguous().view(torch.float32).squeeze(1)
    left = _dominoes(field["left"])
    partner = _dominoes(field["partner"])
    own = _dominoes(packed[:, :4])
    has_belief = (flags & EXAMPLE_HAS_BELIEF).bool().unsqueeze(1)
    is_eval = (flags & EXAMPLE_EVAL_AUX).bool()
    policy = weights / weights.sum(1, keepdim=True).clamp(min=1)
    has_policy = (flags & EXAMPLE_HAS_POLICY).bool()
    actions, source = None, [~is_eval, is_eval, torch.zeros_like(is_eval)]
    if has_teacher:
        has_actions = (flags & EXAMPLE_HAS_PLAY_VALUES).bool()
        contract = packed[:, _BID_PLACE : _BID_PLACE + 1] > 0
        actions = unpack_action_values(weights, has_actions, contract)
        policy = torch.where(has_actions.unsqueeze(1), boltzmann(actions), policy)
        has_policy = has_policy | has_actions
        source = [~(is_eval | has_actions), is_eval & ~has_actions, has_actions]
    return Batch(
        inputs=prepare(field["obs"]),
        policy=policy,
        has_policy=has_policy.to(torch.float32),
        value=value,
        belief=2 - 2 * left - partner,
        belief_weight=((1 - own) * has_belief).to(torch.float32),
        source=torch.stack(source, 1).to(torch.float32),
        points=points.clamp(max=N_POINTS - 1),
        has_points=(flags & EXAMPLE_HAS_POINTS).bool(),
        actions=actions,
    )


def unpack_batches(
    packed: Tensor, prepare: Callable[[Tensor], T], *, has_teacher: bool = True
) -> list[Batch[T]]:
    """``unpack_batch`` of each of uint8[n, B, 72], to the bit, in one go.

    Of a small batch most of the time is that of calling some sixty operators.
    """
    if len(packed) == 1:
        return [unpack_batch(packed[0], prepare, has_teacher=has_teacher)]
    whole = unpack_batch(packed.flatten(0, 1), prepare, has_teacher=has_teacher)
    found: list[Batch[T]] = _unbind(whole, len(packed))
    return found


def _unbind(whole: Any, n: int) -> list[Any]:
    """n equal parts, by rows, of a tensor or of a tuple of such."""
    if whole is None:
        return [None] * n
    if isinstance(whole, Tensor):
        return list(whole.tensor_split(n))
    parts = zip(*(_unbind(each, n) for each in whole), strict=True)
    return [type(whole)(*each) for each in parts]


def target_counts(
    rows: NDArray[np.uint8], *, has_belief_head: bool, has_points_head: bool
) -> NDArray[np.float32]:
    """``Losses.counts`` of batches uint8[n, B, EXAMPLE_BYTES], as packed: float32[n, 3, 5]."""
    flags = rows.view(EXAMPLE_DTYPE)["flags"][..., 0]
    hands = rows[..., :4] & np.frombuffer(_DOMINO_BITS, np.uint8)
    own = np.unpackbits(hands, axis=-1).sum(-1, dtype=np.float32)
    teacher, is_eval, belief, policy = (
        (flags & flag) > 0
        for flag in (
            EXAMPLE_HAS_PLAY_VALUES, EXAMPLE_EVAL_AUX, EXAMPLE_HAS_BELIEF, EXAMPLE_HAS_POLICY,
        )
    )  # fmt: skip
    source = np.stack([~(is_eval | teacher), is_eval & ~teacher, teacher], -2)
    hidden = (N_DOMINOES - own) * belief * has_belief_head
    every = np.ones_like(hidden)
    targets = [policy | teacher, every, hidden, every * has_points_head, teacher]
    # Sums of whole numbers far below 2^24: exact in whatever order.
    return source.astype(np.float32) @ np.stack(targets, -1).astype(np.float32)


def compute_losses(
    output: Output,
    batch: Batch[Any],
    weights: Tensor | None = None,
    counts: Tensor | None = None,
) -> Losses:
    """Losses of a batch; ``output`` may be half precision, the sums are float32.

    Args:
        weights: float[3, 3] on the device, by SOURCES and as SELFPLAY_WEIGHTS; None = those for
            both kinds of games, TEACHER_WEIGHTS for action values.
        counts: of the whole batch that this one is a part of, on the device. The losses are then
            this part's share: over all parts they add up to those of the whole.
    """
    if weights is None:
        usual = [SELFPLAY_WEIGHTS, SELFPLAY_WEIGHTS, TEACHER_WEIGHTS]
        weights = torch.tensor(usual, device=batch.value.device)
    log_policy = masked_log_policy(output.policy, batch.inputs.in_hand)
    policy = -(batch.policy * log_policy.masked_fill(~batch.inputs.in_hand, 0.0)).sum(1)
    greedy = None if batch.actions is None else greedy_values(output.policy, batch.actions)
    won = batch.value if greedy is None else torch.where(greedy.has, greedy.balance, batch.value)
    value = (output.value.float() - won).square()
    none, every = torch.zeros_like(value), torch.ones_like(value)
    per_row = [policy * batch.has_policy, value, none, none, none]
    targets = [batch.has_policy, every, none, none, none]
    if batch.actions is not None:
        per_row[4] = q_losses(output.policy, batch.actions)
        targets[4] = batch.actions.has.to(torch.float32)
    if output.belief is not None:
        per_domino = functional.cross_entropy(
            output.belief.float().transpose(1, 2), batch.belief, reduction="none"
        )
        per_row[2] = (per_domino * batch.belief_weight).sum(1)
        targets[2] = batch.belief_weight.sum(1)
    if output.points is not None:
        per_row[1], per_row[3] = value.detach(), points_loss(output.points, batch, greedy)
        targets[3] = every
    sums = batch.source.T @ torch.stack(per_row, 1)
    if counts is None:
        counts = batch.source.T @ torch.stack(targets, 1)
    weights = torch.stack([weights[:, i] for i in _WEIGHT_OF], 1)
    weights[_TEACHER, 0] = 0.0  # the loss of the action values takes the place of this one
    takes_part = (weights > 0).to(torch.float32)
    n = (takes_part * counts).sum(0).clamp(min=1)
    weighted = ((weights * sums).sum(0) / n).unbind(0)
    value_term = weighted[1] if output.points is None else weighted[3]
    total = weighted[0] + value_term + weighted[2] + weighted[4]
    policy, value, belief, points, q = ((takes_part * sums).sum(0) / n).detach().unbind(0)
    return Losses(total, policy, value, belief, points, q, sums.detach(), counts)


def points_loss(logits: Tensor, batch: Batch[Any], greedy: GreedyValues | None) -> Tensor:
    """Cross-entropy of final points, logits [B, 43] -> float32[B].

    ``greedy``: those of the network's favourite, in rows with action values; None = no row has.

    Where only the value is known, its winner's share of the distribution counts. A value that is
    no outcome, as foreign examples may have, is as much of one as it says and a tie for the rest:
    so the mean of what is asked for is that value.
    """
    log_p = logits.float().log_softmax(1)
    known = log_p.gather(1, batch.points.unsqueeze(1)).squeeze(1)
    won, lost = log_p[:, HALF_POINTS + 1 :].logsumexp(1), log_p[:, :HALF_POINTS].logsumexp(1)
    value = batch.value
    by_value = value.clamp(min=0) * won - value.clamp(max=0) * lost
    by_value = by_value + (1 - value.abs()) * log_p[:, HALF_POINTS]
    observed = -torch.where(batch.has_points, known, by_value)
    if greedy is None:
        return observed
    return torch.where(greedy.has, greedy_points_loss(log_p, greedy.points), observed)


def unpack_action_values(packed: Tensor, has: Tensor, contract: Tensor) -> ActionValues:
    """Labels int32[B, 7] as selfplay.play_values packs them, in the rows where ``has`` bool[B].

    ``contract`` bool[B, 1]: whether the hand has one.
    """
    packed = packed * has.unsqueeze(1)
    legal = packed > 0
    points = ((packed >> BALANCE_BITS) - 1).to(torch.float32) / POINT_STEPS
    balance = (packed & (1 << BALANCE_BITS) - 1).to(torch.float32) / BALANCE_STEPS - 1
    per_point = torch.where(contract, CONTRACT_EPSILON, EPSILON)
    return ActionValues(legal, points * legal, balance * legal, has, per_point)


def utilities(labels: ActionValues) -> Tensor:
    """float[B, 7], 0 where there is no label."""
    margin = 2 * labels.points - TOTAL_POINTS
    return (labels.balance + labels.per_point * margin) * labels.legal


def boltzmann(labels: ActionValues) -> Tensor:
    """The policy float[B, 7] that logits equal to the labels give; 0 in rows without."""
    logits = (utilities(labels) / TAU).masked_fill(~labels.legal, -torch.inf)
    # A row without labels is all -inf, of which softmax makes no numbers.
    return logits.softmax(1).masked_fill(~labels.legal, 0.0)


def q_losses(logits: Tensor, labels: ActionValues) -> Tensor:
    """Mean squared error of the utilities of a row's legal plays, both about their mean.

    float32[B]: the sum of squares over the free ones, that is legal plays less one.
    """
    legal = labels.legal.to(torch.float32)
    n = legal.sum(1, keepdim=True)
    error = (TAU * logits.float()).masked_fill(~labels.legal, 0.0) - utilities(labels)
    error = (error - error.sum(1, keepdim=True) / n.clamp(min=1)) * legal
    return error.square().sum(1) / (n.squeeze(1) - 1).clamp(min=1)


def greedy_values(logits: Tensor, labels: ActionValues) -> GreedyValues:
    """The labels of each row's favourite legal play; no gradient."""
    liked = logits.detach().float().masked_fill(~labels.legal, -torch.inf).argmax(1, keepdim=True)
    points = labels.points.gather(1, liked).squeeze(1)
    return GreedyValues(points, labels.balance.gather(1, liked).squeeze(1), labels.has)


def greedy_points_loss(log_p: Tensor, points: Tensor) -> Tensor:
    """Cross-entropy float32[B] of mean final points float[B] under log-chances [B, 43].

    A mean between two numbers of points is as much of each as puts the mean there.
    """
    low = points.floor().clamp(max=TOTAL_POINTS - 1)
    share = points - low
    chosen = torch.stack([low, low + 1], 1).to(torch.int64)
    below, above = log_p.gather(1, chosen).unbind(1)
    return -((1 - share) * below + share * above)


def masked_log_policy(logits: Tensor, in_hand: Tensor) -> Tensor:
    """Log-probabilities over the dominoes still in hand; -inf elsewhere. float32[B, 7]."""
    return logits.float().masked_fill(~in_hand, -torch.inf).log_softmax(1)


DIAGNOSTICS = (
    "policy_entropy",
    "policy_top1_accuracy",
    "policy_kl_divergence",
    "value_mean",
    "value_std",
    "value_target_mean",
    "belief_acc",
)


def compute_diagnostics(output: Output, batch: Batch[Any]) -> Tensor:
    """float32[7] in the order of DIAGNOSTICS, on the device; no gradients."""
    with torch.no_grad():
        in_hand, weight = batch.inputs.in_hand, batch.has_policy
        log_p = masked_log_policy(output.policy, in_hand).masked_fill(~in_hand, 0.0)
        probability = log_p.exp() * in_hand
        entropy = -(probability * log_p).sum(1)
        target_log = batch.policy.clamp(min=1e-12).log()
        kl = (batch.policy * (target_log - log_p)).sum(1)
        top1 = (probability.argmax(1) == batch.policy.argmax(1)).float()
        value = output.value.float()
        belief_acc = torch.zeros((), device=value.device)
        if output.belief is not None:
            right = (output.belief.argmax(2) == batch.belief).float()
            belief_acc = _weighted_mean(right, batch.belief_weight)
        return torch.stack(
            [
                _weighted_mean(entropy, weight),
                _weighted_mean(top1, weight),
                _weighted_mean(kl, weight),
                value.mean(),
                value.std(correction=0),
                batch.value.mean(),
                belief_acc,
            ]
        )


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over the entries with weight; 0 when there are none."""
    return (values * weights).sum() / weights.sum().clamp(min=1)


def _dominoes(four_bytes: Tensor) -> Tensor:
    """Little-endian 28-bit masks uint8[B, 4] -> int64[B, 28] of 0 and 1."""
    mask = four_bytes.contiguous().view(torch.int32)
    return (mask >> torch.arange(N_DOMINOES, device=mask.device) & 1).to(torch.int64)
