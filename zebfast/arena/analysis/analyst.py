"""A network opened once for hints and reviews."""

from __future__ import annotations

from dataclasses import dataclass

from zebfast.arena.analysis.blind import N_WORLDS, BlindSearch
from zebfast.arena.analysis.prices import Prices
from zebfast.arena.analysis.review import Reviewer
from zebfast.arena.players.build import load_network
from zebfast.arena.players.specs import NETWORK_PLAYER, parse_spec


@dataclass(frozen=True)
class Analyst:
    """What is asked in hints and reviews; for one thread."""

    blind: BlindSearch
    prices: Prices | None  # None of a network that cannot price
    reviewer: Reviewer

    @classmethod
    def open(
        cls, spec: str = NETWORK_PLAYER, *, n_worlds: int = N_WORLDS, device: str = "cpu"
    ) -> Analyst:
        """With the network of a spec (``zeb``, ``zeb:source=FILE``).

        Raises PlayerSpecError and PlayerLoadError, one sentence each.
        """
        from zebfast.net.devices import open_evaluator
        from zebfast.net.v2 import V2Config

        parsed = parse_spec(spec)
        checkpoint = load_network(parsed)
        evaluator = open_evaluator(
            checkpoint.config, checkpoint.weights, device=device, dtype="auto", threads=1
        )
        blind = BlindSearch(evaluator, n_worlds=n_worlds)
        prices = None
        if isinstance(checkpoint.config, V2Config):
            prices = Prices.open(parsed.weights.source if parsed.weights else "")
        return cls(blind, prices, Reviewer(blind, prices))
