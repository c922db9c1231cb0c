"""What takes the place of the expensive parts: a network of two numbers, its training, games.

Everything that is kept, counted, sent, read or decided is the program's own.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from random_games import random_games

from tests.simulation.kernel import Kernel
from zebfast.exchange import StateDict
from zebfast.learner.train.trainer import TrainReport
from zebfast.worker.producer import Batch

CONFIG = {"tokenizer": "v1", "simulated": True}


class Config:
    """The network's configuration, as far as it is written and compared."""

    tokenizer = "v1"

    def to_dict(self) -> dict[str, Any]:
        return dict(CONFIG)


class Net:
    """A network of two numbers."""

    belief_proj = None
    config = Config()

    def __init__(self, weights: StateDict) -> None:
        self.w = torch.tensor(weights["w"])

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"w": self.w}

    def parameters(self) -> list[torch.Tensor]:
        return [self.w]


@dataclass(frozen=True)
class Checkpoint:
    """What a new namespace begins with."""

    config: Config
    weights: StateDict


def first_checkpoint(_path: Any) -> Checkpoint:
    return Checkpoint(Config(), {"w": np.zeros(2, np.float32)})


def build_net(_config: Any, weights: StateDict, **_: Any) -> Net:
    return Net(weights)


class Trainer:
    """A step takes its time and changes the network a little, as the step's number says."""

    half = divergence = None

    def __init__(
        self, kernel: Kernel, step_seconds: float, net: Net, config: Any, leader: None = None
    ) -> None:
        self._kernel, self._step_seconds = kernel, step_seconds
        self.net, self.config = net, config
        self.optimizer_steps = 0
        self.batch_size = 4
        self.schedule: Callable[[int], float] | None = None

    def share(self) -> None:
        """There are no other ranks."""

    def compare_replicas(self) -> None:
        """None, so that they agree."""

    def weights(self) -> StateDict:
        return {"w": self.net.w.clone().numpy()}

    def go_on_from(self, weights: StateDict) -> None:
        self.net.w = torch.tensor(weights["w"])

    def train(
        self,
        mixture: Any,
        *,
        n_steps: int,
        should_stop: Callable[[], bool],
        between: Callable[[], None] = lambda: None,
    ) -> TrainReport:
        done, seconds, rate = 0, 0.0, 1e-4
        while done < n_steps and not should_stop():
            between()
            if should_stop():
                break
            mixture.draw(
                n_steps=1, batch_size=self.batch_size, seed=self.config.seed,
                step=self.optimizer_steps,
            )  # fmt: skip
            if self.schedule is not None:
                rate = self.schedule(self.optimizer_steps)
            task = self._kernel.current
            assert task is not None
            task.process.stopping.append(task)  # a stop ends the wait
            self._kernel.block(self._step_seconds)
            seconds += self._step_seconds
            self.net.w = self.net.w + torch.tensor([1.0, self.optimizer_steps % 7])
            self.optimizer_steps += 1
            done += 1
        return TrainReport(done, seconds, {"policy_loss": 1.0, "value_loss": 0.5, "lr": rate})

    def state(self) -> dict[str, Any]:
        return {"optimizer": {}, "optimizer_steps": self.optimizer_steps, "scaler": {}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.optimizer_steps = int(state["optimizer_steps"])


class Evaluator:
    """Holds weights; nothing is asked of it."""

    def __init__(self, _config: Any, weights: StateDict, **_: Any) -> None:
        self.load(weights)

    def load(self, weights: StateDict) -> None:
        self.w = weights["w"]

    def describe(self) -> str:
        return "a simulated device"

    def use_threads(self, n: int) -> None:
        """It has none."""


@functools.cache
def games() -> Any:
    """GAME_DTYPE[16]: legal games, which all simulated workers hand over."""
    return random_games(16, seed=1)


class Producer:
    """Games that take their time; how many a batch has differs a little."""

    source = "selfplay-mcts"

    def __init__(self, kernel: Kernel, game_seconds: float, *, seed: int, first_game: int) -> None:
        self._kernel, self._seconds = kernel, game_seconds
        self._seed, self.next_game = seed, first_game

    def describe(self) -> str:
        return "simulated games"

    def play(
        self, n_games: int, *, should_stop: Callable[[], bool], on_step: Callable[[int], None]
    ) -> Batch:
        n = 1 + zlib.crc32(b"%d %d" % (self._seed, self.next_game)) % n_games
        task = self._kernel.current
        assert task is not None
        seconds = 0.0
        for _ in range(n):
            if should_stop():
                n = 0
                break
            task.process.stopping.append(task)  # a stop ends the wait
            self._kernel.block(self._seconds)
            seconds += self._seconds
        self.next_game += n
        return Batch(
            games=games()[:n], n_examples=28 * n, finished=n, seconds=max(seconds, 1e-3), facts={}
        )

    def close(self) -> None:
        pass
