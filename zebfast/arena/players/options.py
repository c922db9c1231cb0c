"""What a rollout player is told: how it looks at a decision, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from zebfast.rules import N_TRICKS
from zebfast.system.settings import check, setting

ROLLOUT_METHODS = ("rollout", "value", "epimc")
BELIEFS = ("play", "head", "none")
MAX_WORLDS = 10_000
MAX_SECONDS = 600


@dataclass(frozen=True)
class RolloutOptions:
    """How long a decision is thought about, and by what.

    Attributes:
        method: "rollout": to the end; "value": after `depth` tricks the player's next choice is
            valued by the network; or "epimc": after `depth` tricks the hands of all are opened.
        seconds: what is played then depends on the machine and its load.
        depth: the trick on the table is one of them.
        belief: what makes one world likelier than another; see world_weights.
    """

    method: str = setting("rollout", "How a play is valued.", choices=ROLLOUT_METHODS)
    n_worlds: int = setting(64, "Most worlds a decision.", least=1, most=MAX_WORLDS)
    seconds: float = setting(
        0.0, "Time a decision; 0 = as n_worlds takes.", least=0, most=MAX_SECONDS
    )
    exact_tricks: int = setting(
        2, "Last tricks that are solved with open hands.", least=0, most=N_TRICKS
    )
    depth: int = setting(1, "Tricks before that; not for rollout.", least=1, most=N_TRICKS)
    prior_worlds: float = setting(
        96.0,
        "Worlds that the network's own opinion of the plays counts for.",
        least=0,
        most=1_000_000,
    )
    belief: str = setting("play", "What the worlds are weighed by.", choices=BELIEFS)
    power: float = setting(
        1.0,
        "Of the probabilities that a belief goes by; 1 takes them as they are.",
        least=0,
        most=1_000,
    )

    def __post_init__(self) -> None:
        check(self)
