"""Everything a learner run is told, as one frozen record built in ``cli/``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from zebfast.exchange import Namespace, Place, StoreOptions
from zebfast.exchange.mirror.mirror import check_sync_url
from zebfast.learner.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class EvalAuxConfig:
    """How the second stream of examples, E[Q] players against the network, is used.

    Attributes:
        enabled: False leaves its files alone; nothing else need change to switch it off.
        replay_buffer_size: examples kept of this stream.
        batch_fraction: part of every batch, while there are such examples.
        policy_weight, value_weight, belief_weight: of the losses on them; self-play has 1, 1, 0.5.
            That of the value is of the points where the network predicts them.
        max_model_lag: files played with weights older than this many cycles are dropped; -1 = none.
        lag_half_life: cycles in which the chance of a file to be kept halves.
        min_keep_weight: that chance never falls below this.
    """

    enabled: bool = True
    replay_buffer_size: int = 100_000
    batch_fraction: float = 0.05
    policy_weight: float = 0.0
    value_weight: float = 1.0
    belief_weight: float = 0.5
    max_model_lag: int = 400
    lag_half_life: float = 200.0
    min_keep_weight: float = 0.10

    def __post_init__(self) -> None:
        if self.replay_buffer_size < 1:
            raise ValueError("eval_aux_replay_buffer_size must be at least 1")
        for name in ("batch_fraction", "min_keep_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"eval_aux_{name} is {getattr(self, name)}: expected 0 to 1")
        for name in ("policy_weight", "value_weight", "belief_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"eval_aux_{name} is {getattr(self, name)}: expected 0 or more")
        if self.max_model_lag < -1:
            raise ValueError("eval_aux_max_model_lag must be a number of cycles, or -1 for none")
        if not 0 < self.lag_half_life < float("inf"):
            raise ValueError("eval_aux_lag_half_life must be above 0")


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """Settings of one learner process; field names follow the flags.

    Attributes:
        push_seconds: least time between publications; above 0 for places that count commits.
        max_reuse: warn when the average example has been drawn more often; 0 = never.
        squash_after: history of a place is forgotten beyond this many versions; 0 = never.
        poll_seconds: pause between looks for new example files.
        snapshot_every: cycles between snapshots of the whole training state; 0 = none.
        snapshot_dir: where they lie; None = below the state directory.
        keep_snapshots: how many stay, here and at ``sync_to``.
        disk_limit: percent of the disk above which superseded snapshots are deleted; 0 = off.
        sync_to: URL below which snapshots are kept, too; None = nowhere.
        sync_endpoint: address of an S3-compatible service, where that is no default.
        sync_grace: seconds that the end of a run waits for the last snapshot to arrive there.
        resume: whether a newer snapshot takes the place of this machine's training state.
        ema: decay a step of the weights' average, which is what is published; 0 = no average.
        recipe: stages that set lr, batch_size and how much is trained, and say when the run ends.

    Raises:
        ValueError: one sentence naming the setting that cannot be used.
    """

    weights: Place
    examples: Place
    stores: StoreOptions
    namespace: Namespace
    checkpoint: Path | None = None

    lr: float = 1e-4
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    batch_size: int = 64
    replay_buffer_size: int = 500_000
    min_buffer_size: int = 5_000
    training_steps_per_cycle: int = 1_000
    seed: int = 0
    max_reuse: float = 50.0
    ema: float = 0.0
    recipe: Recipe | None = None
    eval_aux: EvalAuxConfig = EvalAuxConfig()

    push_every: int = 25
    eval_every: int = 50
    eval_games: int = 2_000
    checkpoint_every: int = 1
    keep_example_files: int = 128
    max_example_age: float = 300.0
    train_diagnostics_every: int = 10
    take_over: bool = False
    squash_after: int = 2_000

    replay_cache: bool = True
    replay_cache_dir: Path = Path("~/.cache/zebfast/replay")
    replay_cache_save_every: int = 25

    snapshot_every: int = 0
    snapshot_dir: Path | None = None
    keep_snapshots: int = 3
    disk_limit: float = 90.0
    sync_to: str | None = None
    sync_endpoint: str | None = None
    sync_grace: float = 120.0
    resume: Literal["auto", "never"] = "auto"

    device: str = "cpu"
    amp: bool = False
    amp_dtype: Literal["fp16", "bf16"] = "fp16"

    wandb: bool = False
    wandb_project: str = "zeb-mcts"
    run_name: str | None = None

    max_cycles: int | None = None
    max_minutes: float | None = None
    poll_seconds: float = 1.0
    push_seconds: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            "batch_size",
            "replay_buffer_size",
            "training_steps_per_cycle",
            "push_every",
            "eval_games",
            "checkpoint_every",
            "replay_cache_save_every",
            "train_diagnostics_every",
            "keep_snapshots",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least 1")
        for name in ("eval_every", "keep_example_files", "max_example_age", "min_buffer_size",
                     "max_reuse", "squash_after", "push_seconds", "snapshot_every",
                     "sync_grace"):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: expected 0 (off) or more")
        for name in ("lr", "max_grad_norm", "poll_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}: expected a number above 0")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is {self.ema}: expected 0 (off) to below 1")
        if not 0 <= self.disk_limit <= 100:
            raise ValueError(f"disk_limit is {self.disk_limit:g}: expected percent, or 0 (off)")
        if self.sync_to is not None:
            check_sync_url(self.sync_to)
        if self.sync_endpoint is not None and not (self.sync_to or "").startswith("s3"):
            raise ValueError("sync_endpoint needs a --sync-to of the form s3://bucket/folder")
        if self.min_buffer_size > self.replay_buffer_size:
            raise ValueError(
                f"min_buffer_size {self.min_buffer_size} can never be reached: expected at most "
                f"replay_buffer_size, {self.replay_buffer_size}"
            )

    @property
    def snapshots_path(self) -> Path:
        """Directory of the snapshots."""
        own = self.stores.state_dir / "snapshots" / self.namespace.stem
        return own if self.snapshot_dir is None else self.snapshot_dir.expanduser()

    @property
    def checkpoint_path(self) -> Path:
        """The training checkpoint."""
        return self.stores.state_dir / self.namespace.checkpoint_file

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
    def prune_seconds(self) -> float:
        """Least time between deletions of example files, each of which is a commit."""
        return 5 * self.push_seconds

    @property
    def heartbeat_seconds(self) -> float:
        """The state is renewed when nothing was published for so long."""
        return max(30.0, 3 * self.push_seconds)

    @property
    def last_push_seconds(self) -> float:
        """How long the end of a run waits for its last push: about a dozen tries."""
        return max(5.0, 12 * self.stores.retry_seconds)

    def to_json(self) -> dict[str, Any]:
        """Plain values for run records."""
        fields = asdict(self)
        fields["recipe"] = self.recipe.to_json() if self.recipe else None
        fields |= {"namespace": self.namespace.stem, **fields.pop("stores")}
        fields |= {f"eval_aux_{name}": value for name, value in fields.pop("eval_aux").items()}
        fields |= {"weights": str(self.weights), "examples": str(self.examples)}
        return {k: str(v) if isinstance(v, Path) else v for k, v in fields.items()}
