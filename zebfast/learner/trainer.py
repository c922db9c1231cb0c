"""Network, optimizer and the inner loop: packed batches in, averaged numbers out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zebfast.learner import ragged
from zebfast.learner.config import LearnerConfig
from zebfast.learner.losses import (
    DIAGNOSTICS,
    Batch,
    compute_diagnostics,
    compute_losses,
    unpack_batch,
)
from zebfast.learner.replay import ReplayBuffer
from zebfast.net.v1 import DROPOUT, Output, V1Net

# Steps whose batches are drawn and sent to the device together.
_CHUNK_STEPS = 32
_LOSSES = ("policy_loss", "value_loss", "belief_loss", "grad_norm")
_DIAGNOSTICS = (*DIAGNOSTICS, "grad_norm_value_head")


@dataclass(frozen=True)
class TrainReport:
    """What some optimizer steps did: how many, how long, and means by metric name."""

    n_steps: int
    seconds: float
    means: dict[str, float]


class Trainer:
    """A network being trained.

    AdamW rather than Adam: decay that the adaptive step size does not rescale keeps the weights of
    a long run bounded, and at the documented learning rate is otherwise not felt. The gradient
    norm is limited because one early batch of surprising values can throw a small network far.
    """

    def __init__(self, net: V1Net, config: LearnerConfig) -> None:
        self.config = config
        self.device = torch.device(config.device)
        self.net = net.to(self.device).train()
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
        self.optimizer_steps = 0
        torch.manual_seed(config.seed)  # dropout on CUDA draws from it
        on_cuda = config.amp and self.device.type == "cuda"
        self._amp_dtype = torch.float16 if config.amp_dtype == "fp16" else torch.bfloat16
        self._autocast = on_cuda
        # Loss scaling is for the narrow range of fp16; a disabled scaler passes everything through.
        self._scaler = torch.amp.GradScaler(
            self.device.type, enabled=on_cuda and config.amp_dtype == "fp16"
        )

    def train(
        self, replay: ReplayBuffer, *, n_steps: int, should_stop: Callable[[], bool]
    ) -> TrainReport:
        """Up to ``n_steps`` optimizer steps; ``should_stop`` is asked after each.

        Batches and, on the CPU, dropout are functions of (config.seed, step number); on CUDA
        dropout draws from torch's global generator.
        The host waits for the device only at the end.
        """
        started = time.perf_counter()
        losses = torch.zeros(len(_LOSSES), device=self.device)
        diagnostics = torch.zeros(len(_DIAGNOSTICS), device=self.device)
        done = n_diagnosed = 0
        while done < n_steps and not should_stop():
            for raw in self._batches(replay, min(_CHUNK_STEPS, n_steps - done)):
                diagnose = self.optimizer_steps % self.config.train_diagnostics_every == 0
                numbers, extra = self._step(raw, diagnose=diagnose)
                losses += numbers
                if extra is not None:
                    diagnostics += extra
                    n_diagnosed += 1
                done += 1
                if should_stop():
                    break
        means = dict(zip(_LOSSES, (losses / max(done, 1)).tolist(), strict=True))
        if n_diagnosed:
            means |= dict(zip(_DIAGNOSTICS, (diagnostics / n_diagnosed).tolist(), strict=True))
        if self.net.belief_proj is None:
            means = {name: mean for name, mean in means.items() if not name.startswith("belief")}
        means["lr"] = float(self.optimizer.param_groups[0]["lr"])
        return TrainReport(done, time.perf_counter() - started, means)

    def _batches(self, replay: ReplayBuffer, n_steps: int) -> Tensor:
        """uint8[n_steps, batch, 64] on the device."""
        drawn = replay.sample(
            n_steps=n_steps,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            step=self.optimizer_steps,
        )
        if self.device.type == "cuda":
            return torch.from_numpy(drawn).pin_memory().to(self.device, non_blocking=True)
        return torch.from_numpy(ragged.length_order(drawn))

    def _step(self, raw: Tensor, *, diagnose: bool) -> tuple[Tensor, Tensor | None]:
        batch = unpack_batch(raw)
        output = self._forward(batch)
        losses = compute_losses(output, batch)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self._scaler.scale(losses.total))
        self._scaler.unscale_(self.optimizer)
        extra = None
        if diagnose:
            value_head = [p.grad for p in self.net.value_head.parameters() if p.grad is not None]
            head_norm = nn.utils.get_total_norm(value_head)
            extra = torch.cat([compute_diagnostics(output, batch), head_norm.view(1)])
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.config.max_grad_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer_steps += 1
        numbers = torch.stack([losses.policy, losses.value, losses.belief, norm]).detach()
        return numbers, extra

    def _forward(self, batch: Batch) -> Output:
        if self.device.type == "cpu":
            dropout = ragged.Dropout(rate=DROPOUT, seed=self.config.seed, step=self.optimizer_steps)
            return ragged.forward(self.net, batch.inputs, dropout)
        with self._precision():
            output: Output = self.net(*batch.inputs[:3])
        return output

    def _precision(self) -> AbstractContextManager[Any]:
        if self._autocast:
            return torch.autocast(self.device.type, dtype=self._amp_dtype)
        return nullcontext()

    def state(self) -> dict[str, Any]:
        """Everything besides the parameters that the next step depends on (tensors and numbers)."""
        rng = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "optimizer": self.optimizer.state_dict(),
            "optimizer_steps": self.optimizer_steps,
            "scaler": self._scaler.state_dict(),
            "rng": rng,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from ``state()``; the learning rate of this run's config wins."""
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr
            group["weight_decay"] = self.config.weight_decay
        self.optimizer_steps = int(state["optimizer_steps"])
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"]["cpu"].cpu())
        if self.device.type == "cuda" and "cuda" in state["rng"]:
            torch.cuda.set_rng_state(state["rng"]["cuda"].cpu(), self.device)
