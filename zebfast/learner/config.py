"""Everything a learner run is told, as one frozen record built in ``cli/``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zebfast.exchange import Namespace, Place, StoreOptions
from zebfast.learner.recipe import LED_RECIPE, MOST_ROWS, Recipe, Training
from zebfast.system.files import own_target
from zebfast.system.redaction import has_secret
from zebfast.system.settings import (
    A_DAY,
    A_YEAR,
    MOST_COUNT,
    MOST_GAMES,
    MOST_THREADS,
    MOST_WHOLE,
    SettingError,
    check,
    encode,
    setting,
)


@dataclass(frozen=True, kw_only=True)
class EvalAuxConfig:
    """How the second stream of examples, E[Q] players against the network, is used.

    Self-play has the weights 1, 1 and 0.5; that of the value is of the points where the network
    predicts them.
    """

    enabled: bool = setting(True, "Train on evaluation games, too.")
    replay_buffer_size: int = setting(100_000, "Examples of them kept.", least=1, most=MOST_ROWS)
    batch_fraction: float = setting(0.05, "Part of every batch that they make up.", least=0, most=1)
    policy_weight: float = setting(
        0.0, "Weight of their policy loss (self-play: 1).", least=0, most=1_000
    )
    value_weight: float = setting(
        1.0, "Weight of their value loss (self-play: 1).", least=0, most=1_000
    )
    belief_weight: float = setting(
        0.5, "Weight of their belief loss (self-play: 0.5).", least=0, most=1_000
    )
    max_model_lag: int = setting(
        400, "Cycles after which their files are too old; -1 = never.", least=-1, most=MOST_COUNT
    )
    lag_half_life: float = setting(
        200.0, "Cycles in which a file's chance to be kept halves.", above=0, most=MOST_COUNT
    )
    min_keep_weight: float = setting(0.10, "What that chance never falls below.", least=0, most=1)

    def __post_init__(self) -> None:
        check(self, prefix="eval_aux_")


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """What replay and optimizer are told; nothing of it is a place.

    Attributes:
        recipe: that the run follows; of a run led by flags they are in it, too.
        seed: also of a recipe's evaluations.
    """

    recipe: Recipe = LED_RECIPE
    eval_aux: EvalAuxConfig = EvalAuxConfig()
    max_grad_norm: float = setting(1.0, above=0, most=1_000_000)
    amp_dtype: Literal["fp16", "bf16"] = setting("fp16", "Precision of --amp.")
    device: str = setting("cpu", "cpu, cuda or cuda:N.", shown="cuda if present, else cpu")
    train_diagnostics_every: int = setting(
        10, "Steps between the costlier metrics.", least=1, most=MOST_COUNT
    )
    seed: int = setting(0, "Seed of batches and evaluation deals.", least=0, most=MOST_WHOLE)

    def __post_init__(self) -> None:
        check(self)
        training = self.training
        if training.min_buffer_size > training.replay_buffer_size:
            raise SettingError(
                f"min_buffer_size {training.min_buffer_size} can never be reached: expected at "
                f"most replay_buffer_size, {training.replay_buffer_size}"
            )

    @property
    def training(self) -> Training:
        """What its recipe says that holds for all stages."""
        return self.recipe.training


@dataclass(frozen=True, kw_only=True)
class LearnerConfig(TrainerConfig):
    """Settings of one learner process; field names follow the flags.

    Attributes:
        push_seconds: above 0 for places that count commits.
        sync_grace: also of the end of a run that is stopped.
    """

    weights: Place
    examples: Place
    stores: StoreOptions
    namespace: Namespace
    checkpoint: Path | None = setting(
        None,
        "Network to start a new namespace from; checked, otherwise unused, in one that exists.",
    )

    resume: Literal["auto", "never"] = setting(
        "auto", "Go on from the newest snapshot where it is newer than this machine's own state."
    )
    sync_to: str | None = setting(
        None,
        "URL below which snapshots are kept, too, and found by another machine: "
        "s3://bucket/folder, hf://owner/name, hf://buckets/owner/name, file:///directory.",
    )
    sync_endpoint: str | None = setting(
        None, "Address of an S3-compatible service.", shown="AWS_ENDPOINT_URL, or Amazon's"
    )
    sync_grace: float = setting(
        120.0, "Seconds that the end waits for the last snapshot to arrive.", least=0, most=A_YEAR
    )
    snapshot_every: int = setting(
        0,
        "Cycles between snapshots of the whole training state; 0 = never.",
        least=0,
        most=MOST_COUNT,
        shown="25 with --sync-to, else 0",
    )
    snapshot_dir: Path | None = setting(
        None,
        "Where snapshots lie.",
        is_directory=True,
        shown="snapshots/NAMESPACE in the state directory",
    )
    keep_snapshots: int = setting(
        3, "Snapshots kept, here and at --sync-to.", least=1, most=1_000_000
    )
    disk_limit: float = setting(
        90.0,
        "Percent of the disk above which superseded snapshots are deleted; 0 = off.",
        least=0,
        most=100,
        off=True,
    )

    push_seconds: float = setting(
        0.0,
        "Least seconds between two pushes; the Hub allows 128 commits an hour to workers and "
        "learner together.",
        least=0,
        most=A_YEAR,
        shown="180 on the Hub, else 0",
    )
    eval_every: int = setting(
        50, "Cycles between evaluations; 0 = never.", least=0, most=MOST_COUNT, off=True
    )
    eval_games: int = setting(
        2_000, "Games of an evaluation, every deal both ways.", least=1, most=MOST_GAMES
    )
    checkpoint_every: int = setting(
        1, "Cycles between saves of the training checkpoint.", least=1, most=MOST_COUNT
    )
    keep_example_files: int = setting(
        128, "Example files kept when pruning; 0 = all.", least=0, most=MOST_COUNT
    )
    max_example_age: float = setting(
        300.0, "Seconds without new examples until training pauses.", least=0, most=A_YEAR, off=True
    )
    poll_seconds: float = setting(
        1.0,
        "Seconds between looks for new examples.",
        above=0,
        most=A_YEAR,
        shown="20 on the Hub, else 1",
    )
    max_reuse: float = setting(
        50.0,
        "Warn when the average example was drawn so often; 0 = never.",
        least=0,
        most=1_000_000,
        off=True,
    )
    squash_after: int = setting(
        2_000,
        "Forget the Hub's history beyond so many; 0 = never.",
        least=0,
        most=MOST_COUNT,
        off=True,
    )
    take_over: bool = setting(False, "Dispossess another learner of this namespace.")

    replay_cache: bool = setting(
        True,
        "Keep the replay buffer on this machine's disk across restarts.",
        flag="local_replay_cache_enabled",
    )
    replay_cache_dir: Path = setting(
        Path("~/.cache/zebfast/replay"),
        "Where it is kept.",
        is_directory=True,
        flag="local_replay_cache_dir",
    )
    replay_cache_save_every: int = setting(
        25,
        "Cycles between saves of it.",
        least=1,
        most=MOST_COUNT,
        flag="local_replay_cache_save_every",
    )

    processes: int = setting(
        1,
        "Processes of this machine that share every batch; torchrun does it over several machines.",
        least=1,
        most=MOST_THREADS,
    )
    rank_timeout: float = setting(
        30.0,
        "Seconds after which one of several processes that does not answer is given up.",
        above=0,
        most=A_DAY,
    )

    wandb: bool = setting(False, "Also log to Weights & Biases.")
    wandb_project: str = setting("zeb-mcts", "W&B project.")
    run_name: str | None = setting(None, "W&B display name.")
    max_cycles: int | None = setting(None, "Stop after this many cycles.", least=1, most=MOST_COUNT)
    max_minutes: float | None = setting(None, "Stop after this long.", above=0, most=A_YEAR // 60)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sync_to is not None:
            from zebfast.exchange.mirror.mirror import check_sync_url

            check_sync_url(self.sync_to)
        if self.sync_endpoint is not None and has_secret(self.sync_endpoint):
            raise SettingError(
                "sync_endpoint has a user or key in it, which would end up in logs: give a plain "
                "address, and credentials by the environment (AWS_ACCESS_KEY_ID, ...)"
            )
        if self.sync_endpoint is not None and not (self.sync_to or "").startswith("s3"):
            raise SettingError("sync_endpoint needs a --sync-to of the form s3://bucket/folder")

    @property
    def snapshots_path(self) -> Path:
        """Directory of the snapshots."""
        own = self.stores.state_dir / "snapshots" / self.namespace.stem
        return own if self.snapshot_dir is None else self.snapshot_dir.expanduser()

    @property
    def checkpoint_path(self) -> Path:
        """The training checkpoint; where a link of this user's leads, as to a larger disk."""
        return own_target(self.stores.state_dir / self.namespace.checkpoint_file)

    @property
    def best_path(self) -> Path:
        """The best network so far, of a run with a recipe; no name that weights are taken from."""
        return self.stores.state_dir / f"{self.namespace.stem}-best.safetensors"

    @property
    def metrics_path(self) -> Path:
        """The local metrics file."""
        return self.stores.state_dir / self.namespace.metrics_file

    def replay_path(self, lineage: str) -> Path:
        """Directory of the replay cache of the namespace's ``lineage``."""
        return self.replay_cache_dir.expanduser() / f"{self.namespace.stem}-{lineage}"

    @property
    def last_push_seconds(self) -> float:
        """How long the end of a run waits for its last push: about a dozen tries."""
        return max(5.0, 12 * self.stores.retry_seconds)

    def check_world(self, world: int) -> None:
        """ValueError, one sentence, where so many ranks cannot share every batch."""
        smallest = min(self.recipe.stages, key=lambda stage: stage.batch_size)
        if smallest.batch_size < world:
            raise SettingError(
                f"a batch of {smallest.batch_size} examples cannot be shared by {world} processes: "
                "give fewer --processes, or a larger --batch-size"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values for run records; nearly all by the names of flags."""
        fields: dict[str, Any] = encode(self)
        first, training = fields["recipe"]["stages"][0], dict(fields["recipe"]["training"])
        del training["warmup_steps"]  # which is no flag
        fields = {"lr": first["lr"], "batch_size": first["batch_size"], **training, **fields}
        fields |= {f"eval_aux_{name}": value for name, value in fields.pop("eval_aux").items()}
        fields |= fields.pop("stores")
        if self.recipe.is_endless:
            fields["recipe"] = None
        return fields | {
            "namespace": self.namespace.stem,
            "weights": str(self.weights),
            "examples": str(self.examples),
        }
