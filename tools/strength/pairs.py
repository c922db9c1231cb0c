"""Players of tools/strength.py and their pairings: deals both ways, in parts that a record keeps.

A pairing in a record is what a match says (arena/stats.py), the points of every single game, and
what each side took. Deal i of a pairing is deal i of the record's seed whoever plays and however
the work was split, so parts of several runs and machines can be put together.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from provenance import without_folders
from timed_player import TimedPlayer

from zebfast.arena.match import play_deals
from zebfast.arena.pairs import LOWEST_BID, Contracts, PlayRng, contracts
from zebfast.arena.players.base import Player, plain_player
from zebfast.arena.players.build import build_player, weights_digest
from zebfast.arena.players.specs import PlayerSpec, parse_spec
from zebfast.arena.records import RecordError, pack_points, unpack_points
from zebfast.arena.stats import Z_95, MatchTally
from zebfast.core.engine import GameBatch
from zebfast.core.masks import has_choice
from zebfast.core.solver_pool import SolverPool
from zebfast.rules import HALF_POINTS, N_PLIES, N_SEATS, Stream

Names = tuple[str, str]
SAVE_EVERY_S = 20.0
_NAMED = re.compile(r"([^:=,]+)=(.+)")
_WARM = 3  # decisions that are not timed


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
        rng = PlayRng(seed=seed, games=numbers, plies=games.n_plays)
        legal = games.legal()
        open_now = has_choice(legal)
        for row in np.flatnonzero(open_now & ~done & (wanted <= ply)):
            at = np.array([row], np.intp)
            began = time.process_time()
            player.choose(games, at, rng.take(at), bids[at])
            taken.append(1000 * (time.process_time() - began))
            done[row] = True
        games.play(mover.choose(games, np.arange(len(games)), rng, bids))
    ms = np.array(taken[_WARM:])
    return {
        "decisions": len(ms),
        "mean_ms": round(float(ms.mean()), 3),
        "p95_ms": round(float(np.percentile(ms, 95)), 3),
        "max_ms": round(float(ms.max()), 3),
    }


@dataclass
class Side:
    """What one player of a pairing took: CPU seconds, and decisions of its own."""

    seconds: float = 0.0
    decisions: int = 0


@dataclass
class Pairing:
    """What A did against B on the deals played so far. points: u1[deals, 2], as PlayedDeals."""

    names: Names
    points: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 2), np.uint8))
    seconds: float = 0.0
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))

    @property
    def n_deals(self) -> int:
        return len(self.points)

    def as_dict(self, dealt: Contracts, *, seed: int) -> dict[str, Any]:
        """The pairing in a record; `dealt`: the contracts of these deals or more."""
        n = self.n_deals
        tally = MatchTally()
        tally.add(Contracts(dealt.declared[:n], dealt.bids[:n]).with_points(self.points))
        a, b = self.names
        result = tally.result(player_a=a, player_b=b, seed=seed, seconds=self.seconds)
        return {
            **result.as_dict(),
            **decided(self.points),
            "seconds": round(self.seconds, 2),
            "cpu_s": [round(side.seconds, 2) for side in self.sides],
            "decisions": [side.decisions for side in self.sides],
            "ms_a_decision": [
                round(1000 * side.seconds / side.decisions, 4) if side.decisions else None
                for side in self.sides
            ],
            "points": pack_points(self.points),
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Pairing:
        """What `as_dict` gave. RecordError for anything else."""
        try:
            points = unpack_points(entry["points"], n_deals=entry["games"] // 2)
            cpu, decisions = entry["cpu_s"], entry["decisions"]
            return cls(
                names=(entry["player_a"], entry["player_b"]),
                points=points,
                seconds=entry["seconds"],
                sides=(Side(cpu[0], decisions[0]), Side(cpu[1], decisions[1])),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise RecordError(f"a pairing of the record is damaged ({error})") from error


def decided(points: NDArray[np.uint8]) -> dict[str, float | int]:
    """Of the games that were no tie, the share that A won, its 95 % interval, and z against half.

    By deals, because the two games of a deal share it: the score of a deal is wins less losses.
    """
    score = (np.sign(points.astype(np.int64) - HALF_POINTS)).sum(axis=1)
    n_decided = int((points != HALF_POINTS).sum())
    if n_decided == 0:
        return {"decided": 0, "decided_share": 0.5, "decided_se": 0.0, "z": 0.0}
    share = 0.5 + float(score.sum()) / (2 * n_decided)
    spread = math.sqrt(float((score * score).sum()))  # of the sum, if there were no difference
    error = math.sqrt(float(((score - score.mean()) ** 2).sum())) / (2 * n_decided)
    return {
        "decided": n_decided,
        "decided_share": round(share, 5),
        "decided_low": round(max(0.0, share - Z_95 * error), 5),
        "decided_high": round(min(1.0, share + Z_95 * error), 5),
        "z": round(float(score.sum()) / spread, 2) if spread else 0.0,
    }


class Pairings:
    """The pairings that a record is to have, and those that it has.

    Attributes:
        wanted: who meets whom, in the order of play.
        found: pairings with a deal or more.
    """

    def __init__(
        self, wanted: Sequence[Names], *, n_deals: int, seed: int, entries: Iterable[Any] = ()
    ) -> None:
        self.wanted = list(wanted)
        self.n_deals = n_deals
        self.seed = seed
        self.found: dict[Names, Pairing] = {}
        self.take_over(entries)

    def take_over(self, entries: Iterable[Any]) -> None:
        """Add pairings of a record of the same seed; of two alike the longer one is kept."""
        for entry in entries:
            pairing = Pairing.from_dict(entry)
            mine = self.found.get(pairing.names)
            if mine is None or mine.n_deals < pairing.n_deals:
                self.found[pairing.names] = pairing

    @property
    def missing(self) -> list[Names]:
        """Pairings with fewer deals than there should be, in order."""
        return [
            names
            for names in self.wanted
            if names not in self.found or self.found[names].n_deals < self.n_deals
        ]

    def entries(self) -> list[dict[str, Any]]:
        """All that is there, for a record: the wanted ones first, in their order."""
        longest = max((pairing.n_deals for pairing in self.found.values()), default=0)
        if not longest:
            return []
        dealt = contracts(seed=self.seed, n_deals=longest, bid=None)
        others = [names for names in self.found if names not in self.wanted]
        return [
            self.found[names].as_dict(dealt, seed=self.seed)
            for names in (*self.wanted, *others)
            if names in self.found
        ]

    def left(self, names: Sequence[Names]) -> tuple[float, bool]:
        """CPU seconds that these pairings still take, and whether all players' pace is known."""
        took: dict[str, tuple[float, int]] = {}
        for pairing in self.found.values():
            for name, side in zip(pairing.names, pairing.sides, strict=True):
                seconds, deals = took.get(name, (0.0, 0))
                took[name] = (seconds + side.seconds, deals + pairing.n_deals)
        total, known = 0.0, True
        for pair in names:
            there = self.found[pair].n_deals if pair in self.found else 0
            known &= all(name in took for name in pair)
            a_deal = sum(took[name][0] / took[name][1] for name in pair if name in took)
            total += max(0, self.n_deals - there) * a_deal
        return total, known


def play(
    pairings: Pairings,
    entrants: Sequence[Entrant],
    players: Mapping[str, Player],
    *,
    mine: Callable[[int], bool],
    save: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Play what is missing, part by part; `save` is called now and then, and however this ends.

    mine: which of the missing pairings, by their number, this run plays.
    """
    at_once = {one.name: one.spec.deals_per_chunk for one in entrants}
    todo = [names for i, names in enumerate(pairings.missing) if mine(i)]
    saved = time.monotonic()
    try:
        for number, names in enumerate(todo):
            part = min(at_once[name] for name in names)
            pairing = pairings.found.setdefault(names, Pairing(names))
            while pairing.n_deals < pairings.n_deals:
                n = min(part, pairings.n_deals - pairing.n_deals)
                _play_part(pairing, players, seed=pairings.seed, n_deals=n)
                if time.monotonic() - saved >= SAVE_EVERY_S or pairing.n_deals == pairings.n_deals:
                    save()
                    saved = time.monotonic()
                    where = f"[{number + 1}/{len(todo)}]"
                    say(f"{where} {in_short(pairing)}; {_eta(pairings, todo[number:])}")
    finally:
        pairings.found = {k: v for k, v in pairings.found.items() if v.n_deals}
        save()


def _play_part(pairing: Pairing, players: Mapping[str, Player], *, seed: int, n_deals: int) -> None:
    a, b = (TimedPlayer(players[name]) for name in pairing.names)
    began = time.monotonic()
    played = play_deals(a, b, seed=seed, first_deal=pairing.n_deals, n_deals=n_deals)
    pairing.seconds += time.monotonic() - began
    pairing.points = np.concatenate([pairing.points, played.points])
    for side, timed in zip(pairing.sides, (a, b), strict=True):
        side.seconds += timed.seconds
        side.decisions += timed.decisions


def in_short(pairing: Pairing) -> str:
    """What a line of progress says of a pairing."""
    figures, games = decided(pairing.points), 2 * pairing.n_deals
    won = 100 * float((pairing.points > HALF_POINTS).sum()) / games
    a, b = pairing.names
    return (
        f"{a} against {b}: {games:,} games, won {won:.1f} %, "
        f"of decided {100 * figures['decided_share']:.1f} %, z {figures['z']:+.1f}"
    )


def _eta(pairings: Pairings, todo: Sequence[Names]) -> str:
    seconds, known = pairings.left(todo)
    return f"{'' if known else 'at least '}{clock(seconds)} left"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
