"""Everything a worker is told, as frozen records built in ``cli/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zebfast.arena.players.options import MAX_WORLDS
from zebfast.arena.players.specs import DEFAULT_TEMPERATURE
from zebfast.exchange import Namespace, Place, StoreOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.producer_kinds import EVAL_AUX, MOST_BATCH, RECIPE, SELFPLAY
from zebfast.selfplay.teaching import TeachingConfig
from zebfast.system.settings import (
    A_YEAR,
    MOST_COUNT,
    MOST_THREADS,
    MOST_WHOLE,
    SettingError,
    check,
    setting,
)
from zebfast.worker.opponent import OpponentOptions


@dataclass(frozen=True, kw_only=True)
class EvalAuxConfig:
    """Games of E[Q] against the network; together with (seed, weights) it decides every game.

    Attributes:
        n_samples: at most; fewer where there are no more.
        zeb_temperature: the network's plays are drawn from its policy.
        eq_policy_targets: the softmax of the values is the target. Targets of the network's seats
            are what it played either way.
        target_temperature: of that softmax. With 100 worlds the difference of two plays is known to
            within about a point, so a smaller one would mostly copy chance.
        n_threads: solvers side by side. Has no influence on any game.
    """

    n_samples: int = setting(
        100,
        "eval-aux: worlds that E[Q] solves for each play.",
        least=1,
        most=MAX_WORLDS,
        env="ZEB_EQ_N_SAMPLES",
    )
    zeb_temperature: float = setting(
        DEFAULT_TEMPERATURE,
        "eval-aux: of the network's plays; 0 = its favourite.",
        least=0,
        most=1_000,
        env="ZEB_EQ_TEMPERATURE",
    )
    eq_policy_targets: bool = setting(
        False,
        "eval-aux: policy targets of E[Q]'s plays from the values it gives them, not from the "
        "domino it played.",
        env="ZEB_EQ_POLICY_TARGETS",
    )
    target_temperature: float = setting(
        1.0,
        "eval-aux: points by which a play must be worse to get 1/e of the weight in those targets.",
        above=0,
        most=1_000,
        flag="eq_target_temperature",
    )
    n_threads: int = setting(1, least=1, most=MOST_THREADS)

    def __post_init__(self) -> None:
        check(self)


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
        opponent: of self-play.
        seed: None = a new random seed at every start, so that no game is ever played twice.
        example_format: ``native`` has 16 bytes an example; ``pt`` no place for play values.
        restarts, earlier_batches: only its heartbeats say so.
    """

    weights: Place
    examples: Place
    stores: StoreOptions
    namespace: Namespace
    producer: SelfPlayConfig | EvalAuxConfig | TeachingConfig | RecipeConfig = field(
        default_factory=SelfPlayConfig
    )
    opponent: OpponentOptions = field(default_factory=OpponentOptions)
    worker_id: str = setting(
        SELFPLAY.worker_id,
        "Name in file names and log lines; one process each.",
        shown=f"{SELFPLAY.worker_id}; eval-aux: {EVAL_AUX.worker_id}",
    )
    games_per_batch: int = setting(
        SELFPLAY.games_per_batch,
        "Games of a batch, which is an example file; beyond 16,384 several.",
        least=1,
        most=MOST_BATCH,
        shown=f"{SELFPLAY.games_per_batch}; eval-aux: {EVAL_AUX.games_per_batch}",
    )
    weight_sync_interval: int = setting(
        SELFPLAY.weight_sync_interval,
        "Batches between looks for newer weights.",
        least=1,
        most=MOST_COUNT,
        shown=f"{SELFPLAY.weight_sync_interval}; eval-aux: {EVAL_AUX.weight_sync_interval}; "
        f"recipe: {RECIPE.weight_sync_interval}",
    )
    upload_grace: float = setting(
        30.0,
        "Seconds a stopped worker goes on uploading what waits; the next start uploads the rest.",
        least=0,
        most=A_YEAR,
    )
    device: str = setting("cpu", "cpu, cuda or cuda:N.", shown="cuda if present, else cpu")
    dtype: Literal["auto", "fp32", "fp16", "bf16", "int8"] = setting(
        "fp32", "Precision of the network; auto: the fastest whose answers agree with fp32."
    )
    seed: int | None = setting(
        None,
        "Seed of all games, another for each worker; a given one continues where this worker id "
        "stopped.",
        least=0,
        most=MOST_WHOLE,
        shown="a new one",
    )
    example_format: Literal["native", "pt"] = setting("native", "Compact, or documented .pt.")
    max_batches: int | None = setting(
        None, "Stop after this many batches.", least=1, most=MOST_COUNT
    )
    restarts: int = setting(0, "Starts of its supervisor.", least=0, most=MOST_COUNT)
    earlier_batches: int = setting(0, "What came of the starts before.", least=0, most=MOST_COUNT)
    poll_seconds: float = setting(2.0, least=0, most=A_YEAR)
    disk_retry_seconds: float = setting(30.0, least=0, most=A_YEAR)

    def __post_init__(self) -> None:
        check(self)
        if isinstance(self.producer, EvalAuxConfig) and self.games_per_batch % 2:
            raise SettingError(
                f"games_per_batch is {self.games_per_batch}: expected an even number, because "
                "every deal is played both ways"
            )
        if self.opponent.opponent is not None and not isinstance(self.producer, SelfPlayConfig):
            raise SettingError(
                f"opponent is given ({self.opponent.opponent}): expected none where the games are "
                "not those of self-play"
            )
        taught = isinstance(self.producer, TeachingConfig | RecipeConfig)
        if taught and self.example_format != "native":
            raise SettingError(
                f"example_format is {self.example_format}: expected native, the format that holds "
                "play values"
            )
