"""What joins the ranks of a learner: torch.distributed, gloo on CPUs and NCCL on GPUs.

Whatever is between ranks goes through a Group, so that a rank that is gone is heard of as RankLost
within the group's time, from wherever.

Ranks meet in a store that may outlive them: torchrun's agent keeps its own over restarts, with what
dead ranks left in it. So every start has a token of its own, which rank 0 gives to those who can
show that they live, and everything else of the store is below that token.
"""

from __future__ import annotations

import importlib
import math
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from zebfast.exchange.errors import brief
from zebfast.learner.ranks.memory import STORES_STAY_IN_ORDER, CommonMemory, roomy_file
from zebfast.learner.ranks.place import RankLost, RankPlace

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: Ranks that begin together on a busy machine still import torch minutes apart.
MEETING_SECONDS = 300.0
_LOOK_SECONDS = 0.02


class Group(Protocol):
    """The ranks of a learner, as each of them sees it. Everything raises RankLost."""

    rank: int
    world: int

    def broadcast(self, tensor: Tensor) -> None:
        """Fill the tensor with rank 0's. On the CPU."""

    def send(self, tensor: Tensor, to: int) -> Callable[[], None]:
        """Begin to send a tensor on the CPU to a rank; call what is returned to wait for it."""

    def receive(self, tensor: Tensor) -> None:
        """Fill a tensor on the CPU with what rank 0 sends."""

    def add_up(self, tensor: Tensor) -> None:
        """Replace a tensor, on the ranks' devices, by the sum of all: the same bits for each."""

    def common(self, n: int) -> list[Tensor] | None:
        """By rank, float32[n] of memory that all ranks see; None where there is no such.

        What one writes before it waits for all, the others read after it. All ranks ask together.
        """

    def tell_step(self, lr: float | None) -> None:
        """As rank 0: the learning rate of the next step of those dealt; None = there is none."""

    def hear_step(self) -> float | None:
        """As another rank: what rank 0 tells."""

    def wait_for_all(self) -> None:
        """Until every rank has come to this; what each wrote before is then seen by all."""

    def gather(self, number: int) -> list[int]:
        """Everybody's number of at most 63 bits, by rank."""

    def close(self) -> None:
        """Leave; waits for nobody."""


class TorchGroup:
    """A Group over torch's default process group, of which a process has one.

    Args:
        timeout: seconds after which a rank that does not answer is lost.
        meeting: seconds that ranks may take to begin.

    Raises:
        RankLost: they do not come together.
    """

    def __init__(
        self, place: RankPlace, *, device: str, timeout: float, meeting: float = MEETING_SECONDS
    ) -> None:
        self.rank, self.world = place.rank, place.world
        self._dist: Any = importlib.import_module("torch.distributed")  # its types leave much out
        on_gpu = torch.device(device).type == "cuda"
        if on_gpu:
            torch.cuda.set_device(device)
        with _hearing(self.rank):
            store = _store(self._dist, place, meeting)
            token = meet(store, self.rank, self.world, seconds=meeting)
            self._dist.init_process_group(
                "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
                store=self._dist.PrefixStore(token, store),
                rank=self.rank,
                world_size=self.world,
                timeout=timedelta(seconds=timeout),
            )
            self._store = self._dist.PrefixStore(token, store)
        self._is_one_machine, self._n_common = place.is_one_machine, 0
        self._nothing, self._timeout = torch.zeros(1), timeout
        self._memory: CommonMemory | None = None

    def broadcast(self, tensor: Tensor) -> None:
        """See Group."""
        with _hearing(self.rank):
            self._dist.broadcast(tensor, 0)

    def send(self, tensor: Tensor, to: int) -> Callable[[], None]:
        """See Group."""
        with _hearing(self.rank):
            work = self._dist.isend(tensor, to)

        def wait() -> None:
            with _hearing(self.rank):
                work.wait()

        return wait

    def receive(self, tensor: Tensor) -> None:
        """See Group."""
        with _hearing(self.rank):
            self._dist.recv(tensor, 0)

    def add_up(self, tensor: Tensor) -> None:
        """See Group."""
        with _hearing(self.rank):
            self._dist.all_reduce(tensor)

    def common(self, n: int) -> list[Tensor] | None:
        """See Group."""
        self._memory = None
        if not self._is_one_machine:
            return None
        self._n_common += 1
        key, size = f"common/{self._n_common}", CommonMemory.size(n, self.world)
        with _hearing(self.rank), ExitStack() as opened:
            if self.rank == 0:
                file = roomy_file(size)
                if file is not None:
                    opened.enter_context(file)
                self._store.set(key, file.name if file is not None else "")
            memory = None
            if path := self._store.get(key).decode():
                memory = CommonMemory(
                    path, n=n, rank=self.rank, world=self.world, timeout=self._timeout
                )
            self.wait_for_all()  # before the file loses its name
        if memory is None:
            return None
        if STORES_STAY_IN_ORDER:
            self._memory = memory
        return memory.tensors

    def tell_step(self, lr: float | None) -> None:
        """See Group."""
        rate = math.nan if lr is None else lr
        if self._memory is None:
            self.broadcast(torch.tensor([rate], dtype=torch.float64))
        else:
            self._memory.tell_step(rate)

    def hear_step(self) -> float | None:
        """See Group."""
        if self._memory is None:
            told = torch.zeros(1, dtype=torch.float64)
            self.broadcast(told)
            rate = float(told)
        else:
            rate = self._memory.hear_step()
        return None if math.isnan(rate) else rate

    def wait_for_all(self) -> None:
        """See Group."""
        if self._memory is None:
            self.add_up(self._nothing)
        else:
            self._memory.wait_for_all()

    def gather(self, number: int) -> list[int]:
        """See Group."""
        own = torch.tensor([number])
        found = [torch.zeros_like(own) for _ in range(self.world)]
        with _hearing(self.rank):
            self._dist.all_gather(found, own)
        return [int(each) for each in found]

    def close(self) -> None:
        """See Group."""
        if self._dist.is_initialized():
            self._dist.destroy_process_group()


@contextmanager
def _hearing(rank: int) -> Iterator[None]:
    try:
        yield
    except RankLost:
        raise
    except RuntimeError as error:  # torch.distributed has no narrower class for all of these
        raise RankLost(
            f"rank {rank} has lost another rank of this learner ({brief(error)}): what was saved "
            "before stays, and all ranks begin anew from it; where nobody sees to that, the same "
            "command does"
        ) from error


def _store(dist: Any, place: RankPlace, seconds: float) -> Store:
    """Where the ranks meet."""
    if place.file is not None:
        store: Store = dist.FileStore(str(place.file), place.world)
        store.set_timeout(timedelta(seconds=seconds))
        return store
    found: Store = dist.TCPStore(
        place.address,
        place.port,
        is_master=place.serves,
        timeout=timedelta(seconds=seconds),
        wait_for_workers=False,
    )
    return found


def meet(store: Store, rank: int, world: int, *, seconds: float) -> str:
    """A token that the living ranks of this start share, and no others.

    Each rank leaves a random word under its number; rank 0 answers to words with its token, and a
    rank that has the answer to its own word says so below the token. What dead ranks left is
    answered, too, and heard by nobody.

    Raises:
        RankLost: somebody does not come. RuntimeError of torch.
    """
    if rank:
        word = secrets.token_hex(8)
        store.set(f"word/{rank}", word)
        token = store.get(f"token/{word}").decode()
        store.set(f"{token}/here/{rank}", "")
        return token
    token, answered = secrets.token_hex(8), {0: b""}
    missing = set(range(1, world))
    deadline = time.monotonic() + seconds
    while missing:
        for other in sorted(missing):
            if store.check([f"{token}/here/{other}"]):
                missing.discard(other)
            elif store.check([f"word/{other}"]):
                found = store.get(f"word/{other}")
                if found != answered.get(other):
                    answered[other] = found
                    store.set(f"token/{found.decode()}", token)
        if missing and time.monotonic() > deadline:
            names = ", ".join(map(str, sorted(missing)))
            raise RankLost(
                f"of {world} ranks, number {names} did not come within {seconds:g} s: see what "
                "they say, and give the same command again"
            )
        time.sleep(_LOOK_SECONDS if missing else 0)
    return token
