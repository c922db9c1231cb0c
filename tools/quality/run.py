"""One run of tools/search_quality.py: what pieces share, and which is measured next."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from quality.measure import Judged, deeper, judge, match, pace, paced, selfplay, targets
from quality.methods import Method
from quality.positions import Positions, Reference, network_positions, reference
from quality.record import Pieces, in_short
from zebfast.arena.players.base import NetworkPlayer, Player
from zebfast.arena.players.build import build_player, weights_digest
from zebfast.arena.players.search import SearchPlayer
from zebfast.arena.players.specs import parse_spec
from zebfast.core.solver_pool import SolverPool
from zebfast.net import checkpoint
from zebfast.net.devices import open_evaluator
from zebfast.selfplay.groups import BatchEvaluator

OTHER = 1_000_003  # added to the seed: exact values are over other worlds than searches see,
MATCH = 2_000_003  # and matches over other deals than positions
SAY_EVERY_S = 10.0


@dataclass(frozen=True)
class Settings:
    """What all results of a record have in common.

    played_by: the network whose games the positions are from. opponent: a spec, or in words.
    """

    positions: int
    worlds: int
    seed: int
    base: str
    played_by: str
    opponent: str

    def as_dict(self) -> dict[str, Any]:
        """The fields by their names in JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Network:
    """Weights under the name that the record and the table use."""

    name: str
    evaluator: BatchEvaluator
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """What a record says of it."""
        return self.facts


def load_network(given: str) -> Network:
    """Read NAME=FILE. Raises ValueError for anything else, BadCheckpoint for unusable weights."""
    name, equals, path = given.partition("=")
    if not (name.isidentifier() and equals and path):
        raise ValueError(f"--network {given!r}: expected NAME=FILE, as in v1=zeb.pt")
    found = checkpoint.load(Path(path))
    facts = {
        "file": Path(path).name,
        "sha256": weights_digest(parse_spec(f"zeb:source={path}")),
        "parameters": found.n_parameters,
        "tokenizer": found.config.tokenizer,
    }
    return Network(name, open_evaluator(found.config, found.weights, device="cpu"), facts)


class Run:
    """Measures methods with networks, and adds every piece to the record as it is done."""

    def __init__(
        self,
        settings: Settings,
        networks: Sequence[Network],
        record: Pieces,
        *,
        games: int,
        deep_positions: int,
        selfplay_games: int,
        threads: int,
    ) -> None:
        self.settings = settings
        self.networks = networks
        self.record = record
        self.games = games
        self.deep_positions = deep_positions
        self.selfplay_games = selfplay_games
        self._stack = ExitStack()
        self.pool = self._stack.enter_context(SolverPool(threads))
        self.base = Method.named(settings.base)
        self._where = ""

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @cached_property
    def positions(self) -> Positions:
        """The decisions, the same for every method and network."""
        network, n = self.networks[0], self.settings.positions
        note(f"{n:,} decisions of games by {network.name}")
        return network_positions(network.evaluator, n, seed=self.settings.seed)

    @cached_property
    def reference(self) -> Reference:
        """Exact values of all their plays."""
        n, worlds = self.settings.positions, self.settings.worlds
        note(f"exact values of {n:,} decisions over up to {worlds:,} worlds each")
        began = time.monotonic()
        found = reference(
            self.positions, n_worlds=worlds, seed=self.settings.seed + OTHER, pool=self.pool
        )
        note(f"  {time.monotonic() - began:.0f} s")
        return found

    @cached_property
    def base_judged(self) -> Judged:
        """The base method with the first network, which others are compared with."""
        evaluator = self.networks[0].evaluator
        return judge(self.base, evaluator, self.positions, self.reference)

    @cached_property
    def base_ms(self) -> float:
        """What a decision takes the base method with the first network, as `equal` measures it."""
        return pace(self.base, self.networks[0].evaluator, self.positions)

    @cached_property
    def opponent(self) -> Player:
        """The common opponent of `arena`."""
        if self.settings.opponent == "favourite play":
            network = self.networks[0]
            return NetworkPlayer(name=network.name, evaluator=network.evaluator, temperature=0.0)
        return build_player(parse_spec(self.settings.opponent), device="cpu", pool=self.pool)

    def measure(self, methods: Sequence[Method], pieces: Sequence[str]) -> None:
        """Measure whatever the record does not have yet, one piece after the other."""
        wanted = [
            (piece, network, method)
            for piece in pieces
            for network in self.networks
            for method in methods
            if self._applies(piece, network, method)
            and not self.record.has(method.name, network.name, piece)
        ]
        for number, (piece, network, method) in enumerate(wanted, 1):
            self._where = f"[{number}/{len(wanted)}] {piece}: {method.name} with {network.name}"
            began = time.monotonic()
            figures = self._piece(piece, network, method)
            self.record.add(method.name, network.name, piece, figures, options=method.options)
            note(f"{self._where}: {in_short(figures)} ({time.monotonic() - began:.0f} s)")

    def _applies(self, piece: str, network: Network, method: Method) -> bool:
        """Whether the piece says anything of the method that another does not."""
        if not method.searches:
            return piece == "targets"
        if piece == "selfplay":
            return True
        if piece == "arena":
            return method.plain and method.honest
        if piece == "deeper":
            return method.plain
        if piece == "equal" and self._is_base(network, method):
            return False
        return method.cache_mb == 0

    def _is_base(self, network: Network, method: Method) -> bool:
        return method == self.base and network is self.networks[0]

    def _piece(self, piece: str, network: Network, method: Method) -> dict[str, Any]:
        evaluator, seed = network.evaluator, self.settings.seed
        if piece == "targets":
            judged = judge(method, evaluator, self.positions, self.reference)
            return targets(judged, self.base_judged, self.positions, self.reference)
        if piece == "deeper":
            n = self.deep_positions
            return deeper(method, evaluator, self.positions.first(n), self.reference.first(n))
        if piece == "equal":
            return self._equal(network, method)
        if piece == "arena":
            return self._match(method, evaluator, self.opponent)
        return selfplay(method, evaluator, n_games=self.selfplay_games, seed=seed)

    def _equal(self, network: Network, method: Method) -> dict[str, Any]:
        """The method with as much as takes the time of the base, and a match between the two."""
        evaluator = network.evaluator
        found, ms = paced(method, evaluator, self.positions, ms=self.base_ms)
        judged = judge(found, evaluator, self.positions, self.reference)
        figures = {
            "n_simulations": found.search.n_simulations,
            "n_worlds": found.search.n_worlds,
            "paced_ms": round(ms, 4),
            "base_ms": round(self.base_ms, 4),
            **targets(judged, self.base_judged, self.positions, self.reference),
        }
        if found.plain and found.honest:
            base = SearchPlayer(
                name=self.base.name,
                evaluator=self.networks[0].evaluator,
                options=self.base.player,
            )
            figures["match"] = self._match(found, evaluator, base)
        return figures

    def _match(self, method: Method, evaluator: BatchEvaluator, opponent: Player) -> dict[str, Any]:
        said = [time.monotonic()]

        def say(text: str) -> None:
            if time.monotonic() - said[0] >= SAY_EVERY_S:
                said[0] = time.monotonic()
                note(f"{self._where}: {text}")

        seed = self.settings.seed + MATCH
        return match(method, evaluator, opponent, n_games=self.games, seed=seed, say=say)


def note(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)
