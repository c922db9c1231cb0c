"""What a rollout player is told: how it looks at a decision, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

ROLLOUT_METHODS = ("rollout", "value", "epimc")
BELIEFS = ("play", "head", "none")


@dataclass(frozen=True)
class RolloutOptions:
    """How long a decision is thought about, and by what.

    Attributes:
        method: "rollout": to the end; "value": after `depth` tricks the player's next choice is
            valued by the network; or "epimc": after `depth` tricks the hands of all are opened.
        n_worlds: most worlds a decision.
        seconds: time a decision, 0 for as long as n_worlds takes. What is played then depends on
            the machine and its load.
        exact_tricks: last tricks that are solved with open hands, 0..7.
        depth: tricks before that, the one on the table counted; not for rollout.
        prior_worlds: worlds that the network's own opinion of the plays counts for.
        belief: what makes one world likelier than another, one of BELIEFS; see world_weights.
        power: of the probabilities that a belief goes by; 1 takes them as they are.
    """

    method: str = "rollout"
    n_worlds: int = 64
    seconds: float = 0.0
    exact_tricks: int = 2
    depth: int = 1
    prior_worlds: float = 96.0
    belief: str = "play"
    power: float = 1.0
