"""Gradients of one batch that several ranks have parts of, added up in one go.

Not DistributedDataParallel. A head that takes no part in a batch leaves zeros here, where DDP waits
or lets replicas part; the losses, which must be those of the whole batch, go along in the same
message; and what is in one piece already need not be cut into buckets: the networks are a few MB.

Ranks on the CPU of one machine write them into memory that all of them see, and each adds up a
slice of all for all: a fraction of the time that it takes to send them to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from zebfast.learner.ranks.group import Group
from zebfast.learner.train.losses import LOSSES, SOURCES, Losses

_N_SUMS = len(SOURCES) * len(LOSSES)


class SharedGradients:
    """The gradients of ``parameters`` as parts of one flat tensor, with room for losses behind.

    From now on backward passes add to these: call ``clear`` before each. All ranks make theirs
    together. Raises RankLost.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], group: Group) -> None:
        own = list(parameters)
        self._group = group
        self._n = sum(parameter.numel() for parameter in own)
        device, n = own[0].device, self._n + len(LOSSES) + _N_SUMS
        #: Of each rank, where all can see them.
        self._all = group.common(n) if device.type == "cpu" else None
        self._flat = (
            torch.zeros(n, device=device) if self._all is None else self._all[group.rank].zero_()
        )
        parts = torch.split(self._flat[: self._n], [parameter.numel() for parameter in own])
        for parameter, part in zip(own, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def clear(self) -> None:
        """Begin the next batch with gradients of nothing."""
        self._flat.zero_()

    def add_up(self, losses: Losses) -> Losses:
        """Make the gradients, and the losses reported of a part, those of the whole batch.

        ``total``, which has been differentiated, stays this part's. Raises RankLost.
        """
        of_terms = (losses.policy, losses.value, losses.belief, losses.points, losses.q)
        self._flat[self._n :] = torch.cat([torch.stack(of_terms), losses.sums.flatten()])
        if self._all is None:
            self._group.add_up(self._flat)
        else:
            self._add_up_slice(self._all)
        told = self._flat[self._n :].clone()
        policy, value, belief, points, q = told[: len(LOSSES)].unbind()
        sums = told[len(LOSSES) :].view(len(SOURCES), len(LOSSES))
        return losses._replace(
            policy=policy, value=value, belief=belief, points=points, q=q, sums=sums
        )

    def clip(self, most: float) -> Tensor:
        """As ``clip_grad_norm_``, of all gradients in one go; the norm before."""
        gradients = self._flat[: self._n]
        norm: Tensor = torch.linalg.vector_norm(gradients)
        gradients.mul_((most / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def _add_up_slice(self, everyones: Sequence[Tensor]) -> None:
        """Between the two waits a rank reads and writes its slice of every tensor, and no other."""
        group = self._group
        slices = [torch.tensor_split(each, group.world)[group.rank] for each in everyones]
        group.wait_for_all()
        first, *others = slices
        for other in others:
            first.add_(other)
        for other in others:
            other.copy_(first)
        group.wait_for_all()
