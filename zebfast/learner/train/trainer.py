"""Network, optimizer and the inner loop: packed batches in, averaged numbers out."""

from __future__ import annotations

import hashlib
import inspect
import io
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW

from zebfast.exchange import ExchangeError, StateDict
from zebfast.exchange.archive import read_archive
from zebfast.exchange.archive_writer import archive_bytes
from zebfast.learner.config import TrainerConfig
from zebfast.learner.data.replay import Batches, ReplayMixture
from zebfast.learner.ranks.group import Group
from zebfast.learner.ranks.leader import Kind, Leader, Share
from zebfast.learner.train import ragged
from zebfast.learner.train.losses import (
    DIAGNOSTICS,
    LOSSES,
    SELFPLAY_WEIGHTS,
    SOURCES,
    TEACHER_WEIGHTS,
    Batch,
    Losses,
    compute_diagnostics,
    compute_losses,
    target_counts,
    unpack_batches,
)
from zebfast.learner.train.shared import SharedGradients
from zebfast.net.networks import config_from_dict
from zebfast.net.torch.finite import first_non_finite
from zebfast.net.torch.modules import AnyNet, arrays, as_arrays, as_tensors, network, tensors
from zebfast.net.torch.output import Output
from zebfast.net.torch.precision import cpu_has_bf16
from zebfast.net.torch.v1 import DROPOUT, V1Net
from zebfast.net.torch.v2 import V2Net


class EagerAdamW(AdamW):
    """torch's AdamW, to the bit, for programs that compile no network.

    torch wraps these methods so that ``torch.compile`` leaves them alone, and the wrappers import
    the compiler when they are first called: 2 to 3 seconds of every start of a learner. Here they
    are what is wrapped. A release of torch without wrappers changes nothing.
    """

    add_param_group = inspect.unwrap(AdamW.add_param_group)
    zero_grad = inspect.unwrap(AdamW.zero_grad)
    state_dict = inspect.unwrap(AdamW.state_dict)
    load_state_dict = inspect.unwrap(AdamW.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(AdamW.step))  # as torch's own wrapper has it


class AveragedWeights:
    """An exponential average of the weights over optimizer steps, which is what others see.

    It is on the network's device.

    Args:
        net: begins as its weights.
        decay: weight of the average against the newest weights, 0 to below 1. It is less during
            the first steps, so that the beginning is soon forgotten.

    Attributes:
        weights: the average by parameter name.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self._decay = decay
        self._net = net
        self._n_steps = 0
        self.weights = {k: w.detach().clone() for k, w in net.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as the last step left them."""
        decay = min(self._decay, (1 + self._n_steps) / (10 + self._n_steps))
        self._n_steps += 1
        newest = self._net.state_dict()
        for name, average in self.weights.items():
            average.lerp_(newest[name], 1 - decay)

    def restart(self) -> None:
        """Begin again from the network's present weights."""
        self._n_steps = 0
        for name, weight in self._net.state_dict().items():
            self.weights[name].copy_(weight)

    def state(self) -> dict[str, Any]:
        """What ``load_state`` takes."""
        return {"n_steps": self._n_steps, "weights": self.weights}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state()``."""
        self._n_steps = int(state["n_steps"])
        for name, weight in self.weights.items():
            weight.copy_(state["weights"][name])


# --- What training steps leave behind: sums on the device, then a report of means by metric name.

_EACH_STEP = (*LOSSES, "grad_norm")
_DIAGNOSTICS = (*DIAGNOSTICS, "grad_norm_value_head")


class TrainingDiverged(ExchangeError):
    """Losses or weights are no longer numbers; nothing of it was saved or published."""


class ReplicasParted(ExchangeError):
    """Ranks of one learner no longer train the same network; nothing of it was saved."""


@dataclass(frozen=True)
class TrainReport:
    """What some optimizer steps did: how many, how long, and means by metric name.

    ``seconds`` leaves out what was done between the steps. ``eval_aux_share`` is the part of the
    rows of the batches that were eval-aux ones.
    """

    n_steps: int
    seconds: float
    means: dict[str, float]
    eval_aux_share: float = 0.0

    @property
    def divergence(self) -> str | None:
        """What is no number of the losses and of the norm of the gradient; None where all are."""
        for name in _EACH_STEP:
            if not math.isfinite(self.means.get(name, 0.0)):
                return f"{name} became {self.means[name]}"
        return None


class Sums:
    """Sums over steps that stay on the device until the end, so that the host need not wait.

    float64: in float32 a million terms near 1 are added up with an error of one percent.
    """

    def __init__(self, device: torch.device) -> None:
        zeros = partial(torch.zeros, dtype=torch.float64, device=device)
        self.each_step, self.diagnostics = zeros(len(_EACH_STEP)), zeros(len(_DIAGNOSTICS))
        self.by_source = zeros(2, len(SOURCES), len(LOSSES))
        self.n_steps = self.n_diagnosed = 0

    def add(self, losses: Losses, norm: Tensor) -> None:
        """Take in a step, and the norm of its gradient."""
        means = (losses.policy, losses.value, losses.belief, losses.points, losses.q)
        self.each_step += torch.stack([*means, norm])
        self.by_source += torch.stack([losses.sums, losses.counts])
        self.n_steps += 1

    def means(self) -> dict[str, float]:
        """Means by metric name; a source's losses are means over all its rows."""
        per_step = (self.each_step / max(self.n_steps, 1)).tolist()
        means = dict(zip(_EACH_STEP, per_step, strict=True))
        if self.n_diagnosed:
            diagnostics = (self.diagnostics / self.n_diagnosed).tolist()
            means |= dict(zip(_DIAGNOSTICS, diagnostics, strict=True))
        sums, counts = self.by_source.tolist()
        for source, of_source, n_of_source in zip(SOURCES, sums, counts, strict=True):
            for name, total, n in zip(LOSSES, of_source, n_of_source, strict=True):
                if n:
                    means[f"{source}_{name}"] = total / n
        if "taught_play_loss" not in means:
            del means["play_loss"]
        elif not {"selfplay_policy_loss", "eval_aux_policy_loss"} & means.keys():
            means["policy_loss"] = means["taught_policy_loss"]
        return means


def merge_reports(reports: Sequence[TrainReport]) -> TrainReport:
    """One report of several parts of a cycle; a metric is the mean over the steps that have it.

    The learning rate is that of the last one.
    """
    if len(reports) == 1:
        return reports[0]
    n_steps = sum(report.n_steps for report in reports)
    means: dict[str, float] = {}
    for name in dict.fromkeys(name for report in reports for name in report.means):
        parts = [(r.means[name], r.n_steps) for r in reports if name in r.means]
        means[name] = sum(mean * n for mean, n in parts) / sum(n for _, n in parts)
    means["lr"] = reports[-1].means["lr"]
    share = sum(report.eval_aux_share * report.n_steps for report in reports) / n_steps
    return TrainReport(n_steps, sum(report.seconds for report in reports), means, share)


class Step(NamedTuple):
    """A rank's part of a batch on the device; ``counts`` are of the whole, None = all is here."""

    batch: Batch[Any]
    counts: Tensor | None


# Steps whose batches are drawn and sent to the device together.
_CHUNK_STEPS = 32
# Rows of several batches that are unpacked together, if a batch has a whole number of so many: then
# its floats begin at a line of the cache, as those of one that is unpacked alone. A product's bits
# may depend on that, and not on which batches were drawn together.
_UNPACKED_ROWS, _ALIGNED_ROWS = 4096, 16


def mixed_precision(config: TrainerConfig, net: AnyNet) -> torch.dtype | None:
    """What ``--amp`` means here; None for fp32.

    A GPU does either kind. A CPU does bf16 if it multiplies it itself, for networks that are one
    product after another: a v2 medium step takes 0.6 of the time, with the same losses.
    """
    if not config.training.amp:
        return None
    if config.device == "cpu":
        able = config.amp_dtype == "bf16" and isinstance(net, V2Net) and cpu_has_bf16()
        return torch.bfloat16 if able else None
    return torch.float16 if config.amp_dtype == "fp16" else torch.bfloat16


class Trainer:
    """A network being trained.

    AdamW rather than Adam: decay that the adaptive step size does not rescale keeps the weights of
    a long run bounded, and at the documented learning rate is otherwise not felt. The gradient
    norm is limited because one early batch of surprising values can throw a small network far.

    Where a learner has several ranks, each has one, with a part of every batch. That of rank 0 is
    the learner's own, and has the average; it tells the others what to do.

    Args:
        leader: of several ranks, where this is the trainer of rank 0; None = there is only this
            process. Nothing can be trained before ``share``.
        rank: of another's trainer, which ``shared`` makes.

    Attributes:
        batch_size: rows of the batches to come.
        schedule: asked before every step for its learning rate, given how many came before;
            None = that of the config.
        half: what products are computed in where it is not fp32.
    """

    def __init__(
        self,
        net: AnyNet,
        config: TrainerConfig,
        *,
        leader: Leader | None = None,
        rank: int = 0,
    ) -> None:
        self.config, self._leader, self._rank = config, leader, rank
        self.device = torch.device(config.device)
        self.net: AnyNet = net.to(self.device).train()
        self._shared: SharedGradients | None = None
        self.optimizer = self._fresh_optimizer()
        self.optimizer_steps = 0
        self.batch_size = config.recipe.stages[0].batch_size
        self.schedule: Callable[[int], float] | None = None
        self._compared_at = 0  # optimizer steps
        ema = config.training.ema if rank == 0 else 0.0
        self._average = AveragedWeights(self.net, ema) if ema else None
        on_cpu = self.device.type == "cpu"
        self._ragged = self.net if on_cpu and isinstance(self.net, V1Net) else None
        eval_aux = config.eval_aux
        self._loss_weights = torch.tensor(
            [
                SELFPLAY_WEIGHTS,
                (eval_aux.policy_weight, eval_aux.value_weight, eval_aux.belief_weight),
                TEACHER_WEIGHTS,
            ],
            device=self.device,
        )
        self._seed_dropout()
        self.half = mixed_precision(config, self.net)
        # Loss scaling is for the narrow range of fp16; a disabled scaler passes everything through.
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self.half == torch.float16)

    def _seed_dropout(self) -> None:
        """On CUDA dropout draws from torch's generator: each rank, of each start, from its own."""
        apart = self._rank * (1 + self.optimizer_steps)
        torch.manual_seed((self.config.seed + (apart << 20)) % (1 << 63))

    def _fresh_optimizer(self) -> EagerAdamW:
        return EagerAdamW(
            self.net.parameters(),
            lr=self.config.recipe.stages[0].lr,
            weight_decay=self.config.training.weight_decay,
            fused=True,
        )

    def weights(self) -> StateDict:
        """What is published and evaluated: the average where there is one; copies."""
        found = self.net.state_dict() if self._average is None else self._average.weights
        return arrays({name: weight.detach().clone() for name, weight in found.items()})

    @property
    def divergence(self) -> str | None:
        """What is no number of the weights, their average and the optimizer; one pass over all.

        The last step's update is seen by no loss: it is looked at here, before anything is saved.
        """
        average = None if self._average is None else self._average.weights
        moments = [list(state.values()) for state in self.optimizer.state.values()]
        held = {"weights": self.net.state_dict(), "average": average, "optimizer": moments}
        name = first_non_finite(held)
        return None if name is None else f"{name} became NaN or infinite"

    def go_on_from(self, weights: StateDict) -> None:
        """Train these weights from now on, with a fresh optimizer; steps are counted on."""
        self.net.load_state_dict(tensors(weights))
        self.optimizer = self._fresh_optimizer()
        if self._average is not None:
            self._average.restart()
        self.share()

    def train(
        self,
        mixture: ReplayMixture,
        *,
        n_steps: int,
        should_stop: Callable[[], bool],
        between: Callable[[], None] = lambda: None,
    ) -> TrainReport:
        """Up to ``n_steps`` optimizer steps; ``should_stop`` is asked after each.

        ``between`` is called before batches are drawn, every 32 steps; it may add examples, and
        drop them if it also stops the training.
        Batches and, on the CPU, dropout are functions of (config.seed, step number); on CUDA
        dropout draws from torch's global generator.
        The host waits for the device only at the end.
        """
        started, elsewhere = time.perf_counter(), 0.0
        sums, n_rows, n_eval_aux = Sums(self.device), 0, 0
        while sums.n_steps < n_steps and not should_stop():
            left = time.perf_counter()
            between()
            elsewhere += time.perf_counter() - left
            if should_stop():
                break
            drawn = mixture.draw(
                n_steps=min(_CHUNK_STEPS, n_steps - sums.n_steps),
                batch_size=self.batch_size,
                seed=self.config.seed,
                step=self.optimizer_steps,
            )
            n_rows += drawn.rows.shape[0] * drawn.rows.shape[1]
            n_eval_aux += drawn.n_eval_aux
            with self._dealt(drawn) as steps:
                for number, step in enumerate(steps, start=1):
                    self._tell(self._next_rate())
                    self._step(step, sums)
                    if should_stop():
                        if number < len(drawn.rows):
                            self._tell(None)
                        break
        means = sums.means()
        means = {name: mean for name, mean in means.items() if not self._lacks_head_of(name)}
        means["lr"] = float(self.optimizer.param_groups[0]["lr"])
        seconds = time.perf_counter() - started - elsewhere
        return TrainReport(sums.n_steps, seconds, means, n_eval_aux / max(n_rows, 1))

    @contextmanager
    def _dealt(self, drawn: Batches) -> Iterator[Iterator[Step]]:
        """This rank's part of each of the batches, which are trained within, on the device."""
        if self._leader is None:
            yield self._steps(drawn.rows, None, has_teacher=drawn.has_teacher)
            return
        counts = target_counts(
            drawn.rows,
            has_belief_head=self.net.belief_proj is not None,
            has_points_head=isinstance(self.net, V2Net),
        )
        dealing = self._leader.dealing(drawn.rows, counts, has_teacher=drawn.has_teacher)
        with dealing as share:
            yield self.own_steps(share)

    def _tell(self, lr: float | None) -> None:
        """Tell other ranks, where there are any, of the next step."""
        if self._leader is not None:
            self._leader.group.tell_step(lr)

    def own_steps(self, share: Share) -> Iterator[Step]:
        """The batches of a rank's share, on the device."""
        return self._steps(share.rows, share.counts, has_teacher=share.has_teacher)

    def _steps(
        self, rows: NDArray[np.uint8], counts: NDArray[np.float32] | None, *, has_teacher: bool
    ) -> Iterator[Step]:
        """Batches of rows uint8[n_steps, batch, 72], with the counts of whole batches."""
        packed, of_whole = self._on_device(rows), None
        if counts is not None:
            of_whole = torch.from_numpy(counts).to(self.device)
        n = rows.shape[1]
        n_together = max(1, _UNPACKED_ROWS // n) if n and n % _ALIGNED_ROWS == 0 else 1
        for first in range(0, len(rows), n_together):
            group = packed[first : first + n_together]
            batches = unpack_batches(group, self.net.prepare, has_teacher=has_teacher)
            for number, batch in enumerate(batches, start=first):
                yield Step(batch, None if of_whole is None else of_whole[number])

    def _on_device(self, rows: NDArray[np.uint8]) -> Tensor:
        if self._ragged is not None:
            rows = ragged.length_order(rows)
        packed = torch.from_numpy(rows)
        if self.device.type == "cuda":
            packed = packed.pin_memory().to(self.device, non_blocking=True)
        return packed

    def _lacks_head_of(self, metric: str) -> bool:
        lacks_belief = "belief" in metric and self.net.belief_proj is None
        return lacks_belief or ("points" in metric and not isinstance(self.net, V2Net))

    def follow(self, step: Step, lr: float) -> None:
        """What a rank other than 0 does of a step. Raises RankLost."""
        self._set_rate(lr)
        self._step(step, None)

    def _step(self, step: Step, sums: Sums | None) -> None:
        """``sums``: where what is to be told is added; None = only rank 0 tells it."""
        output = self._forward(step.batch)
        losses = compute_losses(output, step.batch, self._loss_weights, step.counts)
        if self._shared is None:
            self.optimizer.zero_grad(set_to_none=True)
        else:
            self._shared.clear()
        torch.autograd.backward(self._scaler.scale(losses.total))
        if self._shared is not None:
            losses = self._shared.add_up(losses)
        self._scaler.unscale_(self.optimizer)
        if sums is not None and self.optimizer_steps % self.config.train_diagnostics_every == 0:
            self._diagnose(output, step.batch, sums)
        most = self.config.max_grad_norm
        if self._shared is None:
            norm = nn.utils.clip_grad_norm_(self.net.parameters(), most)
        else:
            norm = self._shared.clip(most)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        if self._scaler.is_enabled():  # which leaves out a step that fp16 was too narrow for
            norm = norm.nan_to_num(nan=0.0, posinf=0.0)
        if self._average is not None:
            self._average.update()
        self.optimizer_steps += 1
        if sums is not None:
            sums.add(losses, norm.detach())

    def _diagnose(self, output: Output, batch: Batch[Any], sums: Sums) -> None:
        value_head = [p.grad for p in self.net.value_head.parameters() if p.grad is not None]
        head_norm = nn.utils.get_total_norm(value_head)
        sums.diagnostics += torch.cat([compute_diagnostics(output, batch), head_norm.view(1)])
        sums.n_diagnosed += 1

    def _next_rate(self) -> float:
        """Set the learning rate of the next step, which is counted by that."""
        if self.schedule is not None:
            self._set_rate(self.schedule(self.optimizer_steps))
        return float(self.optimizer.param_groups[0]["lr"])

    def _set_rate(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def _forward(self, batch: Batch[Any]) -> Output:
        if self._ragged is not None:
            dropout = ragged.Dropout(
                rate=DROPOUT, seed=self.config.seed, step=self.optimizer_steps, rank=self._rank
            )
            return ragged.forward(self._ragged, batch.inputs, dropout)
        half, kind = self.half, self.device.type
        with nullcontext() if half is None else torch.autocast(kind, dtype=half):
            return self.net.run(batch.inputs)

    def share(self) -> None:
        """Make the other ranks' trainers what this one is now. Raises RankLost."""
        if self._leader is None:
            return
        state = self.state()
        state.pop("average", None)
        content = {
            "config": self.net.config.to_dict(),
            "weights": arrays(self.net.state_dict()),
            "trainer": state,
        }
        data = archive_bytes(content)
        with self._leader.telling(Kind.STATE, len(data)):
            self._leader.send(data)
            self._join(self._leader.group)

    def _join(self, group: Group) -> None:
        """From now on steps are shared, by all ranks that come to this."""
        self._shared = SharedGradients(self.net.parameters(), group)

    @classmethod
    def shared(cls, state: bytes, config: TrainerConfig, group: Group) -> Trainer:
        """The trainer of a rank that rank 0's ``share`` has told this."""
        content = read_archive(io.BytesIO(state))
        net = network(config_from_dict(content["config"]), content["weights"])
        trainer = cls(net, config, rank=group.rank)
        trainer.load_state(content["trainer"])
        trainer._seed_dropout()
        trainer._join(group)
        return trainer

    def digest(self) -> int:
        """63 bits of a hash of weights and optimizer."""
        digest = hashlib.blake2b(digest_size=8)
        for weight in arrays(self.net.state_dict()).values():
            digest.update(np.ascontiguousarray(weight).data)
        for state in self.optimizer.state.values():
            for moment in state.values():
                digest.update(np.ascontiguousarray(moment.cpu().numpy()).data)
        return int.from_bytes(digest.digest(), "little") >> 1

    def compare_replicas(self) -> None:
        """Are all ranks' weights and optimizers the same bits? Asked once for the same steps.

        Raises:
            ReplicasParted: they are not, and nothing may be saved of them. RankLost.
        """
        if self._leader is None or self._compared_at == self.optimizer_steps:
            return
        found = self._leader.compare(self.digest())
        parted = [rank for rank, digest in enumerate(found) if digest != found[0]]
        if parted:
            raise ReplicasParted(
                f"after {self.optimizer_steps:,} steps rank {parted[0]} no longer has the weights "
                "of rank 0: nothing of it was saved, and the same command goes on from the "
                "checkpoint before (unlike processors or versions of torch do not stay together)"
            )
        self._compared_at = self.optimizer_steps

    def state(self) -> dict[str, Any]:
        """Everything besides the parameters that the next step depends on: arrays and numbers."""
        rng = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state(self.device)
        average = {} if self._average is None else {"average": self._average.state()}
        held = average | {
            "optimizer": self.optimizer.state_dict(),
            "optimizer_steps": self.optimizer_steps,
            "scaler": self._scaler.state_dict(),
            "rng": rng,
        }
        return dict(as_arrays(held))

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from ``state()``; the learning rate of this run's config wins."""
        state = as_tensors(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self._set_rate(self.config.recipe.stages[0].lr)
        for group in self.optimizer.param_groups:
            group["weight_decay"] = self.config.training.weight_decay
        if self._average is not None and "average" in state:
            self._average.load_state(state["average"])
        self.optimizer_steps = int(state["optimizer_steps"])
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"]["cpu"].cpu())
        if self.device.type == "cuda" and "cuda" in state["rng"]:
            torch.cuda.set_rng_state(state["rng"]["cuda"].cpu(), self.device)
