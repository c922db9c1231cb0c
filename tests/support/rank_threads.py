"""The ranks of a learner as threads of this process, which meet at a barrier instead of a network.

Everything of a run but processes and torch.distributed is real, and takes milliseconds.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from listening import listening
from torch import Tensor

from zebfast.learner import loop
from zebfast.learner.config import LearnerConfig, TrainerConfig
from zebfast.learner.follower import obey
from zebfast.learner.ranks.place import RankLost, RankPlace

_SECONDS = 20.0


class Meeting:
    """Where the ranks of one start come together. Broken off, everybody has lost a rank."""

    def __init__(self, world: int, *, sees_memory: bool = True) -> None:
        self.world, self.sees_memory = world, sees_memory
        self.barrier = threading.Barrier(world, timeout=_SECONDS)
        self.values: list[Any] = [None] * world
        self.letters: list[queue.Queue[Tensor]] = [queue.Queue() for _ in range(world)]

    def break_off(self) -> None:
        self.barrier.abort()


class ThreadGroup:
    """A Group, as ranks.group has it."""

    def __init__(self, meeting: Meeting, rank: int) -> None:
        self.meeting, self.rank, self.world = meeting, rank, meeting.world

    def _exchange(self, value: Any) -> list[Any]:
        meeting = self.meeting
        try:
            meeting.values[self.rank] = value
            meeting.barrier.wait()
            found = list(meeting.values)
            meeting.barrier.wait()
        except threading.BrokenBarrierError:
            raise RankLost(f"rank {self.rank} has lost another rank") from None
        return found

    def broadcast(self, tensor: Tensor) -> None:
        tensor.copy_(self._exchange(tensor.clone())[0])

    def send(self, tensor: Tensor, to: int) -> Callable[[], None]:
        self.meeting.letters[to].put(tensor.clone())
        return lambda: None

    def receive(self, tensor: Tensor) -> None:
        tensor.copy_(self.meeting.letters[self.rank].get(timeout=_SECONDS))

    def add_up(self, tensor: Tensor) -> None:
        first, *others = self._exchange(tensor.clone())
        for other in others:
            first = first + other
        tensor.copy_(first)

    def common(self, n: int) -> list[Tensor] | None:
        if not self.meeting.sees_memory:
            return None
        return list(self._exchange(torch.zeros(n)))

    def tell_step(self, lr: float | None) -> None:
        self._exchange(lr)

    def hear_step(self) -> float | None:
        rate: float | None = self._exchange(None)[0]
        return rate

    def wait_for_all(self) -> None:
        self._exchange(None)

    def gather(self, number: int) -> list[int]:
        return self._exchange(number)

    def close(self) -> None:
        pass


def place_of_rank_0(world: int, **more: Any) -> RankPlace:
    return RankPlace(rank=0, world=world, local_rank=0, local_world=world, **more)


@contextmanager
def followers(
    config: TrainerConfig,
    world: int,
    then: Callable[[ThreadGroup], None] = lambda group: None,
    *,
    sees_memory: bool = True,
) -> Iterator[ThreadGroup]:
    """Rank 0's group, while the other ranks do in threads what they are told; ``then`` they end."""
    meeting = Meeting(world, sees_memory=sees_memory)

    def follow(group: ThreadGroup) -> None:
        try:
            obey(group, config)
        except RankLost:
            pass
        except BaseException:
            meeting.break_off()
            raise
        then(group)

    groups = [ThreadGroup(meeting, rank) for rank in range(world)]
    threads = [threading.Thread(target=follow, args=(group,)) for group in groups[1:]]
    for thread in threads:
        thread.start()
    try:
        yield groups[0]
    except BaseException:
        meeting.break_off()
        raise
    finally:
        for thread in threads:
            thread.join()


def run_on(world: int, config: LearnerConfig, **place: Any) -> tuple[int, list[str]]:
    """A whole learner on so many ranks: its exit code and what it said."""
    lines: list[str] = []
    config = replace(config, rank_timeout=place.pop("rank_timeout", config.rank_timeout))
    with (
        followers(config, world) as group,
        pytest.MonkeyPatch.context() as patch,
        listening(lines.append),
    ):
        patch.setattr(loop, "TorchGroup", lambda *_, **__: group)
        code = loop.learn(config, place=place_of_rank_0(world, **place))
    return code, lines
