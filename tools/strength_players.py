"""Players of tools/strength.py: named specs, and what each of them takes for a decision."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from strength_record import RecordError, without_folders

from zebfast.arena.pairs import LOWEST_BID, PlayDraws
from zebfast.arena.players.base import Player, plain_player
from zebfast.arena.players.build import build_player, weights_digest
from zebfast.arena.players.specs import PlayerSpec, parse_spec
from zebfast.core.engine import GameBatch
from zebfast.core.solver_pool import SolverPool
from zebfast.rules import N_PLIES, N_SEATS, Stream

_NAMED = re.compile(r"([^:=,]+)=(.+)")


@dataclass(frozen=True)
class Entrant:
    """A player under the name that records and pages use. sha256: of its weights, or None."""

    name: str
    spec: PlayerSpec
    sha256: str | None

    @classmethod
    def parse(cls, text: str) -> Entrant:
        """Read NAME=SPEC, or a spec that is its own name.

        Raises PlayerSpecError for the spec, PlayerLoadError for weights that cannot be read.
        """
        named = _NAMED.fullmatch(text)
        name, written = named.groups() if named else (without_folders(text), text)
        spec = parse_spec(written)
        return cls(name.strip(), spec, weights_digest(spec))

    def as_dict(self) -> dict[str, Any]:
        """What a record says of it."""
        return {
            "name": self.name,
            "spec": without_folders(self.spec.text),
            "sha256": self.sha256,
        }


def entrants(texts: Sequence[str]) -> list[Entrant]:
    """Players with different names. RecordError if two have the same one."""
    found = [Entrant.parse(text) for text in texts]
    names = [entrant.name for entrant in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise RecordError(
            f"two players are called {twice[0]!r}; write NAME=SPEC to tell them apart"
        )
    return found


@contextmanager
def opened(entrants: Sequence[Entrant], threads: int) -> Iterator[dict[str, Player]]:
    """The players by name, on the CPU, all with one pool of solvers that ends with the context."""
    with SolverPool(threads) as pool:
        yield {one.name: build_player(one.spec, device="cpu", pool=pool) for one in entrants}


def alone(player: Player, n: int, *, seed: int) -> dict[str, float]:
    """What a decision takes when there is one game to think about: n decisions, one at a time.

    Of games that `heuristic2` plays, at every ply alike; mean, 95th percentile and largest in
    milliseconds of CPU time of this process. The first decisions, which warm up, do not count.
    """
    games = GameBatch.deal(n + _WARM, seed=seed, stream=Stream.EVAL_DEAL)
    numbers = np.arange(len(games), dtype=np.uint64)
    bids = np.full(len(games), LOWEST_BID, np.uint8)
    n_open = N_PLIES - N_SEATS  # the last trick is forced
    wanted = numbers.astype(np.int64) * n_open // len(games)
    mover, taken = plain_player("heuristic2"), []
    done = np.zeros(len(games), np.bool_)
    for ply in range(N_PLIES):
        draws = PlayDraws(seed=seed, games=numbers, plies=games.n_plays)
        legal = games.legal()
        open_now = (legal & (legal - np.uint32(1))) != 0
        for row in np.flatnonzero(open_now & ~done & (wanted <= ply)):
            at = np.array([row], np.intp)
            began = time.process_time()
            player.choose(games, at, draws.take(at), bids[at])
            taken.append(1000 * (time.process_time() - began))
            done[row] = True
        games.play(mover.choose(games, np.arange(len(games)), draws, bids))
    ms = np.array(taken[_WARM:])
    return {
        "decisions": len(ms),
        "mean_ms": round(float(ms.mean()), 3),
        "p95_ms": round(float(np.percentile(ms, 95)), 3),
        "max_ms": round(float(ms.max()), 3),
    }


_WARM = 3
