"""Where a process stands among those of one learner, as whoever began it says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path

from zebfast.exchange import ExchangeError

#: Exit code of a rank that has lost another: what it did is saved, and all begin anew.
RANK_LOST = 75
#: Variables by which torchrun, or whoever starts ranks as it does, tells each its place.
_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class RankLost(ExchangeError):
    """Another rank has ended or does not answer; one sentence."""


@dataclass(frozen=True, kw_only=True)
class RankPlace:
    """A rank of ``world``, on a machine that has ``local_world`` of them.

    Attributes:
        file: where ranks that a supervisor of ours began meet.
        address, port: where those of torchrun do; ``serves``: rank 0 must answer there itself.
        before: how the ranks before these ended; empty for the first ones.
        parent: who watches this process, and began it.
        progressed: a byte that rank 0 sets once it has something new to save; shared with a
            supervisor of ours.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int
    file: Path | None = None
    address: str = ""
    port: int = 0
    serves: bool = False
    before: str = ""
    parent: int = field(default_factory=os.getppid)
    progressed: mmap | None = None

    @property
    def is_one_machine(self) -> bool:
        return self.local_world == self.world

    def device(self, name: str) -> str:
        """The device of this rank where the run is told ``name``: its own GPU."""
        return f"cuda:{self.local_rank}" if name == "cuda" else name


def launched(environment: Mapping[str, str]) -> RankPlace | None:
    """The place that torchrun gave this process; None where it, or the like, did not begin it.

    ValueError, one sentence, where the variables cannot be meant.
    """
    if not all(name in environment for name in _NEEDED):
        return None

    def number(name: str, default: str = "") -> int:
        text = environment.get(name, default)
        if not text.isdecimal():
            raise ValueError(f"{name} is {text!r}, expected a whole number, as torchrun sets it")
        return int(text)

    rank, world = number("RANK"), number("WORLD_SIZE")
    local_rank = number("LOCAL_RANK", str(rank))
    local_world = number("LOCAL_WORLD_SIZE", str(world))
    if not (rank < world and local_rank < local_world <= world):
        raise ValueError(
            f"rank {rank} of {world} (on this machine {local_rank} of {local_world}) cannot be: "
            "RANK and LOCAL_RANK begin at 0, as torchrun sets them"
        )
    agent_serves = environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return RankPlace(
        rank=rank,
        world=world,
        local_rank=local_rank,
        local_world=local_world,
        address=environment["MASTER_ADDR"],
        port=number("MASTER_PORT"),
        serves=rank == 0 and not agent_serves,
    )
