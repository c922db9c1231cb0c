"""What a rollout player is told: how it looks at a decision, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

ROLLOUT_METHODS = ("value", "rollout", "epimc")
BELIEFS = ("none", "head", "play")
AUTO = "auto"


@dataclass(frozen=True)
class RolloutOptions:
    """How long a decision is thought about, and by what.

    Attributes:
        method: "value": after `depth` tricks the player's next choice is valued by the network;
            "rollout": to the end; or "epimc": after `depth` tricks the hands of all are opened.
        n_worlds: most worlds a decision.
        seconds: time a decision, 0 for as long as n_worlds takes. What is played then depends on
            the machine and its load.
        exact_tricks: last tricks that are solved with open hands, 0..7.
        depth: tricks before that, the one on the table counted; not for rollout.
        prior_worlds: worlds that the network's own opinion of the plays counts for.
        belief: what makes one world likelier than another, one of BELIEFS, see world_weights; or
            AUTO: the belief head, where the network has one.
        power: of the probabilities that a belief goes by; 1 takes them as they are.
    """

    method: str = "value"
    n_worlds: int = 128
    seconds: float = 0.0
    exact_tricks: int = 2
    depth: int = 1
    prior_worlds: float = 96.0
    belief: str = AUTO
    power: float = 1.0
