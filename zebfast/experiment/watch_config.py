"""What a watcher is told to do, how it looks, and what comes of a look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from zebfast.exchange import ExchangeError
from zebfast.experiment.facts import Facts
from zebfast.experiment.restart import Patience
from zebfast.experiment.verdict import Limits, Verdict

Act = Literal["replenish", "restart-learner"]


class LookFailed(ExchangeError):
    """One sentence: why nothing could be found out."""


@dataclass(frozen=True)
class WatchConfig:
    """What a watcher is to do besides looking.

    Attributes:
        limits: when something counts as stalled.
        wandb: ask W&B, too.
        notify: address to post each change of the verdict to; a secret.
        remind: seconds after which a bad verdict is posted again.
        restart_command: restarts the learner in place of this program.
        dry_run: only say what would be done; nothing is remembered either.
    """

    limits: Limits = field(default_factory=Limits)
    wandb: bool = False
    notify: str | None = None
    remind: float = 21_600.0
    acts: frozenset[Act] = frozenset()
    restart_command: str | None = None
    dry_run: bool = False
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Means:
    """How it looks and what it starts.

    Attributes:
        look: one look; raises LookFailed.
        learn: the command that starts the learner as it was started last.
        replenish: the command that brings the fleet back to its number.
        now: unix seconds.
    """

    look: Callable[[], Facts]
    learn: Callable[[Facts], Sequence[str]]
    replenish: Sequence[str]
    now: Callable[[], float]


@dataclass(frozen=True)
class Watched:
    """What came of one look; ``did`` are sentences, ``told`` whether a notification went out."""

    experiment: str
    verdict: Verdict
    since: float
    looked: float
    did: tuple[str, ...] = ()
    told: bool = False

    def to_json(self) -> dict[str, Any]:
        verdict = asdict(self.verdict)
        return {
            "experiment": self.experiment,
            "verdict": verdict.pop("state"),
            **verdict,
            "since_unix": round(self.since, 3),
            "looked_unix": round(self.looked, 3),
            "did": list(self.did),
            "told": self.told,
        }
