"""Everything a worker is told, as frozen records built in ``cli/``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zebfast.arena.players.specs import DEFAULT_TEMPERATURE, MAX_WORLDS
from zebfast.exchange import Namespace, Place, StoreOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.teaching import TeachingConfig


@dataclass(frozen=True, kw_only=True)
class EvalAuxConfig:
    """Games of E[Q] against the network; together with (seed, weights) it decides every game.

    Attributes:
        n_samples: worlds that E[Q] solves for each play, at most; fewer where there are no more.
        zeb_temperature: of the network's plays, drawn from its policy; 0 = its favourite.
        eq_policy_targets: a target of E[Q]'s plays is the softmax of their values instead of the
            domino that was played. Targets of the network's seats are what it played either way.
        target_temperature: of that softmax, in points: a play that is so many points worse on
            average gets 1/e of the weight. With 100 worlds the difference of two plays is known to
            within about a point, so a smaller one would mostly copy chance.
        n_threads: solvers side by side. Has no influence on any game.

    Raises:
        ValueError: one sentence naming the setting that cannot be used.
    """

    n_samples: int = 100
    zeb_temperature: float = DEFAULT_TEMPERATURE
    eq_policy_targets: bool = False
    target_temperature: float = 1.0
    n_threads: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.n_samples <= MAX_WORLDS:
            raise ValueError(f"n_samples is {self.n_samples}: expected 1 to {MAX_WORLDS}")
        if not 0 <= self.zeb_temperature < math.inf:
            raise ValueError(f"zeb_temperature is {self.zeb_temperature}: expected at least 0")
        if not 0 < self.target_temperature < math.inf:
            raise ValueError(
                f"target_temperature is {self.target_temperature}: expected points above 0"
            )
        if self.n_threads < 1:
            raise ValueError(f"n_threads is {self.n_threads}: expected at least 1")


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """Whatever producer the state of the run names.

    Attributes:
        machine: options of this machine, called as flags are, that go before what the state says;
            None where the state may say.
        default_groups: groups of games where neither says how many.
    """

    machine: Mapping[str, Any] = field(default_factory=dict)
    default_groups: int = 1


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """Settings of one worker process; field names follow the flags.

    Attributes:
        producer: what is played: self-play, E[Q] against the network, games that a teacher labels,
            or what the run's state says.
        seed: None = a new random seed at every start, so that no game is ever played twice. A
            given seed continues where this worker id stopped with it.
        example_format: ``native`` (16 bytes an example) or ``pt`` (the documented layout, which has
            no place for a teacher's play values).
        upload_grace: seconds that a stopped worker may go on uploading what waits.
        restarts, earlier_batches: by the supervisor that starts it, and what came of the starts
            before; only its heartbeats say so.

    Raises:
        ValueError: one sentence naming the setting that cannot be used.
    """

    weights: Place
    examples: Place
    stores: StoreOptions
    namespace: Namespace
    worker_id: str = "worker-0"
    producer: SelfPlayConfig | EvalAuxConfig | TeachingConfig | RecipeConfig = field(
        default_factory=SelfPlayConfig
    )
    games_per_batch: int = 256
    weight_sync_interval: int = 10
    seed: int | None = None
    device: str = "cpu"
    dtype: str = "fp32"
    example_format: Literal["native", "pt"] = "native"
    max_batches: int | None = None
    poll_seconds: float = 2.0
    disk_retry_seconds: float = 30.0
    upload_grace: float = 30.0
    restarts: int = 0
    earlier_batches: int = 0

    def __post_init__(self) -> None:
        for name in ("games_per_batch", "weight_sync_interval"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least 1")
        if isinstance(self.producer, EvalAuxConfig) and self.games_per_batch % 2:
            raise ValueError(
                f"games_per_batch is {self.games_per_batch}: expected an even number, because "
                "every deal is played both ways"
            )
        taught = isinstance(self.producer, TeachingConfig | RecipeConfig)
        if taught and self.example_format != "native":
            raise ValueError(
                f"example_format is {self.example_format}: expected native, the format that holds "
                "play values"
            )
        if self.max_batches is not None and self.max_batches < 1:
            raise ValueError(f"max_batches is {self.max_batches}: expected at least 1")
